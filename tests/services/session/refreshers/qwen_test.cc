#include "services/session/refreshers/qwen.h"

#include <gtest/gtest.h>

#include "boost/json/array.hpp"
#include "boost/json/object.hpp"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/session/refreshers/qwen_cookie.h"
#include "tests/support/files.h"

namespace switchyard {
namespace {

namespace json = boost::json;

class NoHttp final : public HttpClient {
 public:
  boost::asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> Send(Scope&, HttpRequest) override {
    co_return absl::InternalError("nothing is sent here");
  }
  void CloseIdle() override {}
};

absl::StatusOr<NormalCredential> Normal(const std::string& pasted) {
  NoHttp http;
  return QwenRefresher(ProviderConfig(), http, SystemRandom::Get()).Normalise(Secret(pasted));
}

std::string ReasonWord(const absl::Status& status) {
  if (status.message() == kQwenEmpty) return "empty";
  if (status.message() == kQwenNoTicket) return "no_ticket";
  return status.message() == kQwenBadCharacter ? "bad_character" : "other";
}

TEST(QwenCookie, EveryVector) {
  auto file = ParseJson(ReadTestFile("tests/data/vectors/qwen_cookie.json"));
  ASSERT_TRUE(file.ok()) << file.status();
  int seen = 0;
  for (const json::value& one : FindMember(*file, {"cases"})->as_array()) {
    SCOPED_TRACE(std::string(JsonText(FindMember(one, {"id"}))));
    ++seen;
    const json::value& expected = *FindMember(one, {"expected"});
    const auto login = ParseQwenCookie(JsonText(FindMember(one, {"input"})));
    ASSERT_EQ(login.ok(), expected.at("ok").as_bool()) << login.status();
    if (!login.ok()) {
      EXPECT_EQ(ReasonWord(login.status()), JsonText(FindMember(expected, {"reason"})));
      continue;
    }
    EXPECT_EQ(login->Header(), JsonText(FindMember(expected, {"cookie_header"})));
    EXPECT_EQ(login->ticket, JsonText(FindMember(expected, {"auth_cookie"})));
    EXPECT_EQ(login->xsrf.value_or(""), JsonText(FindMember(expected, {"xsrf_header"})));
    json::array cookies;
    for (const auto& [name, value] : login->cookies) cookies.push_back(json::array{name, value});
    EXPECT_EQ(json::value(cookies), expected.at("cookies"));
    EXPECT_EQ(ParseQwenCookie(login->Header())->Header(), login->Header());
  }
  EXPECT_EQ(seen, 12);
}

TEST(QwenCookie, TheXsrfTokenIsDecodedAsFarAsItCanBe) {
  EXPECT_EQ(DecodeQwenXsrf("a+b%2b%zz%4"), "a+b+%zz%4");
  EXPECT_FALSE(DecodeQwenXsrf("a%0Ab").has_value());
  EXPECT_EQ(ReasonWord(ParseQwenCookie("tongyi_sso_ticket=T; XSRF-TOKEN=%0D").status()), "bad_character");
}

TEST(QwenNormalise, PutsRightWhatItCanAndSaysSo) {
  const std::string wanted = "tongyi_sso_ticket=Tk1";
  for (const auto& [pasted, advised] : std::vector<std::pair<std::string, bool>>{
           {"Tk1", false},
           {"Cookie: tongyi_sso_ticket=Tk1", false},
           {"\"Tk1\"", true},
           {"Bearer Tk1", true},
           {R"({"tongyi_sso_ticket":"Tk1"})", true},
           {R"([{"name":"tongyi_sso_ticket","value":"Tk1","domain":".qianwen.com"}])", true}}) {
    const auto normal = Normal(pasted);
    ASSERT_TRUE(normal.ok()) << pasted << normal.status();
    EXPECT_EQ(normal->value.Reveal(), wanted) << pasted;
    EXPECT_EQ(!normal->advice.empty(), advised) << pasted;
  }
}

TEST(QwenNormalise, RefusesTheRestWithoutQuotingIt) {
  for (const std::string& pasted : {std::string(), std::string("eyJcanary.x.y"), std::string("{canary"),
                                    std::string("cna=canary; b=1"), std::string("canary with blanks")}) {
    const absl::Status refused = Normal(pasted).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << pasted;
    EXPECT_EQ(refused.message().find("canary"), absl::string_view::npos);
  }
}

TEST(QwenCheck, ReadsTheSessionList) {
  struct Row {
    int status;
    const char* type;
    const char* body;
    Reason reason;
  };
  using enum common::v1::Reason;
  for (const Row& row : {
           Row{200, "application/json", R"({"success":true,"data":[]})", REASON_UNSPECIFIED},
           Row{200, "application/json", R"({"data":[]})", REASON_UNSPECIFIED},
           Row{200, "application/json", R"({"success":false,"errorCode":"NOT_LOGIN"})", REASON_CREDENTIAL_EXPIRED},
           Row{401, "", "", REASON_CREDENTIAL_EXPIRED},
           Row{302, "", "", REASON_CREDENTIAL_EXPIRED},
           Row{200, "text/html", "<html>", REASON_CREDENTIAL_EXPIRED},
           Row{200, "text/html", "aliyun_waf", REASON_CAPTCHA_PENDING},
           Row{403, "", "", REASON_CLIENT_REFUSED},
           Row{429, "", "", REASON_RATE_LIMITED},
           Row{500, "", "", REASON_UPSTREAM_UNAVAILABLE},
           Row{200, "application/json", R"({"success":true,"data":{}})", REASON_UPSTREAM_CHANGED},
       }) {
    const absl::Status status = ReadSessionList(row.status, row.type, row.body);
    EXPECT_EQ(status.ok(), row.reason == REASON_UNSPECIFIED) << row.status << row.body << status;
    if (!status.ok()) {
      EXPECT_EQ(ReasonOf(status), row.reason) << row.status << row.body;
    }
  }
}

TEST(QwenCheck, OfTheNewerCallSuccessSaysItAll) {
  const char* json = "application/json";
  EXPECT_TRUE(ReadSessionList(200, json, R"({"success":true})", true).ok());
  for (const auto& [status, type, body, reason] : std::vector<std::tuple<int, std::string, std::string, Reason>>{
           {200, json, R"({"success":false})", Reason::REASON_CREDENTIAL_EXPIRED},
           {404, "", "", Reason::REASON_CLIENT_REFUSED},
           {200, "text/html", "<html>", Reason::REASON_CLIENT_REFUSED},
           {200, json, "{}", Reason::REASON_UPSTREAM_CHANGED}})
    EXPECT_EQ(ReasonOf(ReadSessionList(status, type, body, true)), reason) << status << body;
}

}  // namespace
}  // namespace switchyard
