// A client whose host is gone: on a network of the test's own, which can be cut without anybody's leave.
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/async/runtime.h"
#include "services/common/async/sleep.h"
#include "services/common/http/http_server.h"
#include "tests/support/http_probe.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;

constexpr absl::Duration kLimit = absl::Seconds(2);

/// Before any thread is there. @return whether this process has a network of its own now
bool LeaveTheNetwork() { return unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0; }

/// Up, or cut: packets are then neither delivered nor acknowledged, and nobody is told.
void SetLoopback(bool up) {
  const int any = socket(AF_INET, SOCK_DGRAM, 0);
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", sizeof request.ifr_name - 1);
  EXPECT_EQ(ioctl(any, SIOCGIFFLAGS, &request), 0);
  request.ifr_flags = static_cast<short>(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
  EXPECT_EQ(ioctl(any, SIOCSIFFLAGS, &request), 0);
  close(any);
}

class VanishedClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    static const bool own_network = LeaveTheNetwork();
    if (!own_network) GTEST_SKIP() << "needs a network namespace of its own";
    SetLoopback(true);
    HttpServerOptions options;
    options.vanish_limit = kLimit;
    runtime_ = std::make_unique<Runtime>(Runtime::Options{.threads = 1});
    auto server = HttpServer::Listen(*runtime_, options, [this](HttpServerRequest& request, HttpResponder& responder) {
      return Serve(request, responder);
    });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void TearDown() override {
    if (!server_) return;
    server_->Shutdown(absl::ZeroDuration(), absl::CancelledError("over"));
    runtime_->Stop();
  }

  /// Writes a piece of so many bytes, then waits for so many milliseconds, and again: "/1000/10".
  asio::awaitable<void> Serve(HttpServerRequest& request, HttpResponder& responder) {
    const size_t slash = request.path.find('/', 1);
    const std::string piece(std::stoul(request.path.substr(1, slash)), 'x');
    const absl::Duration pause = absl::Milliseconds(std::stol(request.path.substr(slash + 1)));
    HttpHeaders headers;
    absl::Status written = co_await responder.Begin(200, std::move(headers));
    while (written.ok()) {
      written = co_await responder.Write(piece);
      ++written_;
      co_await Sleep(responder.scope(), pause);
    }
    gone_ = true;
  }

  /// @return how long it took to be noticed
  absl::Duration Vanish() {
    const absl::Time since = absl::Now();
    SetLoopback(false);
    EXPECT_TRUE(Eventually([&] { return gone_.load(); }));
    return absl::Now() - since;
  }

  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<HttpServer> server_;
  std::atomic<int> written_{0};
  std::atomic<bool> gone_{false};
};

// The limit, and what a busy machine takes to run a timer.
const absl::Duration kNoticed = kLimit + absl::Seconds(1);

TEST_F(VanishedClientTest, IsNoticedByAStreamThatWritesOften) {
  HttpProbe probe(server_->port());
  probe.Request("GET", "/100/20", "");
  ASSERT_TRUE(probe.ReadUntil("xxx"));
  EXPECT_LT(Vanish(), kNoticed);
}

TEST_F(VanishedClientTest, IsNoticedByAStreamThatWritesSeldom) {
  HttpProbe probe(server_->port());
  probe.Request("GET", "/100/1000", "");
  ASSERT_TRUE(probe.ReadUntil("xxx"));
  EXPECT_LT(Vanish(), kNoticed);
}

TEST_F(VanishedClientTest, IsNoticedByASilentStream) {
  HttpProbe probe(server_->port());
  probe.Request("GET", "/100/60000", "");
  ASSERT_TRUE(probe.ReadUntil("xxx"));
  EXPECT_LT(Vanish(), kNoticed);
}

TEST_F(VanishedClientTest, IsNoticedByAWriteThatWaitsForRoom) {
  HttpProbe probe(server_->port());
  probe.Request("GET", "/100000/1", "");
  ASSERT_TRUE(probe.ReadUntil("xxx"));
  SetLoopback(false);  // while it can still write, and on until the buffer is full
  EXPECT_LT(Vanish(), kNoticed);
  EXPECT_LT(written_, 1000) << "all was taken by somebody";
}

}  // namespace
}  // namespace switchyard
