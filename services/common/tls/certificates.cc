#include "services/common/tls/certificates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

#include "absl/strings/str_cat.h"

namespace switchyard {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

Owned<BIO> Bytes(const std::string& pem) {
  return Owned<BIO>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// A key file that is encrypted must not make a service ask its terminal for a password.
int NoPassword(char*, int, int, void*) { return 0; }

absl::Status CheckDates(const X509* certificate, absl::Time now) {
  const time_t at = absl::ToTimeT(now);
  time_t moment = at;
  if (X509_cmp_time(X509_get0_notBefore(certificate), &moment) > 0)
    return absl::InvalidArgumentError("the certificate is not valid yet");
  moment = at;
  if (X509_cmp_time(X509_get0_notAfter(certificate), &moment) < 0)
    return absl::InvalidArgumentError("the certificate has expired");
  return absl::OkStatus();
}

/// How many certificates the text holds; -1 if one of them is damaged.
int CountCertificates(const std::string& pem) {
  const Owned<BIO> bytes = Bytes(pem);
  int count = 0;
  ERR_clear_error();
  while (Owned<X509> one{PEM_read_bio_X509(bytes.get(), nullptr, &NoPassword, nullptr)}) ++count;
  const unsigned long error = ERR_peek_last_error();  // NOLINT(google-runtime-int): OpenSSL's type
  const bool at_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  return at_end ? count : -1;
}

}  // namespace

absl::Status CheckCertificates(const CertificateSet& set, absl::Time now, bool needs_authorities) {
  const Owned<BIO> chain = Bytes(set.chain);
  const Owned<X509> leaf(PEM_read_bio_X509(chain.get(), nullptr, &NoPassword, nullptr));
  if (!leaf || CountCertificates(set.chain) < 1)
    return absl::InvalidArgumentError("the certificate cannot be read as PEM");
  const Owned<BIO> key_bytes = Bytes(set.key.Reveal());
  const Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(key_bytes.get(), nullptr, &NoPassword, nullptr));
  ERR_clear_error();
  if (!key) return absl::InvalidArgumentError("the key cannot be read as PEM without a password");
  const bool pair = X509_check_private_key(leaf.get(), key.get()) == 1;
  ERR_clear_error();
  if (!pair) return absl::InvalidArgumentError("the key is not that of the certificate");
  if (auto status = CheckDates(leaf.get(), now); !status.ok()) return status;
  if (set.authorities.empty() && !needs_authorities) return absl::OkStatus();
  if (CountCertificates(set.authorities) < 1) return absl::InvalidArgumentError("the authority cannot be read as PEM");
  return absl::OkStatus();
}

absl::Time ExpiryOf(const CertificateSet& set) {
  const Owned<BIO> chain = Bytes(set.chain);
  const Owned<X509> leaf(PEM_read_bio_X509(chain.get(), nullptr, &NoPassword, nullptr));
  ERR_clear_error();
  tm moment = {};
  if (!leaf || ASN1_TIME_to_tm(X509_get0_notAfter(leaf.get()), &moment) != 1) return absl::InfinitePast();
  return absl::FromTM(moment, absl::UTCTimeZone());
}

}  // namespace switchyard
