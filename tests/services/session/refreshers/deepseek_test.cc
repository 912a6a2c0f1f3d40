#include "services/session/refreshers/deepseek.h"

#include <gtest/gtest.h>

#include "services/common/status/reason.h"

namespace switchyard {
namespace {

const std::string kToken = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4";

class NoHttp final : public HttpClient {
 public:
  boost::asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> Send(Scope&, HttpRequest) override {
    co_return absl::InternalError("nothing is sent here");
  }
  void CloseIdle() override {}
};

TEST(DeepSeekNormalise, EveryWayToPasteATokenGivesTheToken) {
  NoHttp http;
  const DeepSeekRefresher refresher(ProviderConfig(), http);
  const std::vector<std::pair<std::string, bool>> cases = {
      {kToken, false},
      {"  " + kToken + "\n", false},
      {"Bearer " + kToken, true},
      {"bearer   " + kToken, true},
      {R"({"value":")" + kToken + R"(","__version":"0"})", true},
      {R"({"value":"Bearer )" + kToken + R"("})", true},
      {R"("{\"value\":\")" + kToken + R"(\",\"__version\":\"0\"}")", true},
      {"\"" + kToken + "\"", true},
      {"'" + kToken + "'", true},
  };
  for (const auto& [pasted, advised] : cases) {
    auto normal = refresher.Normalise(Secret(pasted));
    ASSERT_TRUE(normal.ok()) << pasted << ": " << normal.status();
    EXPECT_EQ(normal->value.Reveal(), kToken) << pasted;
    EXPECT_EQ(!normal->advice.empty(), advised) << pasted;
    EXPECT_EQ(normal->advice.find(kToken), std::string::npos);
  }
}

TEST(DeepSeekNormalise, WhatCannotBeATokenIsRefusedAndNotQuoted) {
  NoHttp http;
  const DeepSeekRefresher refresher(ProviderConfig(), http);
  for (const std::string& pasted :
       {std::string(), std::string("canary with spaces in it, long enough"), std::string(5000, 'a'),
        std::string("{\"canary\":1234567890}"), std::string("{\"value\":{}}xxxxx"),
        std::string("canary\xE4\xB8\xAD\xE6\x96\x87 long enough"), std::string("userToken=canary; other=1")}) {
    const absl::Status refused = refresher.Normalise(Secret(pasted)).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << pasted;
    EXPECT_EQ(refused.message().find("canary"), absl::string_view::npos);
  }
}

struct Answer {
  int status;
  std::string type;
  std::string body;
  std::optional<Reason> reason;  // nullopt: valid
};

TEST(DeepSeekCheck, EveryAnswerHasItsMeaning) {
  const std::string json = "application/json";
  const auto user = [](const std::string& chat) {
    return R"({"code":0,"msg":"","data":{"biz_code":0,"biz_msg":"","biz_data":{"id":"u","token":"t","chat":)" + chat +
           "}}}";
  };
  const std::vector<Answer> cases = {
      {200, json, user(R"({"is_muted":0,"mute_until":null})"), std::nullopt},
      {200, "application/json; charset=utf-8", user(R"({"is_muted":0,"mute_until":0})"), std::nullopt},
      {200, json, R"({"code":0,"data":{"biz_code":0,"biz_data":{}}})", std::nullopt},
      {200, json, user(R"({"is_muted":1,"mute_until":1793003600})"), Reason::REASON_ACCOUNT_MUTED},
      {200, json, R"j({"code":40003,"msg":"Authorization Failed (invalid token)","data":null})j",
       Reason::REASON_CREDENTIAL_EXPIRED},
      {200, json, R"({"code":40001,"msg":"","data":null})", Reason::REASON_CREDENTIAL_EXPIRED},
      {200, json, R"({"code":0,"data":{"biz_code":40002,"biz_data":null}})", Reason::REASON_CREDENTIAL_EXPIRED},
      {401, json, "{}", Reason::REASON_CREDENTIAL_EXPIRED},
      {403, json, "{}", Reason::REASON_CREDENTIAL_EXPIRED},
      {403, "text/html", "<html>", Reason::REASON_CLIENT_REFUSED},
      {202, "", "", Reason::REASON_CLIENT_REFUSED},
      {200, json, R"({"code":0,"data":{"biz_code":5,"biz_msg":"muted","biz_data":{"mute_until":"1793003600"}}})",
       Reason::REASON_ACCOUNT_MUTED},
      {200, json, R"({"code":0,"data":{"biz_code":10,"biz_data":null}})", Reason::REASON_ACCOUNT_BANNED},
      {200, json, R"({"code":0,"data":{"biz_code":11,"biz_data":null}})", Reason::REASON_CLIENT_REFUSED},
      {200, json, R"({"code":1001,"data":null})", Reason::REASON_RATE_LIMITED},
      {200, json, R"({"code":1201,"data":null})", Reason::REASON_RATE_LIMITED},
      {429, "", "", Reason::REASON_RATE_LIMITED},
      {500, "", "", Reason::REASON_UPSTREAM_UNAVAILABLE},
      {503, "text/html", "<html>", Reason::REASON_UPSTREAM_UNAVAILABLE},
      {200, "text/html", "<html>", Reason::REASON_UPSTREAM_CHANGED},
      {200, json, "", Reason::REASON_UPSTREAM_CHANGED},
      {200, json, "[]", Reason::REASON_UPSTREAM_CHANGED},
      {200, json, "{}", Reason::REASON_UPSTREAM_CHANGED},
      {200, json, R"({"code":"0"})", Reason::REASON_UPSTREAM_CHANGED},
      {200, json, R"({"code":0,"data":null})", Reason::REASON_UPSTREAM_CHANGED},
      {200, json, R"({"code":0,"data":{"biz_code":0,"biz_data":null}})", Reason::REASON_UPSTREAM_CHANGED},
      {200, json, R"({"code":77,"data":null})", Reason::REASON_UPSTREAM_CHANGED},
      {200, json, R"({"data":{"biz_code":0,"biz_data":{}}})", Reason::REASON_UPSTREAM_CHANGED},
      {200, json, R"({"code":0,"data":{"biz_data":{}}})", Reason::REASON_UPSTREAM_CHANGED},
      {404, json, "{}", Reason::REASON_UPSTREAM_CHANGED},
  };
  for (const Answer& answer : cases) {
    const absl::Status status = ReadCurrentUser(answer.status, answer.type, answer.body);
    if (answer.reason) {
      EXPECT_EQ(ReasonOf(status), *answer.reason) << answer.status << " " << answer.body << ": " << status;
      EXPECT_FALSE(status.ok()) << answer.status << " " << answer.body;
    } else {
      EXPECT_EQ(status, absl::OkStatus()) << answer.body;
    }
  }
}

TEST(DeepSeekCheck, TheEndOfAMuteIsFoundInEveryPlaceAndForm) {
  for (const std::string& data : std::vector<std::string>{
           R"("biz_data":{"chat":{"is_muted":1,"mute_until":1793003600}})", R"("biz_data":{"mute_until":1793003600.0})",
           R"("biz_data":{"mute_until":"1793003600"})", R"("biz_data":{"user":{"chat":{"mute_until":1793003600}}})",
           R"("biz_data":{"mute_until":"2026-10-26T08:33:20Z"})"}) {
    const absl::Status status =
        ReadCurrentUser(200, "application/json", R"({"code":0,"data":{"biz_code":5,)" + data + "}}");
    EXPECT_EQ(ReasonOf(status), Reason::REASON_ACCOUNT_MUTED) << data;
    EXPECT_EQ(DetailOf(status).until().seconds(), 1793003600) << data;
  }
  const absl::Status unknown =
      ReadCurrentUser(200, "application/json", R"({"code":0,"data":{"biz_code":5,"biz_data":null}})");
  EXPECT_EQ(ReasonOf(unknown), Reason::REASON_ACCOUNT_MUTED);
  EXPECT_FALSE(DetailOf(unknown).has_until());
}

}  // namespace
}  // namespace switchyard
