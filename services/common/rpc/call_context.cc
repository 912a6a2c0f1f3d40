#include "services/common/rpc/call_context.h"

#include <algorithm>

#include "services/common/trace/trace_context.h"

namespace switchyard {
namespace {

constexpr char kRequestIdKey[] = "x-request-id";
constexpr char kTraceparentKey[] = "traceparent";
constexpr char kTracestateKey[] = "tracestate";
// gRPC turns a far deadline into "none"; anything beyond a day is one.
constexpr auto kFarAway = std::chrono::hours(24);

std::string Metadata(const grpc::CallbackServerContext& server, const char* key) {
  const auto found = server.client_metadata().find(key);
  if (found == server.client_metadata().end()) return "";
  return {found->second.data(), found->second.size()};
}

}  // namespace

bool IsRequestId(absl::string_view text) {
  return !text.empty() && text.size() <= 128 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7F; });
}

std::string TraceIdOf(absl::string_view traceparent) {
  const auto context = ParseTraceparent(traceparent);
  return context ? context->trace_id : std::string();
}

Scope::Deadline FromSystemDeadline(std::chrono::system_clock::time_point deadline) {
  const auto now = std::chrono::system_clock::now();
  if (deadline > now + kFarAway) return Scope::Deadline::max();
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<std::chrono::steady_clock::duration>(deadline - now);
}

CallContext CallContext::FromServer(const grpc::CallbackServerContext& server) {
  CallContext context;
  context.request_id = Metadata(server, kRequestIdKey);
  if (!IsRequestId(context.request_id)) context.request_id.clear();
  if (const auto trace = ParseTraceparent(Metadata(server, kTraceparentKey))) {
    context.traceparent = FormatTraceparent(*trace);
    context.tracestate = Metadata(server, kTracestateKey);
    if (!IsTracestate(context.tracestate)) context.tracestate.clear();
  }
  context.deadline = FromSystemDeadline(server.deadline());
  return context;
}

// gRPC ends the process over a value that is not printable ASCII: what a caller said comes in by FromServer() or by the
// edge, and both let nothing else through.
void CallContext::ApplyTo(grpc::ClientContext& client) const {
  if (!request_id.empty()) client.AddMetadata(kRequestIdKey, request_id);
  if (!traceparent.empty()) client.AddMetadata(kTraceparentKey, traceparent);
  if (!traceparent.empty() && !tracestate.empty()) client.AddMetadata(kTracestateKey, tracestate);
  if (deadline != Scope::Deadline::max()) {
    client.set_deadline(
        std::chrono::system_clock::now() +
        std::chrono::duration_cast<std::chrono::system_clock::duration>(deadline - std::chrono::steady_clock::now()));
  }
}

CallContext CallContext::Until(Scope::Deadline sooner) const {
  CallContext bounded = *this;
  bounded.deadline = std::min(deadline, sooner);
  return bounded;
}

}  // namespace switchyard
