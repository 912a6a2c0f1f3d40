#include "services/session/refreshers/kimi.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

std::string Jwt(const std::string& kind) {
  return absl::StrCat(
      "eyJhbGciOiJIUzUxMiJ9.",
      absl::WebSafeBase64Escape(absl::StrCat(R"({"app_id":"kimi","typ":")", kind,
                                             R"(","device_id":"7300000000000000001","exp":1793000900})")),
      ".c2ln");
}

class NoHttp final : public HttpClient {
 public:
  boost::asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> Send(Scope&, HttpRequest) override {
    co_return absl::InternalError("nothing is sent here");
  }
  void CloseIdle() override {}
};

class KimiRefresherTest : public testing::Test {
 protected:
  KimiRefresherTest() : tools_{http_, signing_, SystemClock::Get(), SystemRandom::Get()} {}

  NoHttp http_;
  SigningClient signing_{grpc::CreateChannel("unix:nowhere", grpc::InsecureChannelCredentials())};
  RefresherTools tools_;
};

TEST_F(KimiRefresherTest, EveryWayToPasteATokenGivesTheToken) {
  const KimiRefresher refresher(ProviderConfig(), tools_);
  const std::string token = Jwt("refresh");
  std::string parts = token;
  for (size_t at = 0; (at = parts.find('.', at)) != std::string::npos; at += 3) parts.replace(at, 1, "\",\"");
  const std::vector<std::pair<std::string, bool>> cases = {
      {token, false},
      {" " + token + "\n", false},
      {"Bearer " + token, true},
      {"\"" + token + "\"", true},
      {"'" + token + "'", true},
      {token.substr(0, 30) + "\n" + token.substr(30), true},
      {R"({"access_token":")" + Jwt("access") + R"(","refresh_token":")" + token + "\"}", true},
      {"[\"" + parts + "\"]", true},
      {"a=b; refresh_token=" + token + "; c=d", true},
  };
  for (const auto& [pasted, advised] : cases) {
    auto normal = refresher.Normalise(Secret(pasted));
    ASSERT_TRUE(normal.ok()) << pasted << ": " << normal.status();
    EXPECT_EQ(normal->value.Reveal(), token) << pasted;
    EXPECT_TRUE(normal->exchanged);
    EXPECT_EQ(!normal->advice.empty(), advised) << pasted;
  }
}

TEST_F(KimiRefresherTest, AnAccessTokenIsUsedAsItIsWithAdvice) {
  const KimiRefresher refresher(ProviderConfig(), tools_);
  auto normal = refresher.Normalise(Secret("kimi-auth=" + Jwt("access")));
  ASSERT_TRUE(normal.ok());
  EXPECT_FALSE(normal->exchanged);
  EXPECT_EQ(normal->expires, absl::FromUnixSeconds(1793000900));
  EXPECT_NE(normal->advice, "");
  EXPECT_EQ(refresher.MakeIdentity(normal->value).at("device_id"), "7300000000000000001");
  EXPECT_EQ(refresher.MakeIdentity(Secret("x")).at("device_id").size(), 19u);
}

TEST_F(KimiRefresherTest, WhatCannotBeATokenIsRefusedAndNotQuoted) {
  const KimiRefresher refresher(ProviderConfig(), tools_);
  for (const char* pasted : {"", "canary", "sk-canary", "{\"canary\":1}", "eyJcanary", "a.b.canary"}) {
    const absl::Status refused = refresher.Normalise(Secret(pasted)).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << pasted;
    EXPECT_EQ(refused.message().find("canary"), absl::string_view::npos);
  }
}

TEST(KimiTokens, ArePutInEveryDocumentedPlace) {
  const std::string access = Jwt("access"), refresh = Jwt("refresh");
  for (const std::string& body :
       {R"({"accessToken":")" + access + R"(","refreshToken":")" + refresh + "\"}",
        R"({"data":{"access_token":")" + access + R"(","refresh_token":")" + refresh + "\"}}"}) {
    auto fresh = ReadKimiTokens(200, body);
    ASSERT_TRUE(fresh.ok()) << fresh.status();
    EXPECT_EQ(fresh->token.Reveal(), access);
    EXPECT_EQ(fresh->rotated->Reveal(), refresh);
    EXPECT_EQ(fresh->expires, absl::FromUnixSeconds(1793000900));
  }
  EXPECT_EQ(ReasonOf(ReadKimiTokens(401, "{}").status()), Reason::REASON_CREDENTIAL_EXPIRED);
  EXPECT_EQ(ReasonOf(ReadKimiTokens(500, "").status()), Reason::REASON_UPSTREAM_UNAVAILABLE);
  EXPECT_EQ(ReasonOf(ReadKimiTokens(200, "{}").status()), Reason::REASON_UPSTREAM_CHANGED);
  EXPECT_TRUE(ReadKimiSubscription(200, R"({"subscription":{}})").ok());
  EXPECT_EQ(ReasonOf(ReadKimiSubscription(401, "{}")), Reason::REASON_CREDENTIAL_EXPIRED);
  EXPECT_EQ(ReasonOf(ReadKimiSubscription(200, "{}")), Reason::REASON_UPSTREAM_CHANGED);
}

TEST(KimiAuthOrigin, IsDerivedFromTheSite) {
  EXPECT_EQ(KimiAuthOrigin("https://www.kimi.com", ""), "https://auth.kimi.com");
  EXPECT_EQ(KimiAuthOrigin("https://www.kimi.ai", ""), "https://auth.kimi.ai");
  EXPECT_EQ(KimiAuthOrigin("https://kimi.moonshot.cn", ""), "https://auth.kimi.com");
  EXPECT_EQ(KimiAuthOrigin("http://127.0.0.1:1/kimi", ""), "http://127.0.0.1:1/kimi");
  EXPECT_EQ(KimiAuthOrigin("https://www.kimi.com", "https://a.example"), "https://a.example");
}

}  // namespace
}  // namespace switchyard
