#include "services/common/http/observed_http.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "services/common/metrics/metrics.h"
#include "services/common/trace/span.h"

namespace switchyard {

namespace asio = boost::asio;

namespace {

void Count(absl::string_view platform, int http_status, std::chrono::steady_clock::time_point start) {
  const absl::Duration took = absl::FromChrono(std::chrono::steady_clock::now() - start);
  Metrics::Get().UpstreamRequestDone(platform, http_status, took);
}

/// Host and path of an absolute URL, without port, query and fragment.
std::pair<absl::string_view, absl::string_view> HostAndPath(absl::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme != absl::string_view::npos) url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find_first_of("?#"));
  const size_t slash = url.find('/');
  absl::string_view host = url.substr(0, slash);
  if (const size_t user = host.rfind('@'); user != absl::string_view::npos) host.remove_prefix(user + 1);
  if (const size_t colon = host.rfind(':'); colon != absl::string_view::npos && host.back() != ']')
    host = host.substr(0, colon);
  return {host, slash == absl::string_view::npos ? absl::string_view("/") : url.substr(slash)};
}

Span StartSpan(const HttpRequest& request, absl::string_view traceparent) {
  if (traceparent.empty()) return Span();
  Span span = Span::Start(request.method, SpanKind::kClient, traceparent);
  if (!span.recording()) return span;
  const auto [host, path] = HostAndPath(request.url);
  span.Set("http.request.method", request.method);
  span.Set("server.address", host);
  span.Set("url.path", path);
  return span;
}

void SetOutcome(Span& span, const absl::Status& status, int http_status) {
  if (!span.recording()) return;
  if (!status.ok()) {
    span.Fail(ReasonLabel(status));
    return;
  }
  span.Set("http.response.status_code", http_status);
  if (http_status >= 400) span.Fail(absl::StrCat(http_status));
}

/// A response with its span, which ends with the body. A piece of the body costs nothing more for it.
class ObservedResponse final : public HttpResponse {
 public:
  ObservedResponse(std::unique_ptr<HttpResponse> response, Span span)
      : response_(std::move(response)), span_(std::move(span)) {}

  int status() const override { return response_->status(); }
  const HttpHeaders& headers() const override { return response_->headers(); }
  asio::awaitable<absl::StatusOr<std::string>> Read(Scope& scope) override { return response_->Read(scope); }

 private:
  std::unique_ptr<HttpResponse> response_;
  Span span_;
};

}  // namespace

asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> ObservedHttpClient::Send(Scope& scope,
                                                                                        HttpRequest request) {
  Span span = StartSpan(request, traceparent_);
  const auto start = std::chrono::steady_clock::now();
  auto response = co_await client_.Send(scope, std::move(request));
  const int http_status = response.ok() ? (*response)->status() : 0;
  Count(platform_, http_status, start);
  SetOutcome(span, response.status(), http_status);
  if (!response.ok() || !span.recording()) co_return response;
  co_return std::make_unique<ObservedResponse>(*std::move(response), std::move(span));
}

asio::awaitable<absl::StatusOr<WebSocketAnswer>> ObservedHttpClient::OpenWebSocket(Scope& scope, HttpRequest handshake,
                                                                                   size_t max_message_bytes) {
  Span span = StartSpan(handshake, traceparent_);
  const auto start = std::chrono::steady_clock::now();
  auto answer = co_await client_.OpenWebSocket(scope, std::move(handshake), max_message_bytes);
  const int http_status = answer.ok() ? answer->status : 0;
  Count(platform_, http_status, start);
  SetOutcome(span, answer.status(), http_status);
  co_return answer;
}

}  // namespace switchyard
