#include "services/qwen/responses.h"

#include <gtest/gtest.h>

#include "boost/json/parse.hpp"
#include "services/common/status/reason.h"

namespace switchyard::qwen {
namespace {

TEST(QwenResponses, EveryAnswerHasItsMeaning) {
  struct Row {
    int status;
    const char* type;
    const char* body;
    Reason reason;  // UNSPECIFIED: OK
  };
  using enum common::v1::Reason;
  const char* json = "application/json";
  for (const Row& row : {
           Row{200, json, R"({"data":true,"success":true})", REASON_UNSPECIFIED},
           Row{200, json, R"({"data":[]})", REASON_UNSPECIFIED},
           Row{200, json, R"({"success":false,"errorCode":"NOT_LOGIN","errorMsg":"x"})", REASON_CREDENTIAL_EXPIRED},
           Row{401, json, R"({"success":false,"errorCode":"LOGIN TICKET INVALID"})", REASON_CREDENTIAL_EXPIRED},
           Row{401, "text/plain", "", REASON_CREDENTIAL_EXPIRED},
           Row{200, "text/html", "<html>login</html>", REASON_CREDENTIAL_EXPIRED},
           Row{200, "text/html", "<html>aliyun_waf</html>", REASON_CAPTCHA_PENDING},
           Row{403, "text/html", "<html>rgv587_flag</html>", REASON_CAPTCHA_PENDING},
           Row{200, json, R"({"ret":["FAIL_SYS_USER_VALIDATE"]})", REASON_CAPTCHA_PENDING},
           Row{403, json, R"({"success":false,"errorCode":"X"})", REASON_CLIENT_REFUSED},
           Row{429, json, "{}", REASON_RATE_LIMITED},
           Row{200, json, R"({"success":false,"errorCode":"RateLimited"})", REASON_RATE_LIMITED},
           Row{200, json, R"({"success":false,"errorCode":"SESSION_NO_EXIST"})", REASON_INVALID_REQUEST},
           Row{200, json, R"({"success":false,"errorCode":"SYSTEM_BUSY"})", REASON_UPSTREAM_CHANGED},
           Row{200, json, R"({"success":false})", REASON_UPSTREAM_CHANGED},
           Row{404, json, "{}", REASON_UPSTREAM_CHANGED},
           Row{302, "", "", REASON_UPSTREAM_CHANGED},
           Row{502, "text/html", "<html>", REASON_UPSTREAM_UNAVAILABLE},
           Row{200, json, "{", REASON_UPSTREAM_CHANGED},
           Row{200, json, "[]", REASON_UPSTREAM_CHANGED},
       }) {
    Answer answer{row.status, {{"Content-Type", row.type}}, row.body};
    const absl::Status status = ReadEnvelope(answer, absl::UnixEpoch());
    EXPECT_EQ(status.ok(), row.reason == REASON_UNSPECIFIED) << row.status << row.body << status;
    if (!status.ok()) {
      EXPECT_EQ(ReasonOf(status), row.reason) << row.status << row.body << status;
    }
  }
}

TEST(QwenResponses, ARedirectToALoginIsAnExpiry) {
  for (const char* host : {"https://passport.qianwen.com/x", "https://login.aliyun.com/"}) {
    Answer answer{302, {{"Location", host}}, ""};
    EXPECT_EQ(ReasonOf(NoStream(answer, absl::UnixEpoch())), Reason::REASON_CREDENTIAL_EXPIRED);
  }
}

TEST(QwenResponses, TellsHowLongToWaitAndQuotesUnknownCodes) {
  Answer answer{429, {{"Retry-After", "7"}}, ""};
  EXPECT_EQ(DetailOf(NoStream(answer, absl::UnixEpoch())).retry_after().seconds(), 7);
  EXPECT_NE(CodeError("SYSTEM_BUSY", "系统繁忙").message().find("SYSTEM_BUSY: 系统繁忙"), absl::string_view::npos);
  EXPECT_TRUE(IsUnknownSession(CodeError("SESSION NO EXIST", "")));
  EXPECT_TRUE(IsRefusal(RetiredError()));
  EXPECT_FALSE(IsRefusal(CodeError("SYSTEM_BUSY", "")));
}

TEST(Uploads, WhatTheirCallsAnswer) {
  const auto parse = [](const char* text) { return boost::json::parse(text); };
  const auto ticket = TicketIn(parse(R"({"accessId":"a","policy":"p","signature":"s","dir":"d/"})"));
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  EXPECT_EQ(ticket->access_id + ticket->policy + ticket->signature + ticket->dir, "apsd/");
  EXPECT_EQ(ReasonOf(TicketIn(parse(R"({"accessId":"a","policy":"p","dir":"d/"})")).status()),
            Reason::REASON_UPSTREAM_CHANGED);
  EXPECT_EQ(*ImageUrl(parse(R"({"url":"u"})")), "u");
  EXPECT_EQ(ReasonOf(ImageUrl(parse("{}")).status()), Reason::REASON_UPSTREAM_CHANGED);
  EXPECT_EQ(*DocumentUrl(parse(R"({"results":[{"url":"u"}]})")), "u");
  EXPECT_TRUE(IsAboutDocument(DocumentUrl(parse(R"({"results":[{"errorMsg":"m"}]})")).status()));
  EXPECT_EQ(ReasonOf(DocumentUrl(parse(R"({"results":[]})")).status()), Reason::REASON_UPSTREAM_CHANGED);
  EXPECT_FALSE(*IsLookedThrough(parse(R"({"pollEndFlag":false})")));
  EXPECT_TRUE(*IsLookedThrough(parse(R"({"pollEndFlag":true,"statusList":[{"status":1}]})")));
  const auto failed = IsLookedThrough(parse(R"({"pollEndFlag":true,"statusList":[{"status":0,"errorMsg":"m"}]})"));
  EXPECT_TRUE(IsAboutDocument(failed.status()));
  EXPECT_EQ(ReasonOf(failed.status()), Reason::REASON_INVALID_REQUEST);
  for (const char* wrong : {"{}", R"({"pollEndFlag":true})", R"({"pollEndFlag":true,"statusList":[{}]})"})
    EXPECT_EQ(ReasonOf(IsLookedThrough(parse(wrong)).status()), Reason::REASON_UPSTREAM_CHANGED) << wrong;
  Answer answer;
  for (const auto& [status, reason] : std::vector<std::pair<int, Reason>>{{403, Reason::REASON_UPSTREAM_CHANGED},
                                                                          {503, Reason::REASON_UPSTREAM_UNAVAILABLE}}) {
    answer.http_status = status;
    EXPECT_EQ(ReasonOf(StoreError(answer)), reason) << status;
  }
  answer.http_status = 200;
  EXPECT_TRUE(StoreError(answer).ok());
}

}  // namespace
}  // namespace switchyard::qwen
