#include "services/session/refreshers/zhipu.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

std::string Jwt(const std::string& claims) { return absl::StrCat("eyJh.", absl::WebSafeBase64Escape(claims), ".c2ln"); }
const std::string kRefresh = Jwt(R"({"type":"refresh","device_id":"dev1","uid":"u","exp":1800000000})");
const std::string kAccess = Jwt(R"({"type":"access","device_id":"dev1","uid":"u","exp":1800000000})");

class NoHttp final : public HttpClient {
 public:
  boost::asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> Send(Scope&, HttpRequest) override {
    co_return absl::InternalError("nothing is sent here");
  }
  void CloseIdle() override {}
};

class ZhipuRefresherTest : public testing::Test {
 protected:
  NoHttp http_;
  SigningClient signing_{grpc::CreateChannel("127.0.0.1:1", grpc::InsecureChannelCredentials())};
  ZhipuRefresher refresher_{ProviderConfig(), {http_, signing_, SystemClock::Get(), SystemRandom::Get()}};
};

TEST_F(ZhipuRefresherTest, EveryWayToPasteATokenGivesTheToken) {
  for (const auto& [pasted, advised] : std::vector<std::pair<std::string, bool>>{
           {kRefresh, false},
           {" " + kRefresh + "\n", false},
           {"Bearer " + kRefresh, true},
           {"\"" + kRefresh + "\"", true},
           {"'" + kRefresh + "'", true},
           {R"({"refresh_token":")" + kRefresh + R"("})", true},
           {"a=b; chatglm_refresh_token=" + kRefresh + "; c=d", true},
       }) {
    auto normal = refresher_.Normalise(Secret(pasted));
    ASSERT_TRUE(normal.ok()) << normal.status();
    EXPECT_EQ(normal->value.Reveal(), kRefresh);
    EXPECT_TRUE(normal->exchanged);
    EXPECT_EQ(!normal->advice.empty(), advised) << pasted;
  }
  EXPECT_EQ(refresher_.MakeIdentity(Secret(kRefresh)).at("device_id"), "dev1");
}

TEST_F(ZhipuRefresherTest, AnAccessTokenIsUsedAsItIs) {
  auto normal = refresher_.Normalise(Secret(kAccess));
  ASSERT_TRUE(normal.ok());
  EXPECT_FALSE(normal->exchanged);
  EXPECT_NE(normal->advice, "");
  EXPECT_EQ(normal->expires, absl::FromUnixSeconds(1800000000));
}

TEST_F(ZhipuRefresherTest, WhatCannotBeATokenIsRefused) {
  for (const std::string& pasted :
       {std::string(), std::string("two words"), std::string("0123456789abcdef01234567"), std::string("{}"),
        std::string("other=cookie"), Jwt(R"({"type":"refresh","is_guest":true})")})
    EXPECT_FALSE(refresher_.Normalise(Secret(pasted)).ok()) << pasted;
}

TEST(ZhipuExchange, WhatItsAnswersMean) {
  const auto reason = [](int status, const char* body) {
    return ReasonName(ReasonOf(ReadZhipuExchange(status, body, Secret("sent"), absl::UnixEpoch()).status()));
  };
  EXPECT_EQ(reason(401, ""), "credential_expired");
  EXPECT_EQ(reason(200, R"({"status":40102,"message":"x"})"), "credential_expired");
  EXPECT_EQ(reason(200, R"({"status":1,"message":"expired 40102"})"), "credential_expired");
  EXPECT_EQ(reason(400, R"({"status":40012,"message":"bad request"})"), "client_refused");
  EXPECT_EQ(reason(403, "<html>"), "client_refused");
  EXPECT_EQ(reason(400, R"({"status":40014})"), "signature_refused");
  EXPECT_EQ(reason(500, R"({"status":500})"), "upstream_unavailable");
  EXPECT_EQ(reason(200, R"({"status":0,"result":{}})"), "upstream_changed");
  EXPECT_EQ(reason(200, R"({"status":0,"result":{"access_token":"a","is_guest":true}})"), "credential_expired");
  auto fresh = ReadZhipuExchange(
      200, absl::StrCat(R"({"status":0,"result":{"access_token":")", kAccess, R"(","refresh_token":"new"}})"),
      Secret("sent"), absl::UnixEpoch());
  ASSERT_TRUE(fresh.ok());
  EXPECT_EQ(fresh->expires, absl::FromUnixSeconds(1800000000));
  ASSERT_TRUE(fresh->rotated.has_value());
  EXPECT_EQ(fresh->rotated->Reveal(), "new");
}

}  // namespace
}  // namespace switchyard
