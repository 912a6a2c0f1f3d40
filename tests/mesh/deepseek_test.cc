// DeepSeek, through everything: what every platform is expected to do, which parameters each id means, and every way in
// which it fails.
#include <string>
#include <utility>
#include <vector>

#include "boost/json/value.hpp"
#include "tests/mesh/models_deepseek.h"
#include "tests/mesh/platform_suite.h"

namespace switchyard {
namespace {

constexpr char kModel[] = "deepseek-chat";

TEST(DeepSeek, EveryModel) { PlatformSuite("deepseek").ExpectModels(DeepSeekModels()); }

TEST(DeepSeek, EverythingElse) {
  PlatformSuite suite("deepseek");
  suite.ExpectHistory(kModel);
  suite.ExpectReasoningFormats("deepseek-reasoner");
  suite.ExpectStops(kModel);
  suite.ExpectAnyChunking("deepseek-reasoner");
  suite.ExpectAbort(kModel);
  suite.ExpectContinuation(kModel);
  suite.ExpectForgetting(kModel);
}

TEST(DeepSeek, AnEarlierAnswerCanBeGoneOnFromAgain) {
  PlatformSuite suite("deepseek");
  const auto ask = [&](const std::string& text, const std::string& conversation) {
    const std::string after = conversation.empty() ? "" : R"(,"conversation_id":")" + conversation + "\"";
    const Whole answer =
        Chat(suite.port(), "[[sim: text=" + text + "]]", R"(,"keep_conversation":true)" + after, kModel);
    EXPECT_EQ(answer.text(), text) << answer.error("message");
    const boost::json::value* id = answer.json.as_object().if_contains("conversation_id");
    return id == nullptr ? std::string() : std::string(id->as_string().c_str());
  };
  const std::string first = ask("One", "");
  EXPECT_NE(ask("Two", first), "");
  EXPECT_EQ(suite.Recorded().at("parent_message_id").to_number<int64_t>(), 2);
  EXPECT_NE(ask("Other", first), "");
  EXPECT_EQ(suite.Recorded().at("parent_message_id").to_number<int64_t>(), 2) << "another branch of the first answer";
  EXPECT_EQ(suite.platforms().Violations("deepseek"), "");
}

TEST(DeepSeek, Faults) {
  ExpectFaults("deepseek", "web", kModel,
               {
                   // Within the answer.
                   {"fault=cut chunk_ms=20", 502, "upstream_broken", nullptr, nullptr, "One two"},
                   {"fault=reset chunk_ms=20", 502, "upstream_broken", nullptr, nullptr, "One two"},
                   {"fault=cut at=3 chunk_ms=20", 502, "upstream_broken", nullptr, nullptr, "One two three"},
                   {"fault=cut at=0", 502, "upstream_broken"},
                   {"fault=stall", 504, "deadline_exceeded", nullptr, nullptr, "One two"},
                   {"fault=stall at=0", 504, "deadline_exceeded"},
                   {"fault=closed_unfinished", 502, "upstream_broken", nullptr, nullptr, "One two"},
                   {"fault=garbage", 502, "upstream_changed", nullptr, "false", "One two"},
                   {"fault=oversized chunk_ms=20", 502, "upstream_changed", nullptr, "false", "One two"},
                   {"fault=stream_code", 403, "credential_expired", nullptr, nullptr, "One two"},
                   {"fault=stream_unknown", 502, "upstream_changed", nullptr, "false", "One two"},
                   {"fault=stream_error", 502, "upstream_broken", nullptr, nullptr, "One two"},
                   {"fault=bad_utf8", 200, "stop", nullptr, nullptr, "One two\xEF\xBF\xBD\xEF\xBF\xBD three"},
                   {"fault=incomplete", 200, "stop", nullptr, nullptr, "One two three"},
                   {"fault=content_filter", 200, "content_filter", nullptr, nullptr, "One two"},
                   {"fault=empty", 502, "upstream_empty"},
                   {"fault=filter_early", 400, "content_policy_violation"},
                   {"fault=hint_rate", 429, "rate_limited", "30"},
                   {"fault=hint_length", 400, "context_length_exceeded"},
                   {"fault=hint_other", 502, "upstream_changed", nullptr, "false"},
                   {"fault=hint_bare", 502, "upstream_unavailable"},
                   // Instead of one.
                   {"first_ms=5000", 504, "deadline_exceeded"},
                   {"fault=expired", 403, "credential_expired"},
                   {"fault=muted", 403, "account_muted"},
                   {"fault=banned", 403, "account_banned"},
                   {"fault=device", 403, "client_refused"},
                   {"fault=waf_202", 403, "client_refused"},
                   {"fault=waf_403", 403, "client_refused"},
                   {"fault=html", 403, "client_refused"},
                   {"fault=http_429 retry_after=7", 429, "rate_limited", "7"},
                   {"fault=http_429", 429, "rate_limited", "30"},
                   {"fault=rate_code", 429, "rate_limited", "30"},
                   {"fault=http_500", 502, "upstream_unavailable"},
                   {"fault=pow", 502, "signature_refused", nullptr, "false"},
                   {"fault=not_json", 502, "upstream_changed", nullptr, "false"},
               });
}

TEST(DeepSeek, PicturesAndDocumentsAreUploadedAndReadFirst) {
  PlatformSuite suite("deepseek");
  suite.platforms().Plan("read_polls=2 text=Two+files");
  const Whole answer = ChatWithParts(suite.port(), "deepseek-chat",
                                     {FilePart("a.pdf", "application/pdf", "%PDF-1.7"),
                                      FilePart("b.docx", "application/octet-stream", "PK\x03\x04...")});
  EXPECT_EQ(answer.status, 200) << answer.error("message");
  EXPECT_EQ(answer.text(), "Two files");
  EXPECT_EQ(suite.platforms().Count("/file/upload_file"), 2);
  EXPECT_EQ(suite.platforms().Count("/file/fetch_files"), 2);
  EXPECT_EQ(suite.platforms().Count("/chat/create_pow_challenge"), 3) << "one for each upload, one for the question";
  EXPECT_EQ(suite.Recorded().at("ref_file_ids").as_array().size(), 2u);
  EXPECT_EQ(ChatWithParts(suite.port(), "deepseek-vision", {ImagePart()}).status, 200);
  EXPECT_EQ(suite.Recorded().at("ref_file_ids").as_array().size(), 1u);
  suite.ExpectClean();
}

TEST(DeepSeek, WhatAModelOrThePlatformDoesNotTakeIsNamed) {
  PlatformSuite suite("deepseek");
  const std::string pdf = FilePart("a.pdf", "application/pdf", "%PDF-1.7");
  for (const auto& [model, part] : std::vector<std::pair<std::string, std::string>>{
           {"deepseek-chat", ImagePart()}, {"deepseek-v4-pro", pdf}, {"deepseek-vision", pdf}}) {
    const Whole refused = ChatWithParts(suite.port(), model, {part});
    EXPECT_EQ(refused.status, 400) << model;
    EXPECT_EQ(refused.error("code"), "unsupported_parameter") << model;
    EXPECT_EQ(refused.error("param"), "messages[0].content[1]") << model;
  }
  suite.platforms().Plan("read=CONTENT_EMPTY");
  const Whole empty = ChatWithParts(suite.port(), "deepseek-chat", {pdf});
  EXPECT_EQ(empty.status, 400);
  EXPECT_EQ(empty.error("param"), "messages[0].content[1]");
  suite.platforms().Plan("read=CONTENT_FILTER");
  EXPECT_EQ(ChatWithParts(suite.port(), "deepseek-chat", {pdf}).error("code"), "content_policy_violation");
  suite.ExpectClean();
}

}  // namespace
}  // namespace switchyard
