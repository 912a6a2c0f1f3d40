// What the corpus does not say: when things go out, and that nothing makes the parser crash, hang or invent.
#include "services/common/tools/tool_call_parser.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "services/common/text/json.h"
#include "tests/support/tool_corpus.h"

namespace switchyard {
namespace {

using Piece = ToolCallParser::Piece;
using Kind = Piece::Kind;

std::shared_ptr<ToolSet> Tools(const std::string& choice = "auto", const std::string& platform = "qwen") {
  static auto& sets = *new std::map<std::pair<std::string, std::string>, std::shared_ptr<ToolSet>>();
  auto& set = sets[{choice, platform}];
  if (!set) {
    ToolRow row;
    row.choice = choice;
    set = ToolSet::Of(RequestOf(row), platform);
  }
  return set;
}

std::string Show(const ToolCallParser::Pieces& pieces) {
  std::string out;
  for (const Piece& piece : pieces) {
    if (piece.kind == Kind::kBegin)
      absl::StrAppend(&out, "(", piece.text, " ");
    else if (piece.kind == Kind::kEnd)
      out += ")";
    else
      out += piece.text;
  }
  return out;
}

TEST(ToolCallParser, TextGoesOutUpToWhatCouldOpenACall) {
  ToolCallParser parser(Tools());
  const auto feed = [&parser](const std::string& text) {
    ToolCallParser::Pieces pieces;
    parser.Feed(text, pieces);
    return Show(pieces);
  };
  EXPECT_EQ(feed("a < b, "), "a < b, ");
  EXPECT_EQ(feed("<to"), "");
  EXPECT_EQ(feed("p> <tool_cal"), "<top> ");
  EXPECT_EQ(feed("l>\n{\"name\": \"write_f"), "");
  EXPECT_EQ(feed("ile\", \"arguments\": {\"path\":"), "");
  EXPECT_EQ(feed(" \"a."), "(write_file {\"path\":\"a.");
  EXPECT_EQ(feed("txt\", \"content\": \"x"), "txt\",\"content\":\"x");
  EXPECT_EQ(feed("\"}"), "\"");
  EXPECT_EQ(feed("}\n"), "");
  EXPECT_EQ(feed("</tool_call>"), "})");
  EXPECT_FALSE(parser.over());
  EXPECT_EQ(feed("\n\n"), "");
  EXPECT_EQ(feed("And"), "");
  EXPECT_TRUE(parser.over());
}

TEST(ToolCallParser, AFenceIsHeldBackOnlyWhileItCanBeTheWholeAnswer) {
  ToolCallParser parser(Tools());
  const auto feed = [&parser](const std::string& text) {
    ToolCallParser::Pieces pieces;
    parser.Feed(text, pieces);
    return Show(pieces);
  };
  const std::string fence = "```\n<tool_call>{\"name\":\"get_time\",\"arguments\":{}}</tool_call>\n```\n";
  EXPECT_EQ(feed(fence + "\n"), "");
  EXPECT_EQ(feed("So"), fence + "\nSo");
  ToolCallParser other(Tools());
  ToolCallParser::Pieces pieces;
  other.Feed("```c++\nint", pieces);
  EXPECT_EQ(Show(pieces), "```c++\nint");
}

TEST(ToolCallParser, TheOneCallThatMayComeEndsTheAnswer) {
  ToolCallParser parser(Tools("single"));
  ToolCallParser::Pieces pieces;
  parser.Feed("<tool_call>{\"name\":\"get_time\",\"arguments\":{}}</tool_call>", pieces);
  EXPECT_TRUE(parser.over());
  EXPECT_EQ(Show(pieces), "(get_time {})");
}

// What a dialect writes is read as what was meant, whatever the arguments hold.
TEST(ToolCallParser, ReadsWhatTheDialectsWrite) {
  const std::string arguments = R"({"path":"a","content":"x \"y\" \\ <b> 你好 {}[] ``` \t </tool_cal> 😀"})";
  for (const char* platform : {"deepseek", "kimi", "metaso", "doubao", "qwen", "zhipu", "minimax"}) {
    const std::string written =
        RenderCalls(DialectOf(platform), {{"write_file", arguments}, {"run", R"({"command":"ls","args":["a"]})"}});
    ToolCallParser parser(Tools("auto", platform));
    ToolCallParser::Pieces pieces;
    parser.Feed(written, pieces);
    parser.Finish(false, pieces);
    EXPECT_EQ(Show(pieces), absl::StrCat("(write_file ", arguments, R"()(run {"command":"ls","args":["a"]}))"))
        << platform << written;
  }
}

TEST(ToolCallParser, WhatWasNeutralisedOpensNothing) {
  for (const char* corpus : {"behaving", "misbehaving"}) {
    for (const ToolRow& row : ReadToolRows(corpus)) {
      const std::string text = NeutraliseCalls(row.answer);
      ToolCallParser parser(Tools("auto", row.platform));
      ToolCallParser::Pieces pieces;
      parser.Feed(text, pieces);
      parser.Finish(false, pieces);
      EXPECT_EQ(Show(pieces), text) << row.name;
    }
  }
}

// ---- Chance

std::vector<std::string> Fragments() {
  std::vector<std::string> fragments = {"{",
                                        "}",
                                        "[",
                                        "]",
                                        "\"",
                                        "'",
                                        ":",
                                        ",",
                                        "\\",
                                        "\n",
                                        " ",
                                        "`",
                                        "```",
                                        "```json\n",
                                        ">",
                                        "<",
                                        "“",
                                        "”",
                                        "：",
                                        "，",
                                        "\"name\"",
                                        "\"arguments\"",
                                        "\"parameters\"",
                                        "\"get_time\"",
                                        "\"get_weather\"",
                                        "\"nothing\"",
                                        "get_time",
                                        "get_weather",
                                        "\"city\"",
                                        "\"Paris\"",
                                        "\"function\"",
                                        "1",
                                        "true",
                                        "None",
                                        "{\"name\":\"get_time\",\"arguments\":{}}",
                                        "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"",
                                        "<parameter name=\"city\">",
                                        "<parameter=days>",
                                        "</parameter>",
                                        "<arg_key>",
                                        "</arg_key>",
                                        "<arg_value>",
                                        "</arg_value>",
                                        "<invoke name=\"get_weather\">",
                                        "<function=get_time>",
                                        "[User]\n",
                                        "text",
                                        "你",
                                        "😀",
                                        "\x80",
                                        "\xF0\x9F"};
  for (const auto markers : {CallOpeners(), CallClosers(), NameSeparators()})
    for (const absl::string_view marker : markers) fragments.emplace_back(marker);
  return fragments;
}

struct Result {
  std::string shown;
  std::string fault;
  bool operator==(const Result& other) const = default;
};

Result Read(const std::string& text, const std::string& choice, std::mt19937* random) {
  ToolCallParser parser(Tools(choice));
  ToolCallParser::Pieces pieces;
  for (size_t at = 0; at < text.size();) {
    const size_t length = random == nullptr ? text.size() : 1 + (*random)() % 7;
    parser.Feed(absl::string_view(text).substr(at, length), pieces);
    at += length;
  }
  parser.Finish(false, pieces);
  // A call that ended is one of a known tool with arguments that are JSON and fit.
  const auto tools = Tools(choice);
  std::string name, arguments;
  for (const Piece& piece : pieces) {
    if (piece.kind == Kind::kBegin) {
      name = piece.text;
      arguments.clear();
      EXPECT_EQ(tools->NameOf(name), name) << text;
    } else if (piece.kind == Kind::kArguments) {
      arguments += piece.text;
    } else if (piece.kind == Kind::kEnd) {
      const auto value = ParseJson(arguments, true);
      EXPECT_TRUE(value.ok() && tools->SchemaOf(name).Check(*value).ok()) << arguments << "\n" << text;
    }
  }
  return {Show(pieces), std::string(parser.fault().message())};
}

TEST(ToolCallParser, ChanceNeverMakesItCrashInventOrDependOnChunks) {
  std::mt19937 random(20261125);
  const std::vector<std::string> fragments = Fragments();
  int calls = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = round % 2 == 0 ? "" : std::string(CallOpeners()[random() % CallOpeners().size()]);
    for (size_t n = random() % 14; n > 0; --n) text += fragments[random() % fragments.size()];
    const std::string choice = round % 5 == 0 ? "required" : "auto";
    const Result whole = Read(text, choice, nullptr);
    const Result split = Read(text, choice, &random);
    ASSERT_EQ(split.shown, whole.shown) << text;
    ASSERT_EQ(split.fault, whole.fault) << text;
    calls += whole.shown.find("(get_") != std::string::npos;
  }
  EXPECT_GT(calls, 100);  // the fragments are such that some are calls
}

// Rows of the corpus with a byte changed, taken out, or twice: whatever comes of them, it is the same in any chunking.
TEST(ToolCallParser, ChanceInRealAnswers) {
  std::mt19937 random(7);
  for (const char* corpus : {"behaving", "misbehaving"}) {
    for (const ToolRow& row : ReadToolRows(corpus)) {
      if (row.choice == "none") continue;
      for (int round = 0; round < 60; ++round) {
        std::string text = row.answer;
        const size_t at = random() % text.size();
        switch (random() % 3) {
          case 0:
            text[at] = "{}[]\"'<>/:,\\ \n`x"[random() % 17];
            break;
          case 1:
            text.erase(at, 1 + random() % 3);
            break;
          default:
            text.insert(at, text.substr(at, 1 + random() % 20));
        }
        const Result whole = Read(text, row.choice, nullptr);
        ASSERT_EQ(Read(text, row.choice, &random), whole) << text;
      }
    }
  }
}

// Text that is no call comes through unchanged.
TEST(ToolCallParser, NothingIsLost) {
  for (const std::string text :
       {"", " ", "\n\n<", "<tool_call>", "a <tool_call", "```\n<tool_call>", "``", "<tool_call><tool_call><tool_call>",
        "<invoke name=", "<tool_call>get_time", "x <function=get_wea", "```json\n", "<tool_call>{", "<tool_call>[",
        "<tool_call> <tool_call> <tool_call> <tool_call> <tool_call> x", "<tool_call>\n```json\n"}) {
    EXPECT_EQ(Read(text, "auto", nullptr).shown, text);
    EXPECT_EQ(Read(text, "required", nullptr).shown, text);
  }
}

TEST(ToolCallParser, ManyOpeningsTakeNoMoreThanTheirLength) {
  std::string text;
  for (int i = 0; i < 50000; ++i) text += "<tool_call> ";
  EXPECT_EQ(Read(text, "auto", nullptr).shown, text);
}

}  // namespace
}  // namespace switchyard
