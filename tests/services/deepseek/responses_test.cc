#include "services/deepseek/responses.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "boost/json/parse.hpp"
#include "services/common/status/reason.h"
#include "tests/support/files.h"

namespace switchyard::deepseek {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1793000000);

Answer Json(std::string body, int status = 200) {
  return {status, {{"Content-Type", "application/json"}}, std::move(body)};
}
std::string Inner(int code, const std::string& message = "m", const std::string& data = "null") {
  return absl::StrCat(R"({"code":0,"msg":"","data":{"biz_code":)", code, R"(,"biz_msg":")", message, R"(","biz_data":)",
                      data, "}}");
}

TEST(ReadEnvelope, EveryRefusalHasItsReason) {
  struct Row {
    Answer answer;
    Reason reason;
  };
  const std::vector<Row> rows = {
      {Json(R"({"code":40001,"msg":"x","data":null})"), Reason::REASON_CREDENTIAL_EXPIRED},
      {Json(R"({"code":40002,"msg":"x","data":null})"), Reason::REASON_CREDENTIAL_EXPIRED},
      {Json(R"({"code":40003,"msg":"x","data":null})"), Reason::REASON_CREDENTIAL_EXPIRED},
      {Json(Inner(40003)), Reason::REASON_CREDENTIAL_EXPIRED},
      {Json("{}", 401), Reason::REASON_CREDENTIAL_EXPIRED},
      {Json("{}", 403), Reason::REASON_CREDENTIAL_EXPIRED},
      {Json(ReadTestFile("tests/transcripts/deepseek/t7_refused_proof.json")), Reason::REASON_SIGNATURE_REFUSED},
      {Json(R"({"code":1001,"msg":"x","data":null})"), Reason::REASON_RATE_LIMITED},
      {Json(R"({"code":1201,"msg":"x","data":null})"), Reason::REASON_RATE_LIMITED},
      {Json(ReadTestFile("tests/transcripts/deepseek/t7_muted.json")), Reason::REASON_ACCOUNT_MUTED},
      {Json(Inner(10)), Reason::REASON_ACCOUNT_BANNED},
      {Json(Inner(11)), Reason::REASON_CLIENT_REFUSED},
      {Json(Inner(26)), Reason::REASON_INVALID_REQUEST},
      {Json(Inner(1, "ILLEGAL_CHAT_SESSION_ID")), Reason::REASON_INVALID_REQUEST},
      {Json(Inner(777)), Reason::REASON_UPSTREAM_CHANGED},
      {Json(R"({"code":777,"msg":"x","data":null})"), Reason::REASON_UPSTREAM_CHANGED},
      {{202, {{"x-amzn-waf-action", "challenge"}}, ""}, Reason::REASON_CLIENT_REFUSED},
      {{403, {{"Content-Type", "text/html"}}, "<html>"}, Reason::REASON_CLIENT_REFUSED},
      {{200, {{"Content-Type", "text/html"}}, "<html>"}, Reason::REASON_CLIENT_REFUSED},
      {Json(R"({"detail":[{"loc":"body.prompt"}]})", 422), Reason::REASON_UPSTREAM_CHANGED},
      {{429, {}, ""}, Reason::REASON_RATE_LIMITED},
      {{500, {}, "x"}, Reason::REASON_UPSTREAM_UNAVAILABLE},
      {{503, {}, "x"}, Reason::REASON_UPSTREAM_UNAVAILABLE},
      {{302, {{"Location", "https://elsewhere.example"}}, ""}, Reason::REASON_UPSTREAM_CHANGED},
      {Json("not json"), Reason::REASON_UPSTREAM_CHANGED},
      {Json("[]"), Reason::REASON_UPSTREAM_CHANGED},
      {Json(R"({"code":0,"data":null})"), Reason::REASON_UPSTREAM_CHANGED},
  };
  for (const Row& row : rows) {
    const auto read = ReadEnvelope(row.answer, kNow);
    ASSERT_FALSE(read.ok()) << row.answer.body;
    EXPECT_EQ(ReasonOf(read.status()), row.reason)
        << row.answer.http_status << " " << row.answer.body << " " << read.status();
  }
}

TEST(ReadEnvelope, GivesTheData) {
  const auto data = ReadEnvelope(Json(Inner(0, "", R"({"a":1})")), kNow);
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(data->as_object().at("a").as_int64(), 1);
  EXPECT_TRUE(ReadEnvelope(Json(Inner(0)), kNow)->is_null());
  EXPECT_TRUE(ReadEnvelope(Json(Inner(5, "EMPTY_CHAT_SESSION")), kNow)->is_null());
}

TEST(ReadEnvelope, AMuteSaysUntilWhen) {
  for (const std::string data :
       {R"({"mute_until":1793003600})", R"({"mute_until":"1793003600"})", R"({"chat":{"mute_until":1793003600.0}})",
        R"({"user":{"chat":{"mute_until":"2026-10-26T08:33:20Z"}}})"}) {
    const auto read = ReadEnvelope(Json(Inner(5, "muted", data)), kNow);
    EXPECT_EQ(DetailOf(read.status()).until().seconds(), 1793003600) << data;
  }
  EXPECT_FALSE(DetailOf(ReadEnvelope(Json(Inner(5, "muted", R"({"mute_until":"soon"})")), kNow).status()).has_until());
}

TEST(ReadEnvelope, RetryAfterIsKept) {
  EXPECT_EQ(DetailOf(ReadEnvelope({429, {{"Retry-After", "7"}}, ""}, kNow).status()).retry_after().seconds(), 7);
  EXPECT_EQ(DetailOf(ReadEnvelope({429, {{"x-fetch-after-sec", "9"}}, ""}, kNow).status()).retry_after().seconds(), 9);
  EXPECT_EQ(DetailOf(ReadEnvelope({429, {{"Retry-After", "99999999"}}, ""}, kNow).status()).retry_after().seconds(),
            600);
  EXPECT_FALSE(DetailOf(ReadEnvelope({429, {{"Retry-After", "-1"}}, ""}, kNow).status()).has_retry_after());
}

TEST(ReadEnvelope, QuotesThePlatformBrieflyAndCleanly) {
  const auto read = ReadEnvelope(Json(Inner(777, std::string(5000, 'x'))), kNow);
  EXPECT_LT(read.status().message().size(), 400u);
}

TEST(SessionId, IsFoundInBothPlaces) {
  EXPECT_EQ(*SessionId(boost::json::parse(R"({"chat_session":{"id":"new"},"ttl_seconds":1})")), "new");
  EXPECT_EQ(*SessionId(boost::json::parse(R"({"id":"old"})")), "old");
  EXPECT_EQ(ReasonOf(SessionId(boost::json::parse("{}")).status()), Reason::REASON_UPSTREAM_CHANGED);
  EXPECT_EQ(ReasonOf(SessionId(boost::json::parse("null")).status()), Reason::REASON_CLIENT_REFUSED);
}

TEST(Challenge, IsReadAndChecked) {
  const std::string good =
      R"({"challenge":{"algorithm":"DeepSeekHashV1","challenge":"ab","salt":"cd","signature":"ef","difficulty":144000,"expire_at":1793000300000,"expire_after":300000,"target_path":"/p"}})";
  const auto work = Challenge(boost::json::parse(good), "/p");
  ASSERT_TRUE(work.ok()) << work.status();
  EXPECT_EQ(work->difficulty(), 144000);
  EXPECT_EQ(work->expire_at_ms(), 1793000300000);
  EXPECT_EQ(ReasonOf(Challenge(boost::json::parse(good), "/other").status()), Reason::REASON_UPSTREAM_CHANGED);
  EXPECT_EQ(ReasonOf(Challenge(boost::json::parse("{}"), "/p").status()), Reason::REASON_UPSTREAM_CHANGED);
}

TEST(Responses, WhatBecomesOfAFile) {
  const auto file = UploadedFile(boost::json::parse(R"({"id":"file-0a","status":"PENDING","file_name":"x"})"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->id, "file-0a");
  for (const char* wrong :
       {"null", "{}", R"({"id":"","status":"PENDING"})", R"({"id":"a&b=c","status":"PENDING"})", R"({"id":"a"})"})
    EXPECT_EQ(ReasonOf(UploadedFile(boost::json::parse(wrong)).status()), Reason::REASON_UPSTREAM_CHANGED) << wrong;
  const auto states = FileStates(boost::json::parse(R"({"files":[{"id":"a","status":"SUCCESS"}]})"));
  ASSERT_TRUE(states.ok() && states->size() == 1);
  EXPECT_TRUE(IsRead(states->front()));
  EXPECT_EQ(ReasonOf(FileStates(boost::json::parse("{}")).status()), Reason::REASON_UPSTREAM_CHANGED);
  for (const auto& [word, reason] :
       std::vector<std::pair<const char*, const char*>>{{"PENDING", ""},
                                                        {"PARSING", ""},
                                                        {"SUCCESS", ""},
                                                        {"FAILED", "invalid_request"},
                                                        {"ERROR", "invalid_request"},
                                                        {"PARSE_FAILED", "invalid_request"},
                                                        {"CONTENT_EMPTY", "invalid_request"},
                                                        {"CONTENT_FILTER", "content_refused"},
                                                        {"CONTENT_TOO_LONG", "context_too_long"},
                                                        {"CANCELLED", "upstream_unavailable"}}) {
    FileState state;
    state.status = word;
    const absl::Status status = FileError(state);
    EXPECT_EQ(status.ok() ? "" : ReasonName(ReasonOf(status)), reason) << word;
  }
}

}  // namespace
}  // namespace switchyard::deepseek
