// What the header of a request decides before its body is read: whether it may come in, by which key, and whether its
// path, method and content type are any. Also what a browser needs to hear (CORS).
//
//   Admission admission = Gate(keys, options, clock).Look(request, "POST");
//   if (!admission.admitted()) … answer with admission.http_status, headers and status …
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "edge/api_keys.h"
#include "services/common/http/http_server.h"
#include "services/common/time/clock.h"

namespace switchyard {

struct Admission {
  // 0: admitted. 204 answers a preflight. 404, 405 and 415 have `message` as their error; every other has `status`.
  int http_status = 0;
  absl::Status status;
  std::string message;
  HttpHeaders headers;  // go with every answer to the request, refusals included
  Caller caller;

  bool admitted() const { return http_status == 0; }
};

/// Thread-safe.
class Gate {
 public:
  /// @param loopback_only without keys, serve only what names this machine as Host and Origin. `keys` and `clock`
  /// outlive it.
  Gate(ApiKeys& keys, bool loopback_only, const Clock& clock)
      : keys_(keys), loopback_only_(loopback_only), clock_(clock) {}

  /// @param method of the request's path; "" if there is no such path
  Admission Look(const HttpServerRequest& request, absl::string_view method) const;

 private:
  absl::Status CheckPlace(const HttpHeaders& headers) const;

  ApiKeys& keys_;
  const bool loopback_only_;
  const Clock& clock_;
};

}  // namespace switchyard
