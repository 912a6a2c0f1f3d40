#include "services/common/tools/lenient_json.h"

#include <gtest/gtest.h>

#include <vector>

namespace switchyard {
namespace {

struct Row {
  const char* written;
  const char* meant;  // nullptr: not JSON, however lenient
};

TEST(LenientJson, WhatIsMeantAndWhatIsNotGuessedAt) {
  for (const Row& row : std::vector<Row>{
           {R"({"a": [1, -2.5e3, true, null, {}, []], "b": "\u4f60\ud83d\ude00\n\/"})",
            R"({"a":[1,-2.5e3,true,null,{},[]],"b":"你😀\n/"})"},
           {"12", "12"},
           {" \"x\" ", "\"x\""},
           {"{'a': True, 'b': None, 'c': False,}", R"({"a":true,"b":null,"c":false})"},
           {"[1, 2,]", "[1,2]"},
           {"{“a”：“x\"y”，＂b＂: ＂z＂}", R"({"a":"x\"y","b":"z"})"},
           {"｛\"a\": ［1］｝", R"({"a":[1]})"},
           {"\"a\nb\tc\"", R"("a\nb\tc")"},
           {R"("\d \' \q")", R"("\\d ' \\q")"},
           {R"('it\'s "so"')", R"("it's \"so\"")"},
           {"", nullptr},
           {"{", nullptr},
           {"{}}", nullptr},
           {"{a: 1}", nullptr},
           {R"({"a" 1})", nullptr},
           {R"({"a": })", nullptr},
           {R"({"a": 1 "b": 2})", nullptr},
           {R"({"a": "x" y"})", nullptr},
           {"[1}", nullptr},
           {"[,]", nullptr},
           {"{,}", nullptr},
           {"01", nullptr},
           {".5", nullptr},
           {"1.", nullptr},
           {"1e", nullptr},
           {"NaN", nullptr},
           {"TRUE", nullptr},
           {"/* x */ 1", nullptr},
           {"\"\\ud83d\"", nullptr},
           {"\"\\ude00\"", nullptr},
           {"\"\\u12g4\"", nullptr},
           {"\"\x01\"", nullptr},
           {"“a\"", nullptr},
       }) {
    std::string out;
    const bool ok = NormaliseJson(row.written, out);
    EXPECT_EQ(ok, row.meant != nullptr) << row.written << " -> " << out;
    if (ok && row.meant != nullptr) {
      EXPECT_EQ(out, row.meant) << row.written;
    }
  }
}

TEST(LenientJson, NotDeeperThanTheStackBears) {
  std::string out;
  EXPECT_TRUE(NormaliseJson(std::string(64, '[') + std::string(64, ']'), out));
  EXPECT_FALSE(NormaliseJson(std::string(65, '[') + std::string(65, ']'), out));
}

}  // namespace
}  // namespace switchyard
