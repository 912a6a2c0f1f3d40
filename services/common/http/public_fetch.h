// Files that a request names by address, fetched without lending the relay's place in the network to whoever asks: over
// https alone, from addresses of the public internet alone.
//
//   PublicFetcher fetcher(http);
//   PublicFetcher::Limits limits{.max_bytes = 20 << 20};
//   auto bytes = co_await fetcher.Fetch(scope, "https://pictures.example/cat.png", limits);
//
// A name is resolved once; every address that it has must be public, and the connection is made to those and no other,
// through a proxy, too, which is given the address in place of the name. Each redirect is looked at from the start.
// TLS verifies the name. No cookies, no credentials.
//
// Thread-safe.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "boost/asio/awaitable.hpp"
#include "services/common/async/scope.h"
#include "services/common/http/http_client.h"

namespace switchyard {

class PublicFetcher {
 public:
  struct Limits {
    size_t max_bytes = 20 * 1024 * 1024;
    absl::Duration time = absl::Seconds(30);  // all redirects together
    int max_redirects = 3;
  };
  /// The network as a test has it. Programs use the other constructor.
  struct Network {
    /// The addresses of a host, as text.
    std::function<boost::asio::awaitable<absl::StatusOr<std::vector<std::string>>>(Scope& scope, std::string host)>
        resolve;
    std::function<bool(absl::string_view address, absl::string_view port)> may_connect;
  };

  /// @param http outlives it
  explicit PublicFetcher(HttpClient& http);
  PublicFetcher(HttpClient& http, Network network) : http_(http), network_(std::move(network)) {}

  /// What is at `url`. INVALID_ARGUMENT with what is wrong with it as a clause ("must be an https URL"), which names
  /// no address; the scope's own status.
  boost::asio::awaitable<absl::StatusOr<std::string>> Fetch(Scope& scope, std::string url, Limits limits);

 private:
  struct Target;
  boost::asio::awaitable<absl::StatusOr<std::vector<std::string>>> Addresses(Scope& scope, const Target& target);

  HttpClient& http_;
  Network network_;
};

}  // namespace switchyard
