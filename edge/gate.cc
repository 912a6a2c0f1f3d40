#include "edge/gate.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "edge/origin_guard.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

constexpr int kNoContent = 204;
constexpr int kNotFound = 404;
constexpr int kMethodNotAllowed = 405;
constexpr int kUnsupportedMediaType = 415;
constexpr size_t kMaxPathShown = 200;
// What scripts of a page may read of an answer.
constexpr absl::string_view kExposed =
    "x-request-id, retry-after, x-should-retry, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
    "x-ratelimit-reset-requests";

bool IsJson(const HttpHeaders& headers) {
  const auto type = headers.Find("content-type");
  if (!type || type->empty()) return true;
  const std::string media = absl::AsciiStrToLower(absl::StripAsciiWhitespace(type->substr(0, type->find(';'))));
  return media == "application/json" || (absl::StartsWith(media, "application/") && absl::EndsWith(media, "+json"));
}

bool IsEncoded(const HttpHeaders& headers) {
  const absl::string_view coding = absl::StripAsciiWhitespace(headers.Get("content-encoding"));
  return !coding.empty() && !absl::EqualsIgnoreCase(coding, "identity");
}

}  // namespace

// A browser sends no API key by itself, so where one is needed a page of any origin may ask. Where none is, only pages
// of this machine.
absl::Status Gate::CheckPlace(const HttpHeaders& headers) const {
  if (keys_.required()) return absl::OkStatus();
  return loopback_only_ ? CheckLocal(headers) : CheckOrigin(headers);
}

Admission Gate::Look(const HttpServerRequest& request, absl::string_view method) const {
  Admission admission;
  HttpHeaders& headers = admission.headers;
  const auto refuse = [&admission](const absl::Status& status) {
    admission.status = status;
    admission.http_status = TraitsOf(ReasonOf(status)).http_status;
  };
  if (const absl::Status place = CheckPlace(request.headers); !place.ok()) {
    refuse(place);
    return admission;
  }
  if (const auto origin = request.headers.Find("origin")) {
    headers.Add("Access-Control-Allow-Origin", *origin);
    headers.Add("Access-Control-Expose-Headers", kExposed);
    headers.Add("Vary", "Origin");
  }
  if (method.empty()) {
    admission.http_status = kNotFound;
    admission.message = absl::StrCat("There is nothing at ", request.path.substr(0, kMaxPathShown),
                                     ". The API is under /v1: /v1/chat/completions, /v1/models.");
    return admission;
  }
  const std::string methods = absl::StrCat(method, method == "GET" ? ", HEAD, OPTIONS" : ", OPTIONS");
  if (request.method == "OPTIONS") {
    // Preflights carry no key.
    admission.http_status = kNoContent;
    headers.Add("Allow", methods);
    headers.Add("Access-Control-Allow-Methods", methods);
    const absl::string_view asked = request.headers.Get("access-control-request-headers");
    headers.Add("Access-Control-Allow-Headers",
                asked.empty() ? absl::string_view("authorization, content-type, x-api-key") : asked);
    headers.Add("Access-Control-Max-Age", "600");
    return admission;
  }
  const bool head = request.method == "HEAD" && method == "GET";  // the server leaves the body out
  if (request.method != method && !head) {
    admission.http_status = kMethodNotAllowed;
    headers.Add("Allow", methods);
    admission.message = absl::StrCat("Use ", method, " for ", request.path.substr(0, kMaxPathShown), ".");
    return admission;
  }
  auto caller = keys_.Identify(PresentedKey(request.headers, absl::StartsWith(request.path, "/v1/messages")));
  if (!caller.ok()) {
    refuse(caller.status());
    return admission;
  }
  admission.caller = *std::move(caller);
  admission.caller.SetLimitHeaders(headers, clock_.MonotonicNow());
  if (method == "POST" && !IsJson(request.headers)) {
    admission.http_status = kUnsupportedMediaType;
    admission.message = "The request body must be JSON: send Content-Type: application/json.";
  } else if (method == "POST" && IsEncoded(request.headers)) {
    // Source: RFC 9110, sections 15.5.16 and 12.5.3, for what to answer and the header that says what is taken.
    admission.http_status = kUnsupportedMediaType;
    headers.Add("Accept-Encoding", "identity");
    admission.message = "The request body must not be compressed: leave out Content-Encoding.";
  }
  return admission;
}

}  // namespace switchyard
