#include "services/common/tls/certificate_files.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "services/common/log/log.h"

namespace switchyard {
namespace {

constexpr absl::Duration kLook = absl::Seconds(1);
constexpr size_t kMaxFileBytes = 1024 * 1024;
constexpr char kCurrent[] = "current";

absl::Status Failed(const std::string& path, absl::string_view what) {
  const std::string message = absl::StrCat(path, ": ", what, ": ", std::strerror(errno));
  return errno == ENOENT ? absl::NotFoundError(message) : absl::InvalidArgumentError(message);
}

absl::StatusOr<std::string> ReadAll(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return Failed(path, "cannot be read");
  std::string bytes;
  char piece[4096];
  ssize_t n;
  while ((n = read(file, piece, sizeof piece)) > 0 && bytes.size() < kMaxFileBytes)
    bytes.append(piece, static_cast<size_t>(n));
  const absl::Status status = n < 0 ? Failed(path, "cannot be read") : absl::OkStatus();
  close(file);
  if (!status.ok()) return status;
  return bytes;
}

// A file that has a name on a disk, or in /dev/shm, only as a link to this process's memory: a killed process takes it
// along.
absl::Status WriteInMemory(const std::string& path, const std::string& bytes, std::vector<int>& held) {
  const int file = memfd_create("switchyard-tls", MFD_CLOEXEC);
  if (file < 0) return Failed(path, "cannot be made");
  held.push_back(file);
  if (fchmod(file, 0600) != 0 || write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    return Failed(path, "cannot be written");
  if (symlink(absl::StrCat("/proc/self/fd/", file).c_str(), path.c_str()) != 0) return Failed(path, "cannot be made");
  return absl::OkStatus();
}

void CloseAll(std::vector<int>& held) {
  for (const int file : held) close(file);
  held.clear();
}

Metrics::CertificateUse UseOf(const CertificatePaths& paths) {
  return paths.use.value_or(paths.authority.empty() ? Metrics::CertificateUse::kHttps : Metrics::CertificateUse::kEtcd);
}

bool Same(const CertificateSet& a, const CertificateSet& b) {
  return a.chain == b.chain && a.key == b.key && a.authorities == b.authorities;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CertificateFiles>> CertificateFiles::Open(CertificatePaths paths, const Clock& clock) {
  auto files = std::unique_ptr<CertificateFiles>(new CertificateFiles(std::move(paths), clock));
  if (!files->paths_.authority.empty()) {
    std::string pattern =
        (access("/dev/shm", W_OK) == 0 ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path()) /
        "switchyard-tls-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) return Failed(pattern, "cannot be made");
    files->directory_ = pattern;
  }
  if (auto status = files->Refresh(); !status.ok()) return status;
  files->watcher_ = std::thread([self = files.get()] { self->Watch(); });
  return files;
}

CertificateFiles::~CertificateFiles() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (watcher_.joinable()) watcher_.join();
  std::error_code ignored;
  if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
  CloseAll(published_);
  CloseAll(published_before_);
}

std::string CertificateFiles::PathOf(const std::string& name) const {
  return absl::StrCat(directory_, "/", kCurrent, "/", name);
}

void CertificateFiles::OnChange(std::function<void(const CertificateSet& set)> listener) {
  absl::MutexLock lock(&mutex_);
  listener(current_);
  listeners_.push_back(std::move(listener));
}

absl::StatusOr<CertificateSet> CertificateFiles::Read() const {
  CertificateSet set;
  auto chain = ReadAll(paths_.certificate);
  if (!chain.ok()) return chain.status();
  set.chain = *std::move(chain);
  auto key = ReadAll(paths_.key);
  if (!key.ok()) return key.status();
  set.key = Secret(*std::move(key));
  if (!paths_.authority.empty()) {
    auto authorities = ReadAll(paths_.authority);
    if (!authorities.ok()) return authorities.status();
    set.authorities = *std::move(authorities);
  }
  if (auto status = CheckCertificates(set, clock_.Now(), !paths_.authority.empty()); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(paths_.certificate, ", ", paths_.key,
                                                   paths_.authority.empty() ? "" : ", ", paths_.authority, ": ",
                                                   status.message()));
  }
  return set;
}

absl::Status CertificateFiles::Publish(const CertificateSet& set) {
  if (directory_.empty()) return absl::OkStatus();  // the listeners have it
  const std::string name = absl::StrCat("set-", ++generation_);
  const std::string place = absl::StrCat(directory_, "/", name);
  std::vector<int> held;
  auto given_up = absl::MakeCleanup([&held] { CloseAll(held); });
  if (mkdir(place.c_str(), 0700) != 0) return Failed(place, "cannot be made");
  if (auto status = WriteInMemory(place + "/cert.pem", set.chain, held); !status.ok()) return status;
  if (auto status = WriteInMemory(place + "/key.pem", set.key.Reveal(), held); !status.ok()) return status;
  if (auto status = WriteInMemory(place + "/ca.pem", set.authorities, held); !status.ok()) return status;
  // A reader sees the old set or the new one, never half of each.
  const std::string next = absl::StrCat(directory_, "/next"), current = absl::StrCat(directory_, "/", kCurrent);
  unlink(next.c_str());
  if (symlink(name.c_str(), next.c_str()) != 0) return Failed(next, "cannot be made");
  if (rename(next.c_str(), current.c_str()) != 0) return Failed(current, "cannot be replaced");
  // The one before stays, for a reader that is in the middle of it.
  std::error_code ignored;
  std::filesystem::remove_all(absl::StrCat(directory_, "/set-", generation_ - 2), ignored);
  CloseAll(published_before_);
  published_before_ = std::exchange(published_, std::exchange(held, {}));
  return absl::OkStatus();
}

absl::Status CertificateFiles::Refresh() {
  auto set = Read();
  absl::MutexLock lock(&mutex_);
  absl::Status status = set.status();
  if (set.ok() && !Same(*set, current_)) {
    status = Publish(*set);
    if (status.ok()) {
      const bool first = current_.chain.empty();
      current_ = *std::move(set);
      Metrics::Get()
          .CertificateExpiry(UseOf(paths_))
          .Set(absl::ToDoubleSeconds(ExpiryOf(current_) - absl::UnixEpoch()));
      for (const auto& listener : listeners_) listener(current_);
      if (!first) LogInfo("certificates_replaced", {{"certificate", paths_.certificate}});
    }
  }
  const std::string fault(status.message());
  if (!status.ok() && fault != std::exchange(last_fault_, fault) && !current_.chain.empty())
    LogWarning("certificates_not_replaced", {{"error", fault}});
  if (status.ok()) last_fault_.clear();
  return status;
}

void CertificateFiles::Watch() {
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), kLook)) return;
    }
    Refresh().IgnoreError();  // it has been logged
  }
}

}  // namespace switchyard
