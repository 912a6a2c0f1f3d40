// Certificates made for a test: an authority and what it signs, as PEM.
#pragma once

#include <openssl/x509.h>

#include <memory>
#include <string>

namespace switchyard {

class TestAuthority {
 public:
  TestAuthority();

  struct Pem {
    std::string certificate;
    std::string key;
  };
  /// @param alternative "DNS:localhost,IP:127.0.0.1,URI:spiffe://test/switchyard-edge"
  /// @param valid_from_s, valid_to_s seconds from now
  Pem Issue(const std::string& alternative, int64_t valid_from_s = -3600, int64_t valid_to_s = 24 * 3600) const;

  const std::string& certificate() const { return pem_; }

 private:
  std::shared_ptr<EVP_PKEY> key_;
  std::shared_ptr<X509> certificate_;
  std::string pem_;
};

}  // namespace switchyard
