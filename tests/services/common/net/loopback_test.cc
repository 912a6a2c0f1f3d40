#include "services/common/net/loopback.h"

#include <gtest/gtest.h>

namespace switchyard {
namespace {

TEST(Loopback, Hosts) {
  for (const char* own : {"localhost", "LocalHost", "::1", "127.0.0.1", "127.1.2.3", "127.255.255.255"})
    EXPECT_TRUE(IsLoopbackHost(own)) << own;
  for (const char* other : {"", "127.evil.example", "127.0.0.1.example", "127.1", "127.0.0.", "127.0.0.1.", "127.0..1",
                            "127.0.0.0001", "localhost.example", "128.0.0.1", "0.0.0.0", "::", "::2", "[::1]"})
    EXPECT_FALSE(IsLoopbackHost(other)) << other;
}

TEST(Loopback, WhereToListen) {
  for (const char* own : {"127.0.0.1:8021", "localhost:0", "[::1]:8021", "unix:/run/x.sock"})
    EXPECT_TRUE(IsLoopbackListen(own)) << own;
  for (const char* other : {"", "127.0.0.1", "0.0.0.0:1", "[::]:1", "::1:1", "127.evil.example:1", "host:1", "[::1:1"})
    EXPECT_FALSE(IsLoopbackListen(other)) << other;
}

}  // namespace
}  // namespace switchyard
