#include "services/common/rpc/server_host.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "grpcpp/client_context.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/byte_buffer.h"
#include "switchyard/chat/v1/chat.grpc.pb.h"

namespace switchyard {
namespace {

/// grpc.health.v1.HealthCheckResponse: one field, 1 for SERVING and 2 for NOT_SERVING.
std::string Health(ServerHost& host) {
  grpc::GenericStub stub(host.InProcessChannel());
  grpc::ClientContext context;
  const grpc::Slice nothing("");
  const grpc::ByteBuffer request(&nothing, 1);
  grpc::ByteBuffer response;
  absl::Notification done;
  stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::StubOptions(), &request, &response,
                 [&done](grpc::Status) { done.Notify(); });
  done.WaitForNotification();
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!response.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& one : slices) bytes.append(reinterpret_cast<const char*>(one.begin()), one.size());
  return bytes;
}

// Whoever says "serving" at the same moment does not have the last word.
TEST(ServerHost, OneThatDrainsDoesNotServeAgain) {
  constexpr int kTries = 200;
  chat::v1::ChatService::CallbackService service;
  for (int i = 0; i < kTries; ++i) {
    auto host = ServerHost::Start({}, {&service});
    ASSERT_TRUE(host.ok()) << host.status();
    if (i == 0) {
      (*host)->SetServing(false);
      EXPECT_EQ(Health(**host), "\x08\x02");
      (*host)->SetServing(true);
      EXPECT_EQ(Health(**host), "\x08\x01");
    }
    std::atomic<bool> running{false}, drained{false};
    std::thread other([&] {
      while (!drained) {
        (*host)->SetServing(true);
        running = true;
      }
    });
    while (!running) std::this_thread::yield();
    (*host)->Drain();
    drained = true;
    other.join();
    ASSERT_EQ(Health(**host), "\x08\x02") << i;
  }
}

}  // namespace
}  // namespace switchyard
