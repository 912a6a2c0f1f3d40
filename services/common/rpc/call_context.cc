#include "services/common/rpc/call_context.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace switchyard {
namespace {

constexpr char kRequestIdKey[] = "x-request-id";
constexpr char kTraceparentKey[] = "traceparent";
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

bool IsTraceparent(absl::string_view text) {
  // version "-" trace-id "-" parent-id "-" flags. Source: W3C Trace Context, section 3.2.
  if (text.size() != 55 || text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i == 2 || i == 35 || i == 52) continue;
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(text[i])) ||
        absl::ascii_isupper(static_cast<unsigned char>(text[i])))
      return false;
  }
  return text.substr(0, 2) != "ff";
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
  context.traceparent = Metadata(server, kTraceparentKey);
  if (!IsTraceparent(context.traceparent)) context.traceparent.clear();
  context.deadline = FromSystemDeadline(server.deadline());
  return context;
}

void CallContext::ApplyTo(grpc::ClientContext& client) const {
  if (!request_id.empty()) client.AddMetadata(kRequestIdKey, request_id);
  if (!traceparent.empty()) client.AddMetadata(kTraceparentKey, traceparent);
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
