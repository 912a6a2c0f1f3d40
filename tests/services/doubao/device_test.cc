#include "services/doubao/device.h"

#include <gtest/gtest.h>

#include <regex>

namespace switchyard::doubao {
namespace {

Account TestAccount(const std::string& token) {
  Account account;
  account.token = Secret(token);
  return account;
}
const std::string kSession = "0123456789abcdef0123456789abcdef";

TEST(Device, WhatIsStoredIsUsed) {
  Account account = TestAccount(kSession);
  account.identity = {{"device_id", "d"}, {"web_id", "w"}, {"tea_uuid", "t"}, {"fp", "f"}, {"web_tab_id", "b"}};
  const Device device = DeviceOf(account);
  EXPECT_EQ(device.device_id, "d");
  EXPECT_EQ(device.web_id, "w");
  EXPECT_EQ(device.tea_uuid, "t");
  EXPECT_EQ(device.fp, "f");
  EXPECT_EQ(device.web_tab_id, "b");
}

TEST(Device, WithoutAStoredOneItFollowsFromTheSession) {
  const Device device = DeviceOf(TestAccount(kSession));
  const Device again = DeviceOf(TestAccount("sessionid=" + kSession + "; sessionid_ss=" + kSession + "; ttwid=1"));
  EXPECT_EQ(device.device_id, again.device_id);
  EXPECT_EQ(device.fp, again.fp);
  EXPECT_EQ(device.web_tab_id, again.web_tab_id);
  EXPECT_EQ(device.tea_uuid, again.tea_uuid);
  EXPECT_NE(device.tea_uuid, device.device_id);
  EXPECT_NE(device.device_id, DeviceOf(TestAccount("f" + kSession.substr(1))).device_id);
  EXPECT_TRUE(std::regex_match(device.device_id, std::regex("7[0-9]{18}")));
  EXPECT_TRUE(std::regex_match(device.tea_uuid, std::regex("7[0-9]{18}")));
  EXPECT_TRUE(std::regex_match(
      device.fp,
      std::regex("verify_[0-9a-z]{8}_[0-9A-Za-z]{8}_[0-9A-Za-z]{4}_[0-9A-Za-z]{4}_[0-9A-Za-z]{4}_[0-9A-Za-z]{12}")))
      << device.fp;
  EXPECT_TRUE(std::regex_match(device.web_tab_id,
                               std::regex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")));
}

TEST(Device, TheOwnersBrowserComesFirst) {
  EXPECT_EQ(DeviceOf(TestAccount("sessionid=" + kSession + "; s_v_web_id=verify_mine")).fp, "verify_mine");
}

TEST(Cookies, ABareSessionIsSentTwice) {
  EXPECT_EQ(CookieOf(TestAccount("abc")), "sessionid=abc; sessionid_ss=abc");
  EXPECT_EQ(CookieOf(TestAccount("sessionid=a; x=y")), "sessionid=a; x=y");
}

}  // namespace
}  // namespace switchyard::doubao
