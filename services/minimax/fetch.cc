#include "services/minimax/fetch.h"

#include <utility>

namespace switchyard::minimax {

namespace asio = boost::asio;

asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> SendSigned(Scope& scope, HttpClient& http,
                                                                          SignStream& signing, SignedParts parts) {
  auto signature = co_await signing.SignMiniMax(parts.to_sign);
  if (!signature.ok()) co_return MarkNothingReached(signature.status());
  HttpRequest request = Signed(std::move(parts), *signature);
  co_return co_await http.Send(scope, std::move(request));
}

asio::awaitable<absl::StatusOr<Answer>> ReadWhole(Scope& scope, HttpResponse& response) {
  auto body = co_await response.ReadAll(scope, kMaxDetail);
  if (!body.ok()) co_return body.status();
  Answer answer;
  answer.http_status = response.status();
  answer.headers = response.headers();
  answer.body = *std::move(body);
  co_return answer;
}

asio::awaitable<absl::StatusOr<Answer>> Fetch(Scope& scope, HttpClient& http, SignStream& signing, SignedParts parts) {
  auto response = co_await SendSigned(scope, http, signing, std::move(parts));
  if (!response.ok()) co_return response.status();
  co_return co_await ReadWhole(scope, **response);
}

}  // namespace switchyard::minimax
