#include "services/zhipu/requests.h"

#include <gtest/gtest.h>

#include "boost/json/parse.hpp"

namespace switchyard::zhipu {
namespace {

namespace json = boost::json;

json::value Meta(Dialect dialect, const StreamInput& input) {
  Settings settings;
  settings.dialect = dialect;
  const HttpRequest request = StreamAnswerOf(settings, Account(), Stamp(), input);
  return json::parse(request.body).at("meta_data");
}

TEST(Requests, TheCurrentDialectSaysHowHardToThink) {
  StreamInput input;
  input.upstream = "glm-5.3";
  EXPECT_EQ(Meta(Dialect::kCurrent, input).at("chat_mode"), json::value(""));
  input.thinking = true;
  EXPECT_EQ(Meta(Dialect::kCurrent, input).at("chat_mode"), json::value("thinking"));
  EXPECT_EQ(Meta(Dialect::kCurrent, input).at("reasoning_effort"), json::value("high"));
  input.hardest = true;
  EXPECT_EQ(Meta(Dialect::kCurrent, input).at("chat_mode"), json::value("deep_thinking"));
  EXPECT_EQ(Meta(Dialect::kCurrent, input).at("reasoning_effort"), json::value("max"));
  EXPECT_EQ(Meta(Dialect::kClassic, input).at("chat_mode"), json::value("zero"));
  EXPECT_FALSE(Meta(Dialect::kClassic, input).as_object().contains("selected_model"));
}

TEST(Requests, AConversationIsAPair) {
  const auto ref = ConversationRef::Parse("c@a");
  ASSERT_TRUE(ref.has_value());
  EXPECT_EQ(ref->ToString(), "c@a");
  for (const char* wrong : {"", "c", "@a", "c@"}) EXPECT_FALSE(ConversationRef::Parse(wrong).has_value()) << wrong;
  const HttpRequest request = Delete(Settings(), Account(), Stamp(), *ref, false);
  EXPECT_EQ(json::parse(request.body), json::parse(R"({"assistant_id":"a","conversation_ids":["c"]})"));
}

TEST(Requests, AnUploadIsAFormOfThreeParts) {
  Attachment image;
  image.filename = "image1.png";
  image.media_type = "image/png";
  image.bytes = "bytes";
  const HttpRequest request = Upload(Settings(), Account(), Stamp(), "a", image, "D");
  EXPECT_EQ(request.url, "https://chatglm.cn/chatglm/productivity-api/file/chat_upload");
  EXPECT_EQ(request.headers.Get("content-type"), "multipart/form-data; boundary=----WebKitFormBoundaryD");
  EXPECT_EQ(request.body,
            "------WebKitFormBoundaryD\r\nContent-Disposition: form-data; name=\"file\"; filename=\"image1.png\"\r\n"
            "Content-Type: image/png\r\n\r\nbytes\r\n"
            "------WebKitFormBoundaryD\r\nContent-Disposition: form-data; name=\"from\"\r\n\r\nchat\r\n"
            "------WebKitFormBoundaryD\r\nContent-Disposition: form-data; name=\"assistant_id\"\r\n\r\na\r\n"
            "------WebKitFormBoundaryD--\r\n");
}

TEST(Requests, WhatWasUploadedStandsBehindTheText) {
  StreamInput input;
  input.prompt = "p";
  input.files.push_back({.image = true, .id = "i", .url = "u", .name = "n", .bytes = 5, .width = 2, .height = 3});
  input.files.push_back({.id = "j", .url = "v", .name = "m", .bytes = 6});
  input.files.push_back({.image = true, .id = "k", .url = "w", .name = "o", .bytes = 7, .width = 4, .height = 5});
  const HttpRequest request = StreamAnswerOf(Settings(), Account(), Stamp(), input);
  EXPECT_EQ(json::parse(request.body).at("messages").at(0).at("content"), json::parse(R"([
    {"type":"text","text":"p"},
    {"type":"file","file":[{"file_id":"j","file_name":"m","file_size":6,"file_url":"v"}]},
    {"type":"image","image":[
      {"file_id":"i","file_name":"n","file_size":5,"image_url":"u","order":0,"width":2,"height":3},
      {"file_id":"k","file_name":"o","file_size":7,"image_url":"w","order":1,"width":4,"height":5}]}])"));
}

}  // namespace
}  // namespace switchyard::zhipu
