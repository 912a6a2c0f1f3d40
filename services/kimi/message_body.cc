#include "services/kimi/message_body.h"

#include "services/common/status/reason.h"

namespace switchyard::kimi {

boost::asio::awaitable<absl::StatusOr<std::string>> MessageBody::Read(Scope& scope) {
  if (finished_) {
    co_await socket_->Close(scope);
    co_return std::string();
  }
  for (;;) {
    auto message = co_await socket_->Read(scope);
    if (!message.ok()) co_return message.status();
    if (!*message) co_return std::string();
    if (!(*message)->binary)
      co_return MakeError(Reason::REASON_UPSTREAM_CHANGED, "kimi's answer was not understood: a message is text",
                          {.cause = "envelope"});
    // An empty piece would be the end of the body.
    if (!(*message)->bytes.empty()) co_return std::move((*message)->bytes);
  }
}

}  // namespace switchyard::kimi
