// The bytes of a connection, by callbacks: what a WebSocket runs over, since it reads and writes at once. Internal to
// the HTTP client and server; lives on one executor.
#pragma once

#include "absl/functional/any_invocable.h"
#include "boost/asio/buffer.hpp"
#include "boost/system/error_code.hpp"
#include "services/common/async/scope.h"

namespace switchyard {

class ByteChannel {
 public:
  using Done = absl::AnyInvocable<void(boost::system::error_code error, size_t bytes)>;

  virtual ~ByteChannel() = default;

  virtual Executor executor() = 0;
  /// One read and one write at a time, of memory that stays until `done`; it is called on the executor, never within
  /// the call. Errors are the stream's own.
  virtual void ReadSome(boost::asio::mutable_buffer into, Done done) = 0;
  virtual void WriteSome(boost::asio::const_buffer from, Done done) = 0;
  /// What is under way ends with an error.
  virtual void Close() = 0;
};

}  // namespace switchyard
