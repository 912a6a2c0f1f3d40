#include "services/qwen/answer_text.h"

#include <gtest/gtest.h>

namespace switchyard::qwen {
namespace {

TEST(GrowingText, GivesWhatIsNew) {
  GrowingText text;
  EXPECT_EQ(text.Take("", false), "");
  EXPECT_EQ(text.Take("Rot", false), "Rot");
  EXPECT_EQ(text.Take("Rot, gr\xEF\xBF\xBD", false), ", gr");
  EXPECT_EQ(text.Take("Rot, grün", false), "ün");
  EXPECT_EQ(text.Take("Rot", false), "");
  EXPECT_FALSE(text.rewritten());
  EXPECT_EQ(text.Take("Rot, grün.", false), ".");
  EXPECT_EQ(text.Take("Rot, grün.\xEF\xBF\xBD", true), "\xEF\xBF\xBD");
}

TEST(GrowingText, GoesOnByCodePointsWhereTheTextChanged) {
  GrowingText text;
  text.Take("红绿", false);
  EXPECT_EQ(text.Take("ab", false), "");
  EXPECT_TRUE(text.rewritten());
  EXPECT_EQ(text.Take("abc", false), "c");
  EXPECT_EQ(text.Take("abcd", false), "d");
}

TEST(PictureText, LosesQueriesAndMakesALoneUrlAPicture) {
  EXPECT_EQ(PictureText("https://a.example/p.png?sig=1"), "![image](https://a.example/p.png)");
  EXPECT_EQ(PictureText("See https://a.example/p.png?x=1 here"), "See https://a.example/p.png here");
  EXPECT_EQ(PictureText("![](https://a.example/p.png?x=1)"), "![](https://a.example/p.png)");
  EXPECT_EQ(PictureText(""), "");
}

}  // namespace
}  // namespace switchyard::qwen
