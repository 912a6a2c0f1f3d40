#include "services/common/provider/tokens.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "services/common/text/json.h"
#include "services/common/text/utf8.h"
#include "services/common/text/views.h"
#include "tests/support/files.h"

namespace switchyard {
namespace {

struct Sample {
  std::string kind;
  std::string text;
  int64_t tokens;
};

std::vector<Sample> ReadSample() {
  const auto file = ParseJson(ReadTestFile("tests/data/token_sample.json"));
  EXPECT_TRUE(file.ok()) << file.status();
  std::vector<Sample> sample;
  for (const auto& entry : file->as_array()) {
    sample.push_back({std::string(JsonText(FindMember(entry, {"kind"}))),
                      std::string(JsonText(FindMember(entry, {"text"}))), *JsonWhole(FindMember(entry, {"tokens"}))});
  }
  return sample;
}

struct Errors {
  std::vector<double> each;
  int64_t estimated = 0;
  int64_t counted = 0;

  double whole() const { return static_cast<double>(estimated) / static_cast<double>(counted) - 1; }
  double within() const {
    return static_cast<double>(std::count_if(each.begin(), each.end(), [](double e) { return std::abs(e) <= 0.15; })) /
           static_cast<double>(each.size());
  }
};

// Half of the sample helped to fit the rule; the other half has been seen by nobody.
TEST(TokenEstimate, IsWithin15PercentOfO200kBase) {
  const std::vector<Sample> sample = ReadSample();
  ASSERT_GE(sample.size(), 200u);
  std::map<std::string, Errors> by_kind;
  Errors all;
  for (size_t i = 0; i < sample.size(); ++i) {
    ASSERT_GE(sample[i].tokens, 50) << sample[i].text;
    const int64_t estimated = EstimateTokens(sample[i].text);
    const double error = static_cast<double>(estimated) / static_cast<double>(sample[i].tokens) - 1;
    for (Errors* errors : {&by_kind[sample[i].kind + (i % 2 == 0 ? ", fitted" : ", held out")], &all}) {
      errors->each.push_back(error);
      errors->estimated += estimated;
      errors->counted += sample[i].tokens;
    }
    EXPECT_LE(std::abs(error), 0.25) << sample[i].text;
  }
  by_kind["all"] = all;
  for (auto& [kind, errors] : by_kind) {
    std::sort(errors.each.begin(), errors.each.end());
    const size_t n = errors.each.size();
    std::printf(
        "%-18s %3zu texts  whole %+5.1f %%  from %+5.1f %% to %+5.1f %%, half between %+5.1f %% and %+5.1f %%, "
        "within 15 %%: %5.1f %%\n",
        kind.c_str(), n, 100 * errors.whole(), 100 * errors.each.front(), 100 * errors.each.back(),
        100 * errors.each[n / 4], 100 * errors.each[3 * n / 4], 100 * errors.within());
    EXPECT_LE(std::abs(errors.whole()), 0.05) << kind;
    EXPECT_GE(errors.within(), 0.95) << kind;
  }
  EXPECT_EQ(by_kind.size(), 7u);
}

TEST(TokenEstimate, WhereATextIsCutMakesNoDifference) {
  for (const Sample& sample : ReadSample()) {
    const int64_t whole = EstimateTokens(sample.text);
    TokenEstimate before;
    for (size_t at = 0; at < sample.text.size();) {
      TokenEstimate pieces = before;
      pieces.Add(sample.text.substr(at));
      ASSERT_EQ(pieces.tokens(), whole) << at << " in " << sample.text;
      const size_t length = Utf8SequenceLength(absl::string_view(sample.text).substr(at));
      before.Add(sample.text.substr(at, length));
      at += length;
    }
  }
}

TEST(TokenEstimate, WhatFitsIsTheLongestThatDoes) {
  for (const Sample& sample : ReadSample()) {
    const TokenEstimate none;
    for (const int64_t limit : {int64_t{1}, int64_t{2}, int64_t{17}, sample.tokens / 2, sample.tokens * 2}) {
      const size_t fits = none.BytesWithin(sample.text, limit);
      EXPECT_TRUE(IsValidUtf8(sample.text.substr(0, fits)));
      EXPECT_LE(EstimateTokens(sample.text.substr(0, fits)), limit);
      if (fits == sample.text.size()) continue;
      const size_t next = Utf8SequenceLength(absl::string_view(sample.text).substr(fits));
      EXPECT_GT(EstimateTokens(sample.text.substr(0, fits + next)), limit);
    }
  }
}

// Not the kinds the rule is made for; what o200k_base says is beside each.
TEST(TokenEstimate, IsNotAbsurdElsewhere) {
  struct Row {
    const char* text;
    double counted;
  };
  for (const Row& row : {
           Row{"昨日の夜、友達と一緒に新しくできたラーメン屋に行きました。スープは濃厚で、麺は少し硬めでしたが、とても"
               "美味しかったです。",
               49},
           Row{"어제 저녁에 친구와 함께 새로 생긴 식당에 갔습니다. 음식이 정말 맛있었고 직원들도 친절했습니다.", 32},
           Row{"Вчера вечером мы с друзьями ходили в новый ресторан на набережной. Еда была очень вкусной.", 24},
           Row{"ذهبنا مساء أمس مع الأصدقاء إلى مطعم جديد بالقرب من البحر. كان الطعام لذيذا جدا.", 22},
           Row{"Χθες το βράδυ πήγαμε με φίλους σε ένα καινούργιο εστιατόριο δίπλα στη θάλασσα.", 33},
           Row{"เมื่อวานตอนเย็นเราไปร้านอาหารใหม่ริมทะเลกับเพื่อน อาหารอร่อยมากและบริการรวดเร็ว", 29},
           Row{"Tối qua chúng tôi đã đi cùng bạn bè đến một nhà hàng mới gần bến cảng.", 21},
           Row{"🎉🎊😀😃😄👍🏽❤️🚀✨🔥👨‍👩‍👧‍👦🇨🇳🇩🇪🤖💡📚✅"
               "❌"
               "⚠"
               "️"
               "🙏",
               49},
           Row{"H0D8ktokFpR1CXnubPWC8tXX0o4YM13gWrxUpKGqYbZXZ1lDCfuZxBbGpKpwG6K3Ws8CPjXcNcTkxYEYdRS9dQ==", 62},
           Row{"1f40fc92da241694750979ee6cf582f2d5d7d28e18335de05abc54d0560e0f5302860c652bf08d560252aa5e74210546", 51},
           Row{"3141592653589793238462643383279502884197169399375105820974944592307816406286208998628034825342117067",
               34},
           Row{"----------------------------------------------------------------------------------------", 2},
       }) {
    const auto estimated = static_cast<double>(EstimateTokens(row.text));
    EXPECT_GT(estimated, 0.6 * row.counted) << row.text;
    EXPECT_LT(estimated, 1.5 * row.counted + 1) << row.text;
  }
}

TEST(TokenEstimate, OfLittle) {
  EXPECT_EQ(EstimateTokens(""), 0);
  EXPECT_EQ(EstimateTokens(" "), 0);
  EXPECT_EQ(EstimateTokens("Hello"), 1);
  EXPECT_EQ(EstimateTokens("Hello, world!"), 4);
  EXPECT_EQ(EstimateTokens("\xFF"), 2);  // not UTF-8: counted, not read past
  EXPECT_GE(EstimateTokens("\xE4"), 1);
}

}  // namespace
}  // namespace switchyard
