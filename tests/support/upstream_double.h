// A scripted server: a thread, blocking sockets, TLS where it is asked for. Shares nothing with the product.
//
//   UpstreamDouble upstream([](UpstreamDouble::Peer& peer) {
//     peer.ReadRequest();
//     peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
//   });
//   … upstream.url("/") …
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace switchyard {

class UpstreamDouble {
 public:
  enum class Certificate { kNone, kGood, kSelfSigned, kWrongName, kExpired };

  /// One connection, for as long as the script runs; closed after it.
  class Peer {
   public:
    /// A whole request, body included; "" if the client closed.
    std::string ReadRequest();
    /// What comes next, as it comes; "" if the client closed.
    std::string Receive();
    void Send(const std::string& bytes);
    /// Ends the connection by RST. What the client has not read yet is lost to it.
    void Reset();
    /// The connection will end without TLS's own goodbye.
    void SkipGoodbye();
    /// Waits until the client closes.
    void AwaitClose();

   private:
    friend class UpstreamDouble;
    size_t ReceiveInto(char* buffer, size_t size);
    int socket_ = -1;
    SSL* tls_ = nullptr;
    UpstreamDouble* owner_ = nullptr;
  };
  using Script = std::function<void(Peer& peer)>;

  explicit UpstreamDouble(Script script, Certificate certificate = Certificate::kNone);
  ~UpstreamDouble();

  int port() const { return port_; }
  std::string url(const std::string& path) const;
  int connections() const { return connections_; }
  /// Every request that was read.
  std::vector<std::string> requests() const;
  /// PEM file with the authority behind kGood, kWrongName and kExpired.
  const std::string& ca_file() const { return ca_file_; }

 private:
  void Accept();
  void Serve(int socket);

  Script script_;
  SSL_CTX* tls_ = nullptr;
  std::string ca_file_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<bool> stopping_{false};
  mutable absl::Mutex mutex_;
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> peers_ ABSL_GUARDED_BY(mutex_);
  std::vector<int> sockets_ ABSL_GUARDED_BY(mutex_);
  std::thread acceptor_;
};

}  // namespace switchyard
