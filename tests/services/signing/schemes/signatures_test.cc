// The request signatures against the shared vectors.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "boost/json/value.hpp"
#include "services/common/text/json.h"
#include "services/common/text/views.h"
#include "services/signing/schemes/minimax_sign.h"
#include "services/signing/schemes/zhipu_sign.h"

namespace switchyard {
namespace {

boost::json::value Load(const std::string& name) {
  std::ifstream in("tests/data/vectors/" + name);
  std::ostringstream text;
  text << in.rdbuf();
  auto parsed = ParseJson(text.str());
  EXPECT_TRUE(parsed.ok()) << name << parsed.status();
  return *std::move(parsed);
}
std::string Text(const boost::json::value& value, const char* key) {
  return std::string(ToAbsl(value.at(key).as_string()));
}

TEST(ZhipuSign, Vectors) {
  const auto file = Load("zhipu_sign.json");
  const auto& vectors = file.at("vectors").as_array();
  EXPECT_EQ(static_cast<int64_t>(vectors.size()), file.at("count").as_int64());
  for (const auto& vector : vectors) {
    signing::v1::ZhipuSignature input;
    input.set_time_ms(vector.at("time_ms").as_int64());
    input.set_nonce(Text(vector, "nonce"));
    const auto result = SignZhipu(input);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->timestamp(), Text(vector, "timestamp")) << Text(vector, "name");
    EXPECT_EQ(result->sign(), Text(vector, "sign")) << Text(vector, "name");
  }
}

TEST(ZhipuSign, WhatCannotBeSignedIsRefused) {
  signing::v1::ZhipuSignature input;
  input.set_nonce("aa");
  EXPECT_EQ(SignZhipu(input).status().code(), absl::StatusCode::kInvalidArgument);
  input.set_time_ms(1767225600123);
  EXPECT_TRUE(SignZhipu(input).ok());
  input.clear_nonce();
  EXPECT_EQ(SignZhipu(input).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(MiniMaxSign, Vectors) {
  const auto file = Load("minimax_sign.json");
  const auto& vectors = file.at("vectors").as_array();
  EXPECT_EQ(static_cast<int64_t>(vectors.size()), file.at("count").as_int64());
  for (const auto& vector : vectors) {
    signing::v1::MiniMaxSignature input;
    input.set_time_ms(vector.at("time_ms").as_int64());
    input.set_target(Text(vector, "path"));
    input.set_body(Text(vector, "body"));
    const auto result = SignMiniMax(input);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->x_timestamp(), std::to_string(vector.at("timestamp").as_int64())) << Text(vector, "name");
    EXPECT_EQ(result->x_signature(), Text(vector, "x_signature")) << Text(vector, "name");
    EXPECT_EQ(result->yy(), Text(vector, "yy")) << Text(vector, "name");
  }
}

}  // namespace
}  // namespace switchyard
