#include "edge/key_file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace switchyard {
namespace {

constexpr size_t kKeyBytes = 32;
constexpr size_t kMaxNameLength = 64;
constexpr size_t kMaxFileBytes = 1024 * 1024;
constexpr absl::string_view kKeyPrefix = "sk-sy-";
constexpr absl::string_view kHeading =
    "# API keys of Switchyard, by their hashes: no key can be read from here. Made by `switchyard keys`;\n"
    "# a running relay takes changes up by itself.\n";

/// A file descriptor that closes.
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
  const int fd_;
};

absl::Status SystemError(absl::string_view path, absl::string_view what) {
  const int code = errno;
  const std::string message = absl::StrCat(path, ": ", what, ": ", std::strerror(code));
  return code == ENOENT ? absl::NotFoundError(message) : absl::FailedPreconditionError(message);
}

absl::StatusOr<std::string> ReadAll(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info;
  if (file.get() < 0 || fstat(file.get(), &info) != 0) return SystemError(path, "cannot be opened");
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, ": is not a file"));
  if (static_cast<size_t>(info.st_size) > kMaxFileBytes)
    return absl::InvalidArgumentError(absl::StrCat(path, ": is larger than 1 MiB"));
  std::string text;
  std::array<char, 16384> piece;
  for (;;) {
    const ssize_t n = read(file.get(), piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError(path, "cannot be read");
    if (n == 0) return text;
    text.append(piece.data(), static_cast<size_t>(n));
    if (text.size() > kMaxFileBytes) return absl::InvalidArgumentError(absl::StrCat(path, ": is larger than 1 MiB"));
  }
}

absl::Status WriteAll(const Descriptor& file, absl::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t n = write(file.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return SystemError(path, "cannot be written");
    text.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

std::string DirectoryOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

/// Whole or not at all: beside the file first, and on disk before it takes the file's name.
absl::Status Replace(const std::string& path, const std::string& text, const Descriptor& directory) {
  const std::string beside = path + ".new";
  unlink(beside.c_str());  // of somebody who was killed here; the lock says that nobody is
  {
    const Descriptor file(open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (file.get() < 0) return SystemError(beside, "cannot be made");
    if (auto written = WriteAll(file, text, beside); !written.ok()) return written;
    if (fsync(file.get()) != 0) return SystemError(beside, "cannot be written to the disk");
  }
  if (rename(beside.c_str(), path.c_str()) != 0) return SystemError(path, "cannot be replaced");
  if (fsync(directory.get()) != 0) return SystemError(path, "may not be on the disk yet");
  return absl::OkStatus();
}

class KeyFileReader {
 public:
  explicit KeyFileReader(absl::string_view file) : file_(file) {}

  void Read(const std::string& text) {
    YAML::Node root;
    try {
      root = YAML::Load(text);
    } catch (const YAML::Exception& error) {
      Fault(error.mark, absl::StrCat("not valid YAML: ", error.msg));
      return;
    }
    if (!root.IsMap()) {
      // An empty file, too: one that was cut is not one without keys.
      Fault(root.Mark(), "must hold `keys:`, a list of keys");
      return;
    }
    bool found = false;
    for (const auto& entry : root) {
      if (!entry.first.IsScalar() || entry.first.Scalar() != "keys") {
        Fault(entry.first.Mark(), "there is nothing but `keys:` in this file");
      } else if (!entry.second.IsSequence()) {
        found = true;
        Fault(entry.second.Mark(), "keys: must be a list");
      } else {
        found = true;
        for (const YAML::Node& key : entry.second) ReadKey(key);
      }
    }
    if (!found && faults_.empty()) Fault(root.Mark(), "must hold `keys:`, a list of keys");
  }

  absl::StatusOr<std::vector<ApiKey>> Take() {
    if (!faults_.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults_, "\n"));
    return std::move(keys_);
  }

 private:
  void Fault(const YAML::Mark& mark, absl::string_view what) {
    faults_.push_back(absl::StrCat(file_, ":", std::max(mark.line, 0) + 1, ": ", what));
  }

  void ReadKey(const YAML::Node& node) {
    if (!node.IsMap()) {
      Fault(node.Mark(), "a key must be a map with `name` and `sha256`");
      return;
    }
    ApiKey key;
    for (const auto& entry : node) {
      const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : std::string("?");
      ReadMember(name, entry.first, entry.second, key);
    }
    if (key.name.empty()) Fault(node.Mark(), "a key needs a name");
    if (key.digest.empty()) Fault(node.Mark(), "a key needs its sha256");
    keys_.push_back(std::move(key));
  }

  void ReadMember(const std::string& name, const YAML::Node& at, const YAML::Node& value, ApiKey& key) {
    if (name == "models") {
      ReadModels(value, key);
      return;
    }
    if (!value.IsScalar()) {
      Fault(at.Mark(), absl::StrCat(name.substr(0, kMaxNameLength), ": must be a single value"));
      return;
    }
    const std::string& text = value.Scalar();
    if (name == "name") {
      if (auto status = CheckKeyName(text); !status.ok()) Fault(value.Mark(), absl::StrCat("name: ", status.message()));
      const auto [earlier, fresh] = names_.emplace(text, value.Mark().line + 1);
      if (!fresh) Fault(value.Mark(), absl::StrCat("name: ", text, " is already on line ", earlier->second));
      key.name = text;
    } else if (name == "sha256") {
      const bool hex = text.size() == 2 * kKeyBytes &&
                       std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isxdigit(c); });
      if (!hex) Fault(value.Mark(), "sha256: must be 64 hex digits");
      key.digest = hex ? absl::HexStringToBytes(text) : std::string(kKeyBytes, '\0');
      const auto [earlier, fresh] = digests_.emplace(key.digest, value.Mark().line + 1);
      if (hex && !fresh) Fault(value.Mark(), absl::StrCat("sha256: is already on line ", earlier->second));
    } else if (name == "requests_per_minute") {
      ReadLimit(name, value, key.requests_per_minute);
    } else if (name == "concurrent_streams") {
      ReadLimit(name, value, key.concurrent_streams);
    } else if (name == "created") {
      key.created = text;
    } else {
      Fault(at.Mark(), "a key has name, sha256, models, requests_per_minute, concurrent_streams and created");
    }
  }

  void ReadModels(const YAML::Node& value, ApiKey& key) {
    if (!value.IsSequence() || value.size() == 0) {
      // An empty list reads like "none", and an empty list of ours means "all".
      Fault(value.Mark(), "models: must be a list of model ids; leave it out to allow all");
      return;
    }
    for (const YAML::Node& model : value) {
      if (model.IsScalar() && !model.Scalar().empty()) {
        key.models.push_back(model.Scalar());
      } else {
        Fault(model.Mark(), "models: must be a list of model ids");
      }
    }
  }

  void ReadLimit(const std::string& name, const YAML::Node& value, int& limit) {
    if (!absl::SimpleAtoi(value.Scalar(), &limit) || limit < 1 || limit > kMaxKeyLimit)
      Fault(value.Mark(), absl::StrCat(name, ": must be a whole number from 1 to ", kMaxKeyLimit));
  }

  const std::string file_;
  std::vector<ApiKey> keys_;
  std::vector<std::string> faults_;
  std::map<std::string, int> names_, digests_;
};

}  // namespace

absl::StatusOr<Secret> NewApiKey() {
  std::string bytes(kKeyBytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size())) != 1)
    return absl::InternalError("OpenSSL's generator gives no random bytes");
  std::string key = absl::StrCat(kKeyPrefix, absl::WebSafeBase64Escape(bytes));
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return Secret(std::move(key));
}

std::string DigestOf(absl::string_view key) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  EVP_Digest(key.data(), key.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr, EVP_sha256(), nullptr);
  return digest;
}

absl::Status CheckKeyName(absl::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
  });
  if (name.empty() || name.size() > kMaxNameLength || !plain || name[0] == '-')
    return absl::InvalidArgumentError("must be 1 to 64 letters, digits, '.', '_' or '-'");
  if (absl::StartsWith(name, kConfiguredPrefix))
    return absl::InvalidArgumentError(
        absl::StrCat("names that begin with ", kConfiguredPrefix, " are for keys from the configuration"));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ApiKey>> ParseKeyFile(absl::string_view text, absl::string_view file) {
  KeyFileReader reader(file);
  reader.Read(std::string(text));
  return reader.Take();
}

std::string FormatKeyFile(const std::vector<ApiKey>& keys) {
  YAML::Emitter out;
  out << YAML::BeginMap << YAML::Key << "keys" << YAML::Value << YAML::BeginSeq;
  for (const ApiKey& key : keys) {
    out << YAML::BeginMap;
    out << YAML::Key << "name" << YAML::Value << YAML::DoubleQuoted << key.name;
    out << YAML::Key << "sha256" << YAML::Value << YAML::DoubleQuoted << absl::BytesToHexString(key.digest);
    if (!key.models.empty()) {
      out << YAML::Key << "models" << YAML::Value << YAML::Flow << YAML::BeginSeq;
      for (const std::string& model : key.models) out << YAML::DoubleQuoted << model;
      out << YAML::EndSeq;
    }
    if (key.requests_per_minute > 0)
      out << YAML::Key << "requests_per_minute" << YAML::Value << key.requests_per_minute;
    if (key.concurrent_streams > 0) out << YAML::Key << "concurrent_streams" << YAML::Value << key.concurrent_streams;
    if (!key.created.empty()) out << YAML::Key << "created" << YAML::Value << YAML::DoubleQuoted << key.created;
    out << YAML::EndMap;
  }
  out << YAML::EndSeq << YAML::EndMap;
  return absl::StrCat(kHeading, std::string(out.c_str()), "\n");
}

absl::StatusOr<std::vector<ApiKey>> ReadKeyFile(const std::string& path) {
  auto text = ReadAll(path);
  if (!text.ok()) return text.status();
  return ParseKeyFile(*text, path);
}

absl::Status UpdateKeyFile(const std::string& path, bool must_exist,
                           const std::function<absl::Status(std::vector<ApiKey>& keys)>& change) {
  const std::string parent = DirectoryOf(path);
  std::error_code error;
  if (!must_exist && std::filesystem::create_directories(parent, error))
    std::filesystem::permissions(parent, std::filesystem::perms::owner_all, error);
  const Descriptor directory(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0) return SystemError(parent, "cannot be opened");
  // The directory, since the file itself is replaced; let go by closing.
  while (flock(directory.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return SystemError(parent, "cannot be locked");
  }
  auto keys = ReadKeyFile(path);
  if (!keys.ok() && !(absl::IsNotFound(keys.status()) && !must_exist)) return keys.status();
  std::vector<ApiKey> changed = keys.ok() ? *std::move(keys) : std::vector<ApiKey>();
  if (auto status = change(changed); !status.ok()) return status;
  return Replace(path, FormatKeyFile(changed), directory);
}

}  // namespace switchyard
