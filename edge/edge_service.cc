#include "edge/edge_service.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "edge/api.h"
#include "edge/error_body.h"
#include "services/common/catalogue/catalogue.h"
#include "services/common/log/log.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/trace/trace_context.h"

namespace switchyard {

namespace asio = boost::asio;

namespace {

constexpr absl::string_view kModels = "/v1/models";
constexpr absl::string_view kHealth = "/healthz";
constexpr absl::string_view kReadiness = "/readyz";
constexpr absl::Duration kReadyLimit = absl::Seconds(2);
constexpr absl::Duration kTellRefusedEvery = absl::Minutes(1);
constexpr int kNotImplemented = 501;

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
  record.body_bytes += static_cast<int64_t>(body.size());
  headers.Add("Content-Type", "application/json");
  const absl::Status sent = co_await responder.Send(status, std::move(headers), std::move(body));
  record.whole = sent.ok();
}

asio::awaitable<void> SendError(HttpResponder& responder, HttpHeaders headers, const absl::Status& status,
                                RequestRecord& record) {
  record.status = status;
  ErrorAnswer answer = MakeErrorAnswer(status, record.error_form, headers.Get("x-request-id"));
  record.http_status = answer.http_status;
  for (const auto& [name, value] : headers) answer.headers.Add(name, value);
  record.body_bytes += static_cast<int64_t>(answer.body.size());
  const absl::Status sent =
      co_await responder.Send(answer.http_status, std::move(answer.headers), std::move(answer.body));
  record.whole = sent.ok();
}

/// "chat/completions", "models"; "other" for a path that is none of the API's.
absl::string_view ApiLabel(absl::string_view path) {
  if (const Api* api = FindApi(path)) return absl::StripPrefix(api->path, "/v1/");
  return path == kModels || absl::StartsWith(path, absl::StrCat(kModels, "/")) ? "models" : "other";
}

/// How a request ended: one word for its line, its metrics and its span.
absl::Status OutcomeOf(const RequestRecord& record, bool gone) {
  if (!record.status.ok()) return record.status;
  if (gone && !record.whole) return absl::CancelledError("the client went away");
  if (record.http_status == kNotImplemented) return MakeError(Reason::REASON_INVALID_REQUEST, record.refused);
  if (record.http_status >= 500) return MakeError(Reason::REASON_INTERNAL, record.refused);
  if (record.http_status >= 400) return MakeError(Reason::REASON_INVALID_REQUEST, record.refused);
  return absl::OkStatus();
}

/// What the span of a request says.
void SetOutcome(Span& span, const std::string& method, absl::string_view api, const RequestRecord& record,
                const absl::Status& status) {
  if (!span.recording()) return;
  // A route is a pattern of ours, and no caller's words.
  const std::string route = api == "other" ? std::string() : absl::StrCat("/v1/", api);
  span.Rename(route.empty() ? method : absl::StrCat(method, " ", route));
  span.Set("http.request.method", method);
  if (!route.empty()) span.Set("http.route", route);
  if (record.http_status != 0) span.Set("http.response.status_code", record.http_status);
  if (!record.model.empty()) {
    span.Set("gen_ai.operation.name", "chat");
    span.Set("gen_ai.provider.name", record.platform);
    span.Set("gen_ai.request.model", record.model);
  }
  if (!status.ok()) span.Fail(ReasonLabel(status));
}

/// What asks every few seconds, and is neither counted nor told of, nor screened.
bool IsProbe(const HttpServerRequest& request) {
  return (request.path == kHealth || request.path == kReadiness) &&
         (request.method == "GET" || request.method == "HEAD");
}

absl::Status TooBusy() {
  return MakeError(Reason::REASON_OVERLOADED, "the relay is serving as many requests as it may");
}

std::string ModelObject(const chat::v1::Model& model) {
  std::string out = R"({"id":)";
  AppendJsonString(out, model.id());
  absl::StrAppend(&out, R"(,"object":"model","created":)", model.created().seconds(), R"(,"owned_by":)");
  AppendJsonString(out, model.owned_by());
  return out + "}";
}

chat::v1::ListModelsResponse CatalogueOf(absl::string_view platform) {
  chat::v1::ListModelsResponse all;
  for (const ModelEntry& entry : AllModels()) {
    if (entry.platform != platform) continue;
    chat::v1::Model& model = *all.add_models();
    model.set_id(std::string(entry.id));
    model.set_owned_by(std::string(VendorOf(platform)));
    model.mutable_created()->set_seconds(absl::ToUnixSeconds(CatalogueDate()));
  }
  return all;
}

}  // namespace

std::vector<absl::string_view> ApiLabels() {
  std::vector<absl::string_view> labels;
  for (const absl::string_view path : ApiPaths()) labels.push_back(ApiLabel(path));
  return labels;
}

HttpHandler EdgeService::Handler() {
  return [this](HttpServerRequest& request, HttpResponder& responder) { return Serve(request, responder); };
}

EdgeService::Exchange EdgeService::Open(const HttpServerRequest& request) {
  Exchange exchange;
  exchange.start = clock_.MonotonicNow();
  CallContext& context = exchange.context;
  if (const absl::string_view id = request.headers.Get("x-request-id"); IsRequestId(id))
    context.request_id = std::string(id);
  if (context.request_id.empty()) context.request_id = absl::StrCat("req_", random_.NextHex(24));
  if (const auto trace = ParseTraceparent(request.headers.Get("traceparent"))) {
    context.traceparent = FormatTraceparent(*trace);
    if (const absl::string_view state = request.headers.Get("tracestate"); IsTracestate(state))
      context.tracestate = std::string(state);
  }
  exchange.headers.Add("x-request-id", context.request_id);
  exchange.record.error_form = ErrorFormOf(request.path);
  exchange.api = ApiLabel(request.path);
  return exchange;
}

void EdgeService::Close(const HttpServerRequest& request, Exchange& exchange, bool gone) const {
  const RequestRecord& record = exchange.record;
  if (IsProbe(request) && record.refused.empty()) return;
  const auto now = clock_.MonotonicNow();
  const auto since_start = [&exchange](Clock::Monotonic when) {
    return absl::ToDoubleMilliseconds(absl::FromChrono(when - exchange.start));
  };
  const absl::Status status = OutcomeOf(record, gone);
  Metrics& metrics = Metrics::Get();
  metrics.RequestDone({.api = exchange.api,
                       .platform = record.platform,
                       .model = record.model,
                       .http_status = record.http_status,
                       .status = status,
                       .duration = absl::FromChrono(now - exchange.start)});
  metrics.ResponseBytes(exchange.api).Increment(static_cast<double>(record.body_bytes));
  if (status.code() == absl::StatusCode::kCancelled) metrics.ClientsGone(exchange.api).Increment();
  if (record.first_content) {
    metrics.TimeToFirstToken(record.platform, record.model)
        .Observe(absl::ToDoubleSeconds(absl::FromChrono(*record.first_content - exchange.start)));
  }
  SetOutcome(exchange.span, request.method, exchange.api, record, status);
  exchange.span.Set("switchyard.request_id", exchange.context.request_id);
  exchange.span.End();
  LogInfo("request", {{"request_id", exchange.context.request_id},
                      {"trace_id", TraceIdOf(exchange.context.traceparent)},
                      {"api", exchange.api},
                      {"caller", exchange.caller.name()},
                      {"method", request.method},
                      {"path", request.path},
                      {"model", record.model},
                      {"platform", record.platform},
                      {"status", record.http_status},
                      {"code", absl::StatusCodeToString(status.code())},
                      {"reason", status.ok() ? std::string() : ReasonLabel(status)},
                      {"refused", record.refused},
                      {"client_gone", gone},
                      {"first_content_ms", record.first_content ? since_start(*record.first_content) : -1.0},
                      {"bytes", record.body_bytes},
                      {"duration_ms", since_start(now)}});
}

std::optional<HttpRefusal> EdgeService::Screen(const HttpServerRequest& request, Exchange& exchange) const {
  if (IsProbe(request)) return std::nullopt;
  Admission admission = gate_.Look(request, MethodOf(request.path));
  exchange.caller = std::move(admission.caller);
  for (const auto& [name, value] : admission.headers) exchange.headers.Add(name, value);
  RequestRecord& record = exchange.record;
  record.http_status = admission.http_status;
  record.status = admission.status;
  if (admission.admitted() && request.method == "POST" && in_flight_.full()) {
    record.status = TooBusy();
    Metrics::Get().Refusals(Metrics::Limit::kAdmission).Increment();
  }
  if (!record.status.ok()) {
    ErrorAnswer answer = MakeErrorAnswer(record.status, record.error_form, exchange.context.request_id);
    record.http_status = answer.http_status;
    for (const auto& [name, value] : exchange.headers) answer.headers.Add(name, value);
    return HttpRefusal{answer.http_status, std::move(answer.headers), std::move(answer.body)};
  }
  if (admission.admitted()) return std::nullopt;
  HttpRefusal refusal{admission.http_status, exchange.headers, ""};
  if (!admission.message.empty()) {
    refusal.headers.Add("Content-Type", "application/json");
    refusal.body =
        HttpErrorBody(admission.http_status, admission.message, record.error_form, exchange.context.request_id);
  }
  return refusal;
}

std::optional<HttpRefusal> EdgeService::CheckHeader(const HttpServerRequest& request) {
  Exchange exchange = Open(request);
  auto refusal = Screen(request, exchange);
  if (refusal) Close(request, exchange, false);
  return refusal;
}

std::string EdgeService::RefusalBody(const HttpServerRequest* request, int status, absl::string_view message,
                                     HttpHeaders& headers) {
  // Without a header nothing is known but that somebody was there.
  const HttpServerRequest unread;
  const HttpServerRequest& known = request != nullptr ? *request : unread;
  Exchange exchange = Open(known);
  Admission admission = gate_.Look(known, MethodOf(known.path));
  exchange.caller = std::move(admission.caller);
  exchange.record.http_status = status;
  exchange.record.refused = std::string(message);
  for (const auto& [name, value] : exchange.headers) headers.Add(name, value);
  for (const auto& [name, value] : admission.headers) headers.Add(name, value);
  const std::string& id = exchange.context.request_id;
  if (exchange.record.error_form == ErrorForm::kAnthropic) headers.Add("request-id", id);
  std::string body = HttpErrorBody(status, message, exchange.record.error_form, id);
  Close(known, exchange, false);
  return body;
}

void EdgeService::BodyLost(const HttpServerRequest& request) {
  Exchange exchange = Open(request);
  exchange.caller = gate_.Look(request, MethodOf(request.path)).caller;
  exchange.record.refused = "The client left before the end of the request body.";
  Close(request, exchange, true);
}

void EdgeService::ConnectionRefused(ConnectionLimit limit, const std::string& address) {
  Metrics::Get().ConnectionsRefused(limit == ConnectionLimit::kAddress).Increment();
  const auto now = clock_.MonotonicNow();
  int64_t more = 0;
  {
    absl::MutexLock lock(&refused_mutex_);
    if (refused_told_ && now - *refused_told_ < absl::ToChronoNanoseconds(kTellRefusedEvery)) {
      ++refused_untold_;
      return;
    }
    refused_told_ = now;
    more = std::exchange(refused_untold_, 0);
  }
  LogWarning("connection_refused", {{"limit", limit == ConnectionLimit::kAddress ? "address" : "all"},
                                    {"address", address},
                                    {"untold_before", more}});
}

asio::awaitable<void> EdgeService::Serve(HttpServerRequest& request, HttpResponder& responder) {
  Exchange exchange = Open(request);
  if (!IsProbe(request)) {
    CallContext& context = exchange.context;
    exchange.span = Span::Start(exchange.api, SpanKind::kServer, context.traceparent, context.tracestate);
    context.traceparent = exchange.span.traceparent();
  }
  // Again, with the body there: what it decides about the caller is needed now, and a key may have been revoked.
  auto refusal = Screen(request, exchange);
  if (refusal) {
    const absl::Status sent =
        co_await responder.Send(refusal->status, std::move(refusal->headers), std::move(refusal->body));
    exchange.record.whole = sent.ok();
  } else {
    co_await Route(request, responder, exchange);
  }
  // It also ends when the server stops, and then the client has been told.
  Close(request, exchange, responder.scope().status().code() == absl::StatusCode::kCancelled);
}

asio::awaitable<void> EdgeService::Route(HttpServerRequest& request, HttpResponder& responder, Exchange& exchange) {
  RequestRecord& record = exchange.record;
  if (request.path == kHealth) {
    co_await SendJson(responder, std::move(exchange.headers), 200, R"({"status":"ok"})", record);
    co_return;
  }
  if (request.path == kReadiness) {
    co_await Ready(responder, exchange);
    co_return;
  }
  if (request.method != "POST") {
    co_await Models(request, responder, exchange);
    co_return;
  }
  const auto turn = exchange.caller.Begin(exchange.start);
  exchange.caller.SetLimitHeaders(exchange.headers, exchange.start);
  const auto place = in_flight_.Enter();
  if (!turn.ok() || !place) {
    const absl::Status refused = turn.ok() ? TooBusy() : turn.status();
    Metrics::Get().Refusals(turn.ok() ? Metrics::Limit::kAdmission : Metrics::Limit::kRate).Increment();
    co_await SendError(responder, std::move(exchange.headers), refused, record);
    co_return;
  }
  const Held shown(Metrics::Get().RequestsInFlight());
  co_await ServeApi(*FindApi(request.path), request, responder, chat_, exchange.caller, exchange.context, options_.turn,
                    clock_, random_, std::move(exchange.headers), record);
}

asio::awaitable<void> EdgeService::Models(HttpServerRequest& request, HttpResponder& responder, Exchange& exchange) {
  const Caller& caller = exchange.caller;
  auto models = co_await models_.Get(responder.scope(), exchange.context);
  if (!models.ok()) {
    co_await SendError(responder, std::move(exchange.headers), models.status(), exchange.record);
    co_return;
  }
  // A token that the caller brought along needs no account of ours.
  if (!caller.own_platform().empty()) *models = CatalogueOf(caller.own_platform());
  if (request.path == kModels) {
    std::string list;
    for (const chat::v1::Model& model : models->models()) {
      if (caller.MayUse(model.id())) absl::StrAppend(&list, list.empty() ? "" : ",", ModelObject(model));
    }
    std::string body = absl::StrCat(R"({"object":"list","data":[)", list, "]}");
    co_await SendJson(responder, std::move(exchange.headers), 200, std::move(body), exchange.record);
    co_return;
  }
  const std::string id = request.path.substr(kModels.size() + 1);
  for (const chat::v1::Model& model : models->models()) {
    if (model.id() != id || !caller.MayUse(id)) continue;
    co_await SendJson(responder, std::move(exchange.headers), 200, ModelObject(model), exchange.record);
    co_return;
  }
  const std::string message =
      absl::StrCat("The model '", id.substr(0, 100), "' does not exist here. GET /v1/models lists those that do.");
  const absl::Status unknown = MakeError(Reason::REASON_MODEL_NOT_FOUND, message, {.field = "model"});
  co_await SendError(responder, std::move(exchange.headers), unknown, exchange.record);
}

asio::awaitable<void> EdgeService::Ready(HttpResponder& responder, Exchange& exchange) {
  bool ready = !draining_;
  if (ready) {
    const absl::Status late = MakeError(Reason::REASON_NO_BACKEND, "no answer in time");
    Scope bounded(responder.scope(), kReadyLimit, late);
    auto models = co_await models_.Get(bounded, exchange.context);
    ready = models.ok() && !draining_;
  }
  co_await SendJson(responder, std::move(exchange.headers), ready ? 200 : 503,
                    ready ? R"({"status":"ready"})" : R"({"status":"not ready"})", exchange.record);
}

}  // namespace switchyard
