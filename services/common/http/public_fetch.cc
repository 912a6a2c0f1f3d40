#include "services/common/http/public_fetch.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/common/http/origin.h"
#include "services/common/http/public_address.h"
#include "services/common/status/reason.h"
#include "services/common/text/views.h"

namespace switchyard {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr size_t kLongestUrl = 8 * 1024;
// Whether a name exists inside is nobody's business outside, so this is all that is said of one that does not serve.
constexpr char kNotPublic[] = "names a host that is not found at a public address";

absl::Status Wrong(absl::string_view what) { return absl::InvalidArgumentError(what); }
absl::Status TooLarge(size_t max_bytes) {
  return Wrong(absl::StrCat("is larger than ", max_bytes / (1024 * 1024), " MiB"));
}

asio::awaitable<absl::StatusOr<std::vector<std::string>>> ResolveBySystem(Scope& scope, std::string host) {
  tcp::resolver resolver(scope.executor());
  auto stop = scope.OnEnd([&resolver] { resolver.cancel(); });
  auto [error, results] = co_await resolver.async_resolve(host, std::string(), kTuple);
  std::vector<std::string> addresses;
  for (const auto& result : results) addresses.push_back(result.endpoint().address().to_string());
  co_return addresses;
}

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// Where a redirect leads; "" if it says nothing that can be understood.
std::string Resolved(const std::string& from, absl::string_view location) {
  auto base = boost::urls::parse_uri(from);
  auto reference = boost::urls::parse_uri_reference(boost::core::string_view(location.data(), location.size()));
  if (!base || !reference) return "";
  boost::urls::url to;
  if (!boost::urls::resolve(*base, *reference, to)) return "";
  return std::string(ToAbsl(to.buffer()));
}

asio::awaitable<absl::StatusOr<std::string>> ReadBounded(Scope& scope, HttpResponse& response, size_t max_bytes) {
  uint64_t announced = 0;
  const bool known = absl::SimpleAtoi(response.headers().Get("content-length"), &announced);
  if (known && announced > max_bytes) co_return TooLarge(max_bytes);
  std::string all;
  if (known) all.reserve(announced);
  for (;;) {
    auto piece = co_await response.Read(scope);
    if (!piece.ok()) co_return piece.status();
    if (piece->empty()) co_return all;
    if (all.size() + piece->size() > max_bytes) co_return TooLarge(max_bytes);
    all += *piece;
  }
}

}  // namespace

struct PublicFetcher::Target {
  std::string host, port;

  static absl::StatusOr<Target> Of(const std::string& url) {
    if (url.size() > kLongestUrl) return Wrong("is too long");
    auto origin = ParseOrigin(url);
    if (!origin.ok() || !origin->tls) return Wrong("must be an https URL");
    if (!origin->user_info.empty()) return Wrong("must not hold a user name or a password");
    return Target{std::move(origin->host), std::move(origin->port)};
  }
};

PublicFetcher::PublicFetcher(HttpClient& http)
    : PublicFetcher(http,
                    {.resolve = &ResolveBySystem, .may_connect = [](absl::string_view address, absl::string_view port) {
                       return port == "443" && IsPublicAddress(address);
                     }}) {}

asio::awaitable<absl::StatusOr<std::vector<std::string>>> PublicFetcher::Addresses(Scope& scope, const Target& target) {
  auto addresses = co_await network_.resolve(scope, target.host);
  if (scope.ended()) co_return scope.status();
  if (!addresses.ok() || addresses->empty()) co_return Wrong(kNotPublic);
  // One that is not public among public ones is a trap, not an accident.
  const bool good = std::all_of(addresses->begin(), addresses->end(),
                                [&](const std::string& address) { return network_.may_connect(address, target.port); });
  if (!good) co_return Wrong(kNotPublic);
  co_return addresses;
}

asio::awaitable<absl::StatusOr<std::string>> PublicFetcher::Fetch(Scope& scope, std::string url, Limits limits) {
  const absl::Status late = Wrong("takes too long to fetch");
  Scope bounded(scope, limits.time, late);
  for (int redirects = 0;; ++redirects) {
    auto target = Target::Of(url);
    if (!target.ok()) co_return target.status();
    auto addresses = co_await Addresses(bounded, *target);
    if (!addresses.ok()) co_return addresses.status();
    HttpRequest request;
    request.url = url;
    request.headers.Add("User-Agent", "Switchyard");
    request.headers.Add("Accept", "*/*");
    request.headers.Add("Accept-Encoding", "identity");
    request.addresses = *std::move(addresses);
    auto response = co_await http_.Send(bounded, std::move(request));
    if (bounded.ended()) co_return bounded.status();
    if (!response.ok()) {
      // The client itself reads no answer that announces more than it would ever take.
      const bool too_large = DetailOf(response.status()).cause() == "too_large";
      if (too_large) co_return TooLarge(limits.max_bytes);
      co_return Wrong("names a server that cannot be reached");
    }
    const int status = (*response)->status();
    if (IsRedirect(status)) {
      if (redirects == limits.max_redirects) co_return Wrong("redirects too often");
      url = Resolved(url, (*response)->headers().Get("location"));
      if (url.empty()) co_return Wrong("redirects to nowhere");
      continue;
    }
    if (status != 200) co_return Wrong(absl::StrCat("was answered with HTTP status ", status));
    auto bytes = co_await ReadBounded(bounded, **response, limits.max_bytes);
    if (bounded.ended()) co_return bounded.status();
    if (!bytes.ok() && bytes.status().code() != absl::StatusCode::kInvalidArgument)
      co_return Wrong("was not received whole");
    co_return bytes;
  }
}

}  // namespace switchyard
