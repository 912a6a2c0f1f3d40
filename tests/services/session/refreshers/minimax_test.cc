#include "services/session/refreshers/minimax.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "services/common/status/reason.h"
#include "services/minimax/responses.h"

namespace switchyard {
namespace {

class NoHttp final : public HttpClient {
 public:
  boost::asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> Send(Scope&, HttpRequest) override {
    co_return absl::InternalError("nothing is sent here");
  }
  void CloseIdle() override {}
};

std::string Jwt(const std::string& payload) {
  std::string encoded;
  absl::WebSafeBase64Escape(payload, &encoded);
  return absl::StrCat("eyJhbGciOiJIUzI1NiJ9.", encoded, ".c2lnbmF0dXJl");
}
const std::string kJwt = Jwt(R"({"exp":1774000000,"user":{"id":"450000000000000001","deviceID":98765432}})");
const std::string kLong = "450000000000000002+" + kJwt;

class MiniMaxNormalise : public testing::Test {
 protected:
  NoHttp http_;
  SigningClient signing_{grpc::CreateChannel("127.0.0.1:9", grpc::InsecureChannelCredentials())};  // not asked
  MiniMaxRefresher refresher_{ProviderConfig(), {http_, signing_, SystemClock::Get(), SystemRandom::Get()}};
};

TEST_F(MiniMaxNormalise, EveryWayToPasteATokenGivesTheToken) {
  struct Row {
    std::string pasted, token;
    bool advised;
  };
  for (const Row& row : {
           Row{kJwt, kJwt, false},
           Row{"  " + kJwt + "\r\n", kJwt, false},
           Row{kLong, kLong, false},
           Row{"Bearer " + kJwt, kJwt, true},
           Row{"\"" + kJwt + "\"", kJwt, true},
           Row{"'" + kLong + "'", kLong, true},
           Row{R"({"_token":")" + kJwt + "\"}", kJwt, true},
           Row{R"({"token":")" + kJwt + R"(","realUserID":"450000000000000002"})", kLong, true},
           Row{"other=1; _token=" + kJwt + "; more=2", kJwt, true},
           Row{kJwt.substr(0, 30) + "\n" + kJwt.substr(30), kJwt, true},
       }) {
    auto normal = refresher_.Normalise(Secret(row.pasted));
    ASSERT_TRUE(normal.ok()) << row.pasted << normal.status();
    EXPECT_EQ(normal->value.Reveal(), row.token) << row.pasted;
    EXPECT_EQ(!normal->advice.empty(), row.advised) << row.pasted << normal->advice;
    EXPECT_EQ(normal->advice.find(kJwt), std::string::npos);
    EXPECT_FALSE(normal->exchanged);
    EXPECT_EQ(normal->expires, absl::FromUnixSeconds(1774000000));
  }
}

TEST_F(MiniMaxNormalise, WhatIsNoTokenIsRefusedWithWhatItIs) {
  struct Row {
    std::string pasted;
    const char* said;
  };
  for (const Row& row : {
           Row{"", "empty"},
           Row{"450000000000000001", "number"},
           Row{R"({"realUserID":"450","name":"canary"})", "user_detail_agent"},
           Row{R"({"canary":1})", "JSON"},
           Row{"sk-canary", "paid API"},
           Row{kJwt.substr(0, 60), "cut"},
           Row{"canary", "_token"},
           Row{"a.canary.b", "_token"},
           Row{std::string(9000, 'a'), "_token"},
       }) {
    const absl::Status refused = refresher_.Normalise(Secret(row.pasted)).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << row.pasted;
    EXPECT_NE(refused.message().find(row.said), absl::string_view::npos) << refused;
    EXPECT_EQ(refused.message().find("canary"), absl::string_view::npos);
  }
}

TEST_F(MiniMaxNormalise, AGuestIsToldSo) {
  auto normal = refresher_.Normalise(Secret(Jwt(R"({"user":{"id":"1","isAnonymous":true}})")));
  ASSERT_TRUE(normal.ok());
  EXPECT_NE(normal->advice.find("guest"), std::string::npos);
  EXPECT_EQ(normal->expires, absl::InfiniteFuture());
}

TEST_F(MiniMaxNormalise, TheIdentityIsThatOfTheClaims) {
  const Identity identity = refresher_.MakeIdentity(Secret(kLong));
  EXPECT_EQ(identity.at("user_id"), "450000000000000002");
  EXPECT_EQ(identity.at("device_id"), "98765432");
  EXPECT_EQ(identity.at("uuid").size(), 36u);
  EXPECT_EQ(refresher_.MakeIdentity(Secret(kLong)), identity);
  EXPECT_EQ(refresher_.policy().lead, absl::Hours(168));
  EXPECT_FALSE(refresher_.policy().rotates) << "nobody reports that the old token dies";
}

TEST(MiniMaxAnswers, OfTheUserAndOfARenewal) {
  const auto read = [](const std::string& body) {
    minimax::Answer answer;
    answer.http_status = 200;
    answer.body = body;
    auto object = minimax::ReadAnswer(answer, absl::UnixEpoch());
    EXPECT_TRUE(object.ok()) << object.status();
    return object.ok() ? *object : boost::json::value();
  };
  EXPECT_TRUE(minimax::ReadUserInfo(read(R"({"statusInfo":{"code":0},"data":{"userInfo":{"realUserID":"4"}}})")).ok());
  EXPECT_EQ(ReasonOf(minimax::ReadUserInfo(read(R"({"statusInfo":{"code":0},"data":{}})"))),
            Reason::REASON_UPSTREAM_CHANGED);
  auto renewed = minimax::ReadRenewal(read(R"({"statusInfo":{"code":0},"data":{"token":")" + kJwt + "\"}}"));
  ASSERT_TRUE(renewed.ok());
  EXPECT_EQ(renewed->Reveal(), kJwt);
  EXPECT_FALSE(minimax::ReadRenewal(read(R"({"statusInfo":{"code":0},"data":{"token":"x"}})")).ok());
}

}  // namespace
}  // namespace switchyard
