// One TCP or TLS connection to an upstream, opened under limits. Internal to the HTTP client; lives on one executor.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "boost/asio/awaitable.hpp"
#include "boost/asio/buffer.hpp"
#include "services/common/async/scope.h"
#include "services/common/http/byte_channel.h"
#include "services/common/http/http_client.h"
#include "services/common/http/origin.h"
#include "services/common/metrics/metrics.h"

namespace boost::asio::ssl {
class context;
}

namespace switchyard {

class UpstreamConnection : public ByteChannel {
 public:
  /// At least one byte, or 0 at a proper end. DATA_LOSS for an end without TLS's farewell; UNAVAILABLE for a reset;
  /// the scope's status.
  virtual boost::asio::awaitable<absl::StatusOr<size_t>> Read(Scope& scope, boost::asio::mutable_buffer into) = 0;
  /// All of it. UNAVAILABLE, or the scope's status.
  virtual boost::asio::awaitable<absl::Status> Write(Scope& scope, absl::string_view bytes) = 0;
  /// Whether the peer is still there and silent, as one between requests should be.
  virtual bool IsIdleAndOpen() = 0;

  Held counted;
};

struct ConnectPlan {
  Origin origin;                       // whom to speak to
  std::optional<Origin> proxy;         // by way of this
  std::vector<std::string> addresses;  // of the origin; empty: its name is resolved
  absl::Duration connect_limit;
  absl::Duration tls_limit;
  bool tunnel = false;  // through the proxy to a plain origin, too: for what is not one request and its answer
};

/// Resolves, connects (all addresses, each 250 ms after the one before), asks the proxy, shakes hands. Errors as
/// documented for HttpClient::Send, all marked as having reached nothing.
boost::asio::awaitable<absl::StatusOr<std::unique_ptr<UpstreamConnection>>> OpenConnection(
    Scope& scope, ConnectPlan plan, boost::asio::ssl::context& tls);

}  // namespace switchyard
