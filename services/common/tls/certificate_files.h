// Certificate files that may be replaced while the program runs. A damaged set never replaces a good one.
//
//   auto files = CertificateFiles::Open({.certificate = "tls.crt", .key = "tls.key", .authority = "ca.crt"}, clock);
//   … (*files)->directory() …   // always holds a set that was checked: cert.pem, key.pem, ca.pem
//
// When the set in use ends is in Metrics::CertificateExpiry(). Thread-safe. Looks at the files once a second on a
// thread of its own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "services/common/metrics/metrics.h"
#include "services/common/time/clock.h"
#include "services/common/tls/certificates.h"

namespace switchyard {

struct CertificatePaths {
  std::string certificate;
  std::string key;
  std::string authority;  // may be empty for a server whose clients need no certificate
  // Which set the metric of its end calls it. Left out: without an authority it is that of HTTPS, else what etcd is
  // shown; MeshIdentity says that it is the mesh's.
  std::optional<Metrics::CertificateUse> use = {};
};

class CertificateFiles {
 public:
  /// INVALID_ARGUMENT or NOT_FOUND naming the file if the set is not good. `clock` outlives it.
  static absl::StatusOr<std::unique_ptr<CertificateFiles>> Open(CertificatePaths paths, const Clock& clock);
  ~CertificateFiles();

  /// With an authority, for gRPC, which reads files: a private directory, mode 0700, whose `current/` always holds one
  /// whole set: cert.pem, key.pem, ca.pem. A newer set takes its place by one rename. The three are links to this
  /// process's memory, which nobody else can open and which goes when it goes. Empty without.
  const std::string& directory() const { return directory_; }
  std::string PathOf(const std::string& name) const;

  /// Called, on the watching thread, with every newer set; now as well.
  void OnChange(std::function<void(const CertificateSet& set)> listener);

  /// Looks at the files now. OK if they hold what is in use, or something newer that is now in use.
  absl::Status Refresh();

 private:
  CertificateFiles(CertificatePaths paths, const Clock& clock) : paths_(std::move(paths)), clock_(clock) {}
  absl::StatusOr<CertificateSet> Read() const;
  absl::Status Publish(const CertificateSet& set) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Watch();

  const CertificatePaths paths_;
  const Clock& clock_;
  std::string directory_;
  absl::Mutex mutex_;
  CertificateSet current_ ABSL_GUARDED_BY(mutex_);
  int generation_ ABSL_GUARDED_BY(mutex_) = 0;
  // The open files that the links of the newest set, and of the one before, lead to.
  std::vector<int> published_ ABSL_GUARDED_BY(mutex_);
  std::vector<int> published_before_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::function<void(const CertificateSet& set)>> listeners_ ABSL_GUARDED_BY(mutex_);
  std::string last_fault_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread watcher_;
};

}  // namespace switchyard
