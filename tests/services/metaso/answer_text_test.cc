#include "services/metaso/answer_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace switchyard::metaso {
namespace {

struct Row {
  std::string in;
  std::string labelled;
  std::string stripped;
  size_t marks;
};

std::string Through(const std::string& text, bool label, size_t step, size_t& marks) {
  AnswerText filter(label);
  std::string out;
  for (size_t at = 0; at < text.size(); at += step) out += filter.Feed(text.substr(at, step));
  out += filter.Flush();
  marks = filter.marks().size();
  return out;
}

TEST(AnswerText, IsTheSameInAnyPieces) {
  const std::string site = "<span class=\"x\">[AI生成]</span>";
  const std::vector<Row> rows = {
      {"plain", "plain", "plain", 0},
      {"a[[1]]b[[23]]", "a[1]b[23]", "ab", 2},
      {"[[1]][[2]]", "[1][2]", "", 2},
      {"a[1] and [[x]] and [[]] and [[1]", "a[1] and [[x]] and [[]] and [[1]", "a[1] and [[x]] and [[]] and [[1]", 0},
      {"[[[1]]]", "[[1]]", "[]", 1},
      {"[[12345]]", "[[12345]]", "[[12345]]", 0},
      {"dangling [[", "dangling [[", "dangling [[", 0},
      {"text" + site, "text", "text", 0},
      {"text[[1]]" + site + "\n", "text[1]", "text", 1},
      {site + "more", site + "more", site + "more", 0},
      {site + "[[1]]", site + "[1]", site, 1},
      {"a < b <span>x</span> <spanner", "a < b <span>x</span> <spanner", "a < b <span>x</span> <spanner", 0},
      {"a<span class", "a<span class", "a<span class", 0},
  };
  for (const Row& row : rows) {
    for (size_t step = 1; step <= row.in.size(); ++step) {
      size_t marks = 0;
      EXPECT_EQ(Through(row.in, true, step, marks), row.labelled) << row.in << " by " << step;
      EXPECT_EQ(marks, row.marks) << row.in;
      EXPECT_EQ(Through(row.in, false, step, marks), row.stripped) << row.in << " by " << step;
    }
  }
}

TEST(AnswerText, HoldsBackNoMoreThanAMark) {
  AnswerText filter(true);
  EXPECT_EQ(filter.Feed("abc[[1"), "abc");
  EXPECT_EQ(filter.Feed("x"), "[[1x");
  EXPECT_EQ(filter.Feed("["), "");
  EXPECT_EQ(filter.Feed("7] "), "[7] ");
}

}  // namespace
}  // namespace switchyard::metaso
