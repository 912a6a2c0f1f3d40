// An HttpClient that counts what goes to one platform and, within a trace, makes it a span, in front of another that
// does the work.
//
//   ObservedHttpClient http(client, "kimi", context.traceparent);
//
// A span lasts until the answer's body has been read, or dropped; it names host and path, and nothing of a query or a
// header. The platform is told nothing of the trace: it is another party, and a header that its own client does not
// send would stand out.
//
// Thread-safe. Its responses do not refer to it.
#pragma once

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "services/common/http/http_client.h"

namespace switchyard {

class ObservedHttpClient final : public HttpClient {
 public:
  /// `client` outlives it. @param traceparent of the span that calls; "" for no spans
  ObservedHttpClient(HttpClient& client, absl::string_view platform, absl::string_view traceparent = "")
      : client_(client), platform_(platform), traceparent_(traceparent) {}

  boost::asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> Send(Scope& scope,
                                                                             HttpRequest request) override;
  boost::asio::awaitable<absl::StatusOr<WebSocketAnswer>> OpenWebSocket(Scope& scope, HttpRequest handshake,
                                                                        size_t max_message_bytes) override;
  void CloseIdle() override { client_.CloseIdle(); }

 private:
  HttpClient& client_;
  const std::string platform_;
  const std::string traceparent_;
};

}  // namespace switchyard
