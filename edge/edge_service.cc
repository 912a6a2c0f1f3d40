#include "edge/edge_service.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "edge/api.h"
#include "edge/error_body.h"
#include "edge/origin_guard.h"
#include "services/common/log/log.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"

namespace switchyard {

namespace asio = boost::asio;

namespace {

constexpr absl::string_view kModels = "/v1/models";
constexpr absl::string_view kHealth = "/healthz";
constexpr absl::string_view kReadiness = "/readyz";
constexpr absl::Duration kReadyLimit = absl::Seconds(2);

/// The method of a path; empty for a path that does not exist.
absl::string_view MethodOf(absl::string_view path) {
  if (FindApi(path) != nullptr) return "POST";
  if (path == kModels || path == kHealth || path == kReadiness || absl::StartsWith(path, absl::StrCat(kModels, "/")))
    return "GET";
  return "";
}

asio::awaitable<void> SendJson(HttpResponder& responder, HttpHeaders headers, int status, std::string body,
                               RequestRecord& record) {
  record.http_status = status;
  headers.Add("Content-Type", "application/json");
  co_await responder.Send(status, std::move(headers), std::move(body));
}

asio::awaitable<void> SendError(HttpResponder& responder, HttpHeaders headers, const absl::Status& status,
                                RequestRecord& record) {
  record.status = status;
  ErrorAnswer answer = MakeErrorAnswer(status, record.error_form, headers.Get("x-request-id"));
  record.http_status = answer.http_status;
  for (const auto& [name, value] : headers) answer.headers.Add(name, value);
  co_await responder.Send(answer.http_status, std::move(answer.headers), std::move(answer.body));
}

std::string ModelObject(const chat::v1::Model& model) {
  std::string out = R"({"id":)";
  AppendJsonString(out, model.id());
  absl::StrAppend(&out, R"(,"object":"model","created":)", model.created().seconds(), R"(,"owned_by":)");
  AppendJsonString(out, model.owned_by());
  return out + "}";
}

/// The number of requests at once, for as long as it lives.
class InFlight {
 public:
  explicit InFlight(std::atomic<int>& count) : count_(count), now_(count.fetch_add(1) + 1) {}
  ~InFlight() { count_.fetch_sub(1); }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  int now() const { return now_; }

 private:
  std::atomic<int>& count_;
  const int now_;
};

}  // namespace

HttpHandler EdgeService::Handler() {
  return [this](HttpServerRequest& request, HttpResponder& responder) { return Serve(request, responder); };
}

asio::awaitable<void> EdgeService::Serve(HttpServerRequest& request, HttpResponder& responder) {
  const auto start = clock_.MonotonicNow();
  const auto since_start = [start](Clock::Monotonic when) {
    return absl::ToDoubleMilliseconds(absl::FromChrono(when - start));
  };
  CallContext context;
  if (const absl::string_view id = request.headers.Get("x-request-id"); IsRequestId(id))
    context.request_id = std::string(id);
  if (context.request_id.empty()) context.request_id = absl::StrCat("req_", random_.NextHex(24));
  if (const absl::string_view trace = request.headers.Get("traceparent"); IsTraceparent(trace))
    context.traceparent = std::string(trace);
  HttpHeaders headers;
  headers.Add("x-request-id", context.request_id);

  RequestRecord record;
  record.error_form = ErrorFormOf(request.path);
  const bool probe = request.path == kHealth || request.path == kReadiness;
  co_await Route(request, responder, context, std::move(headers), record);
  if (probe) co_return;
  const bool gone = responder.scope().ended();
  LogInfo("request", {{"request_id", context.request_id},
                      {"method", request.method},
                      {"path", request.path},
                      {"model", record.model},
                      {"platform", record.platform},
                      {"status", record.http_status},
                      {"code", absl::StatusCodeToString(record.status.code())},
                      {"reason", record.status.ok() ? std::string() : ReasonName(ReasonOf(record.status))},
                      {"client_gone", gone},
                      {"first_content_ms", record.first_content ? since_start(*record.first_content) : -1.0},
                      {"duration_ms", since_start(clock_.MonotonicNow())}});
}

asio::awaitable<void> EdgeService::Route(HttpServerRequest& request, HttpResponder& responder,
                                         const CallContext& context, HttpHeaders headers, RequestRecord& record) {
  if (request.path == kHealth) {
    co_await SendJson(responder, std::move(headers), 200, R"({"status":"ok"})", record);
    co_return;
  }
  if (request.path == kReadiness) {
    co_await Ready(responder, context, std::move(headers), record);
    co_return;
  }
  const absl::Status guarded = options_.loopback_only ? CheckLocal(request.headers) : CheckOrigin(request.headers);
  if (!guarded.ok()) {
    co_await SendError(responder, std::move(headers), guarded, record);
    co_return;
  }
  if (const auto origin = request.headers.Find("origin")) {
    headers.Add("Access-Control-Allow-Origin", *origin);
    headers.Add("Access-Control-Expose-Headers", "x-request-id, retry-after, x-should-retry");
    headers.Add("Vary", "Origin");
  }
  const absl::string_view method = MethodOf(request.path);
  if (request.method == "OPTIONS" && !method.empty()) {
    constexpr int kNoContent = 204;
    headers.Add("Access-Control-Allow-Methods", absl::StrCat(method, ", OPTIONS"));
    const absl::string_view asked = request.headers.Get("access-control-request-headers");
    headers.Add("Access-Control-Allow-Headers",
                asked.empty() ? absl::string_view("authorization, content-type") : asked);
    headers.Add("Access-Control-Max-Age", "600");
    record.http_status = kNoContent;
    co_await responder.Send(kNoContent, std::move(headers), "");
    co_return;
  }
  if (method.empty()) {
    std::string body = HttpErrorBody(404,
                                     absl::StrCat("There is nothing at ", request.path.substr(0, 200),
                                                  ". The API is under /v1: /v1/chat/completions, /v1/completions, "
                                                  "/v1/responses, /v1/messages, /v1/models."),
                                     record.error_form, context.request_id);
    co_await SendJson(responder, std::move(headers), 404, std::move(body), record);
    co_return;
  }
  const bool head = request.method == "HEAD" && method == "GET";  // the server leaves the body out
  if (request.method != method && !head) {
    headers.Add("Allow", absl::StrCat(method, method == "GET" ? ", HEAD, OPTIONS" : ", OPTIONS"));
    const std::string what = absl::StrCat("Use ", method, " for ", request.path, ".");
    std::string body = request.method == "HEAD" ? "" : HttpErrorBody(405, what, record.error_form, context.request_id);
    co_await SendJson(responder, std::move(headers), 405, std::move(body), record);
    co_return;
  }
  if (method == "GET") {
    co_await Models(request, responder, context, std::move(headers), record);
    co_return;
  }
  const InFlight in_flight(in_flight_);
  if (in_flight.now() > options_.max_in_flight) {
    const absl::Status busy = MakeError(Reason::REASON_OVERLOADED, "the relay is serving as many requests as it may");
    co_await SendError(responder, std::move(headers), busy, record);
    co_return;
  }
  co_await ServeApi(*FindApi(request.path), request, responder, chat_, context, options_.turn, clock_, random_,
                    std::move(headers), record);
}

asio::awaitable<void> EdgeService::Models(HttpServerRequest& request, HttpResponder& responder,
                                          const CallContext& context, HttpHeaders headers, RequestRecord& record) {
  auto models = co_await chat_.ListModels(responder.scope(), context);
  if (!models.ok()) {
    co_await SendError(responder, std::move(headers), models.status(), record);
    co_return;
  }
  if (request.path == kModels) {
    std::string body = R"({"object":"list","data":[)";
    for (int i = 0; i < models->models_size(); ++i)
      absl::StrAppend(&body, i == 0 ? "" : ",", ModelObject(models->models(i)));
    co_await SendJson(responder, std::move(headers), 200, body + "]}", record);
    co_return;
  }
  const std::string id = request.path.substr(kModels.size() + 1);
  for (const chat::v1::Model& model : models->models()) {
    if (model.id() != id) continue;
    co_await SendJson(responder, std::move(headers), 200, ModelObject(model), record);
    co_return;
  }
  const std::string message =
      absl::StrCat("The model '", id.substr(0, 100), "' does not exist here. GET /v1/models lists those that do.");
  const absl::Status unknown = MakeError(Reason::REASON_MODEL_NOT_FOUND, message, {.field = "model"});
  co_await SendError(responder, std::move(headers), unknown, record);
}

asio::awaitable<void> EdgeService::Ready(HttpResponder& responder, const CallContext& context, HttpHeaders headers,
                                         RequestRecord& record) {
  bool ready = !draining_;
  if (ready) {
    const absl::Status late = MakeError(Reason::REASON_NO_BACKEND, "no answer in time");
    Scope bounded(responder.scope(), kReadyLimit, late);
    auto models = co_await chat_.ListModels(bounded, context);
    ready = models.ok();
  }
  co_await SendJson(responder, std::move(headers), ready ? 200 : 503,
                    ready ? R"({"status":"ready"})" : R"({"status":"not ready"})", record);
}

}  // namespace switchyard
