#include "services/common/log/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "services/common/text/utf8.h"

namespace switchyard {
namespace {

using ::testing::HasSubstr;

std::string Line(const std::string& value) {
  ::testing::internal::CaptureStderr();
  LogWarning("event", {{"value", value}});
  return ::testing::internal::GetCapturedStderr();
}

TEST(Log, ALineStaysALine) {
  EXPECT_THAT(Line("a\"b\\c\nd\x7F"), HasSubstr(R"("value":"a\"b\\c\u000ad\u007f"})"));
  EXPECT_THAT(Line("中文 😀"), HasSubstr(R"("value":"中文 😀"})"));
}

TEST(Log, WhatIsNoUtf8ReachesNoLine) {
  // Lone bytes, overlong forms, a surrogate, and what lies beyond Unicode.
  for (const char* broken :
       {"\xFF", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xE4\xB8"}) {
    const std::string line = Line(std::string("a") + broken + "b");
    EXPECT_TRUE(IsValidUtf8(line)) << line;
    EXPECT_THAT(line, HasSubstr(R"("value":"a\ufffd)"));
  }
}

TEST(Log, NothingTurnsTheDirectionOfALine) {
  EXPECT_THAT(Line("\u202A\u202B\u202C\u202D\u202E"), HasSubstr(R"("value":"\u202a\u202b\u202c\u202d\u202e"})"));
  EXPECT_THAT(Line("\u2066\u2067\u2068\u2069"), HasSubstr(R"("value":"\u2066\u2067\u2068\u2069"})"));
  EXPECT_THAT(Line("\u2029\u202F\u2065\u206A"), HasSubstr("\"value\":\"\u2029\u202F\u2065\u206A\"}"));
}

}  // namespace
}  // namespace switchyard
