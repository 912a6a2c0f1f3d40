#include "services/common/net/host_port.h"

#include <gtest/gtest.h>

#include <string>

namespace switchyard {
namespace {

struct Case {
  const char* text;
  const char* host;
  int port;
};

TEST(HostPort, HostsAndAddresses) {
  for (const Case& one :
       {Case{"127.0.0.1:8000", "127.0.0.1", 8000}, Case{"[::1]:9090", "::1", 9090}, Case{"[::]:0", "::", 0},
        Case{"relay.example:65535", "relay.example", 65535}, Case{":8000", "", 8000}, Case{"a:00080", "a", 80}}) {
    const auto parsed = ParseHostPort(one.text);
    ASSERT_TRUE(parsed.has_value()) << one.text;
    EXPECT_EQ(parsed->host, one.host) << one.text;
    EXPECT_EQ(parsed->port, one.port) << one.text;
  }
}

TEST(HostPort, WhatIsNone) {
  for (const char* text : {"",        "127.0.0.1", "8000",           "a:",       "a:b",       "a:65536", "a:-1",
                           "a:+1",    "a: 1",      "a:1 ",           "a:000080", "::1:8000",  "::1",     "[::1]",
                           "[::1:80", "::1]:80",   "[127.0.0.1]:80", "[]:80",    "[::1]x:80", "a:1:2"})
    EXPECT_FALSE(ParseHostPort(text).has_value()) << text;
}

TEST(HostPort, AsAText) {
  EXPECT_EQ(JoinHostPort("127.0.0.1", 80), "127.0.0.1:80");
  EXPECT_EQ(JoinHostPort("::1", 80), "[::1]:80");
  EXPECT_EQ(JoinHostPort("", 80), ":80");
}

}  // namespace
}  // namespace switchyard
