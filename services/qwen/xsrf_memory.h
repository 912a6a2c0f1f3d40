// The XSRF tokens that the platform set since the logins were configured. In memory only: after a restart the
// platform sets them again. Thread-safe. Source: protocol notes of Qwen, section 6.
#pragma once

#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/common/http/http_types.h"
#include "services/session/refreshers/qwen_cookie.h"

namespace switchyard::qwen {

class XsrfMemory {
 public:
  /// Puts the newest token into the login, if there is one.
  void Apply(QwenCookie& login) const;
  /// Looks for a new token in an answer to a call that was made with `login`.
  void Note(const QwenCookie& login, const HttpHeaders& headers);

 private:
  mutable absl::Mutex mutex_;
  std::map<size_t, std::string> tokens_ ABSL_GUARDED_BY(mutex_);  // by a hash of the login's ticket
};

}  // namespace switchyard::qwen
