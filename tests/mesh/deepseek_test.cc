// DeepSeek, through everything: what every platform is expected to do, and which parameters each id means.
#include <string>
#include <utility>
#include <vector>

#include "tests/mesh/models_deepseek.h"
#include "tests/mesh/platform_suite.h"

namespace switchyard {
namespace {

TEST(DeepSeek, EveryModel) { PlatformSuite("deepseek").ExpectModels(DeepSeekModels()); }

TEST(DeepSeek, EverythingElse) {
  PlatformSuite suite("deepseek");
  suite.ExpectHistory("deepseek-chat");
  suite.ExpectReasoningFormats("deepseek-reasoner");
  suite.ExpectStops("deepseek-chat");
  suite.ExpectAnyChunking("deepseek-reasoner");
  suite.ExpectAbort("deepseek-chat");
  suite.ExpectContinuation("deepseek-chat");
  suite.ExpectForgetting("deepseek-chat");
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
