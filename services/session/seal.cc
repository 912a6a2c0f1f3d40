#include "services/session/seal.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace switchyard {
namespace {

constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;
constexpr size_t kKeyBytes = 32;
constexpr char kSealPurpose[] = "switchyard/seal/1";
constexpr char kFingerprintPurpose[] = "switchyard/fingerprint/1";

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

// A failure of the library itself, as opposed to one of the data: nothing it makes could be trusted.
void MustSucceed(int answer) {
  if (answer != 1) std::abort();
}

const unsigned char* Bytes(absl::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

template <typename Key>
void Digest(const Key& key, absl::string_view text, unsigned char* out) {
  unsigned int length = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), Bytes(text), text.size(), out, &length) == nullptr)
    std::abort();
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

absl::StatusOr<Secret> ReadKeyFile(const std::string& path, int fd) {
  struct stat info;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
    return absl::FailedPreconditionError(absl::StrCat(path, ": is not a regular file"));
  if ((info.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": other users may read this key; run: chmod 600 ", path));
  }
  std::string text(256, '\0');
  const ssize_t got = read(fd, text.data(), text.size());
  text.resize(got > 0 ? got : 0);
  return Secret(std::string(absl::StripAsciiWhitespace(text)));
}

absl::StatusOr<Secret> MakeKeyFile(const std::string& path) {
  std::array<unsigned char, kKeyBytes> key;
  MustSucceed(RAND_bytes(key.data(), key.size()));
  Secret hex(absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(key.data()), key.size())));
  OPENSSL_cleanse(key.data(), key.size());

  // Written under another name and linked into place, so that a crash never leaves half a key under the real one;
  // link() fails if another process was first.
  const std::string fresh = absl::StrCat(path, ".new.", getpid());
  unlink(fresh.c_str());
  const auto failed = [&](absl::string_view what) {
    const int error = errno;
    unlink(fresh.c_str());
    return absl::UnavailableError(absl::StrCat(path, ": the key file cannot be ", what, ": ", strerror(error)));
  };
  {
    const Descriptor file(open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.get() < 0) return failed("made");
    const std::string& text = hex.Reveal();
    if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) || fsync(file.get()) != 0)
      return failed("written");
  }
  if (link(fresh.c_str(), path.c_str()) != 0) return failed("made");
  unlink(fresh.c_str());
  const std::string directory = path.substr(0, path.rfind('/') + 1);
  const Descriptor parent(open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.get() >= 0) fsync(parent.get());
  return hex;
}

bool IsKey(const Secret& key) {
  bool valid = key.Reveal().size() == 2 * kKeyBytes;
  for (const char c : key.Reveal()) valid = valid && absl::ascii_isxdigit(static_cast<unsigned char>(c));
  return valid;
}

}  // namespace

Sealer::Sealer(const Secret& key) {
  const Secret master(absl::HexStringToBytes(key.Reveal()));
  Digest(master.Reveal(), kSealPurpose, seal_key_.data());
  Digest(master.Reveal(), kFingerprintPurpose, fingerprint_key_.data());
}

std::string Sealer::Seal(absl::string_view plain, absl::string_view place) const {
  std::string sealed(kNonceBytes + plain.size() + kTagBytes, '\0');
  unsigned char* out = Bytes(sealed);
  MustSucceed(RAND_bytes(out, kNonceBytes));
  const CipherContext context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  int length = 0;
  MustSucceed(EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, seal_key_.data(), out));
  MustSucceed(EVP_EncryptUpdate(context.get(), nullptr, &length, Bytes(place), static_cast<int>(place.size())));
  MustSucceed(
      EVP_EncryptUpdate(context.get(), out + kNonceBytes, &length, Bytes(plain), static_cast<int>(plain.size())));
  MustSucceed(EVP_EncryptFinal_ex(context.get(), out + kNonceBytes + length, &length));
  MustSucceed(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, out + kNonceBytes + plain.size()));
  return sealed;
}

absl::StatusOr<std::string> Sealer::Open(absl::string_view sealed, absl::string_view place) const {
  const absl::Status damaged = absl::DataLossError("a sealed value was made with another key, or was changed");
  if (sealed.size() < kNonceBytes + kTagBytes) return damaged;
  const size_t size = sealed.size() - kNonceBytes - kTagBytes;
  std::string tag(sealed.substr(kNonceBytes + size));
  std::string plain(size, '\0');
  const CipherContext context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  int length = 0;
  MustSucceed(EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, seal_key_.data(), Bytes(sealed)));
  MustSucceed(EVP_DecryptUpdate(context.get(), nullptr, &length, Bytes(place), static_cast<int>(place.size())));
  MustSucceed(
      EVP_DecryptUpdate(context.get(), Bytes(plain), &length, Bytes(sealed) + kNonceBytes, static_cast<int>(size)));
  MustSucceed(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()));
  if (EVP_DecryptFinal_ex(context.get(), Bytes(plain) + length, &length) != 1) return damaged;
  return plain;
}

std::string Sealer::Fingerprint(absl::string_view value) const {
  std::string digest(32, '\0');
  Digest(fingerprint_key_, value, Bytes(digest));
  return absl::BytesToHexString(digest);
}

absl::StatusOr<Secret> StoreKey(const Secret& configured, const std::string& key_file, bool store_exists) {
  if (!configured.empty()) {
    if (!IsKey(configured)) return absl::InvalidArgumentError("session.store_key: must be 64 hex digits");
    return configured;
  }
  const Descriptor file(open(key_file.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 && errno != ENOENT) {
    return absl::FailedPreconditionError(absl::StrCat(key_file, ": cannot be read: ", strerror(errno)));
  }
  if (file.get() < 0 && store_exists) {
    return absl::FailedPreconditionError(absl::StrCat(key_file,
                                                      ": the key file of an existing store is gone. Put it back, or "
                                                      "set session.store_key, or move the store away to start anew"));
  }
  absl::StatusOr<Secret> key = file.get() >= 0 ? ReadKeyFile(key_file, file.get()) : MakeKeyFile(key_file);
  if (key.ok() && !IsKey(*key)) return absl::InvalidArgumentError(absl::StrCat(key_file, ": must hold 64 hex digits"));
  return key;
}

}  // namespace switchyard
