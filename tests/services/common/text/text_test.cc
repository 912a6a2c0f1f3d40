#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/json/parse.hpp"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"

namespace switchyard {
namespace {

std::string Nested(int depth) {
  return std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']');
}

TEST(ParseJson, RefusesWhatIsNotJson) {
  for (const std::string& bad :
       {std::string(), std::string("{"), std::string("{}x"), std::string("{'a':1}"), std::string("[1,]"),
        std::string("NaN"), std::string("\"\xff\""), std::string("01"), Nested(65)}) {
    EXPECT_EQ(ParseJson(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_TRUE(ParseJson(Nested(63)).ok());
  EXPECT_TRUE(ParseJson(" {\"a\": [1, 2.5, null, true, \"\\u00e9\"]} ").ok());
}

TEST(ParseJson, DuplicateKeysOnRequest) {
  EXPECT_TRUE(ParseJson(R"({"a":1,"a":2})").ok());
  EXPECT_FALSE(ParseJson(R"({"a":1,"a":2})", true).ok());
  EXPECT_FALSE(ParseJson(R"({"x":[{"b":1,"b":2}]})", true).ok());
  EXPECT_TRUE(ParseJson(R"({"a":{"a":1},"b":{"a":1}})", true).ok());
}

TEST(JsonReader, SaysWhatIsWrongWhere) {
  const auto value = boost::json::parse(R"({"s":"x","n":3,"f":1.5,"b":true,"z":null,"big":1e30})");
  const JsonReader reader(value, "outer");
  EXPECT_EQ(*reader.String("s"), "x");
  EXPECT_EQ(**reader.OptionalInt("n"), 3);
  EXPECT_EQ(**reader.OptionalDouble("n"), 3.0);
  EXPECT_FALSE((*reader.OptionalBool("z")).has_value());
  EXPECT_FALSE((*reader.OptionalString("absent")).has_value());
  for (const absl::Status& status :
       {reader.String("n").status(), reader.String("absent").status(), reader.OptionalBool("s").status(),
        reader.OptionalInt("f").status(), reader.OptionalInt("big").status()}) {
    EXPECT_EQ(ReasonOf(status), Reason::REASON_INVALID_REQUEST) << status;
    EXPECT_TRUE(absl::StartsWith(DetailOf(status).field(), "outer.")) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), DetailOf(status).field())) << status;
  }
}

TEST(AppendJsonString, EveryCharacterComesBack) {
  std::string all;
  for (int c = 0; c < 0x80; ++c) all += static_cast<char>(c);
  all += "é中😀\xE2\x80\xA8";
  std::string out;
  AppendJsonString(out, all);
  EXPECT_EQ(boost::json::parse(out).as_string(), all);
  EXPECT_EQ(out.find('\n'), std::string::npos);
}

TEST(Utf8, ValidAndNot) {
  for (const char* good : {"", "a", "é", "中", "😀", "\xF4\x8F\xBF\xBF"}) EXPECT_TRUE(IsValidUtf8(good)) << good;
  for (const char* bad : {"\x80", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE4\xB8", "a\xFF"})
    EXPECT_FALSE(IsValidUtf8(bad));
  EXPECT_EQ(CountCodePoints("aé中😀"), 4);
  const std::string ascii(40, 'a');
  for (size_t at = 0; at <= ascii.size(); ++at) {
    for (const char* good : {"é", "😀"}) EXPECT_TRUE(IsValidUtf8(std::string(ascii).insert(at, good))) << at;
    for (const char* bad : {"\xFF", "\xC3", "\x80"})
      EXPECT_FALSE(IsValidUtf8(std::string(ascii).insert(at, bad))) << at;
  }
  EXPECT_EQ(ReplaceInvalidUtf8("a\xFF\xE4\xB8z"), "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz");
  EXPECT_TRUE(IsValidUtf8(ReplaceInvalidUtf8("\xF0\x9F\x98")));
}

TEST(CleanQuote, IsShortAndTame) {
  EXPECT_EQ(CleanQuote("fine", 10), "fine");
  const std::string quote = CleanQuote(
      "a\r\n\x1b[31mb\xE2\x80\xAE"
      "c",
      100);
  for (const char c : quote) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << quote;
  EXPECT_LE(CountCodePoints(CleanQuote(std::string(5000, 'x'), 20)), 21);
}

}  // namespace
}  // namespace switchyard
