#include "services/common/tools/dialect.h"

#include <algorithm>
#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/json/serialize.hpp"
#include "boost/json/value.hpp"
#include "services/common/text/json.h"
#include "services/common/text/views.h"

namespace switchyard {

namespace json = boost::json;

namespace {

// The form of Hermes and Qwen, which nearly every open family has seen in training.
constexpr Dialect kTagged = {"tool_call", Dialect::Form::kJson, "<tool_call>", "</tool_call>"};

struct Row {
  absl::string_view platform;
  Dialect dialect;
};
constexpr std::array kRows = {
    Row{"deepseek", kTagged},
    Row{"kimi", kTagged},
    Row{"metaso", kTagged},
    Row{"doubao", kTagged},
    Row{"qwen", kTagged},
    // GLM-4.5 and later. Source: the chat template of the published weights.
    Row{"zhipu", {"arg_key", Dialect::Form::kPairs, "<tool_call>", "</tool_call>"}},
    // MiniMax-M2 and later. Source: the chat template of the published weights.
    Row{"minimax", {"invoke", Dialect::Form::kInvoke, "<minimax:tool_call>", "</minimax:tool_call>"}},
};

constexpr std::array<absl::string_view, 15> kOpeners = {
    "<tool_call>",
    "<tool_calls>",
    "<function_call>",
    "<function_calls>",
    "<minimax:tool_call>",
    "<seed:tool_call>",
    "<invoke ",
    "<function=",
    "<|tool_calls_section_begin|>",
    "<|tool_call_begin|>",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁call▁begin｜>",
    "<｜DSML｜function_calls>",
    "<｜DSML｜tool_calls>",
    "<｜DSML｜invoke ",
};
constexpr std::array<absl::string_view, 15> kClosers = {
    "</tool_call>",
    "</tool_calls>",
    "</function_call>",
    "</function_calls>",
    "</minimax:tool_call>",
    "</seed:tool_call>",
    "</invoke>",
    "</function>",
    "<|tool_call_end|>",
    "<|tool_calls_section_end|>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁calls▁end｜>",
    "</｜DSML｜function_calls>",
    "</｜DSML｜tool_calls>",
    "</｜DSML｜invoke>",
};
constexpr std::array<absl::string_view, 2> kSeparators = {"<|tool_call_argument_begin|>", "<｜tool▁sep｜>"};

std::string ReplaceMarkers(absl::string_view text, absl::string_view bracket) {
  std::string out;
  for (;;) {
    const size_t at = text.find('<');
    out.append(text.data(), std::min(at, text.size()));
    if (at == absl::string_view::npos) return out;
    text.remove_prefix(at);
    const auto starts = [text](absl::string_view marker) { return absl::StartsWith(text, marker); };
    const bool marker =
        std::any_of(kOpeners.begin(), kOpeners.end(), starts) || std::any_of(kClosers.begin(), kClosers.end(), starts);
    absl::StrAppend(&out, marker ? bracket : "<");
    text.remove_prefix(1);
  }
}

// A value as the text of a tag: strings as they are, anything else as JSON.
std::string TagText(const json::value& value) {
  if (const auto* text = value.if_string()) return NeutraliseCalls(ToAbsl(*text));
  return json::serialize(value);
}

json::object ObjectOf(const std::string& arguments) {
  auto value = ParseJson(arguments);
  return value.ok() && value->is_object() ? value->get_object() : json::object();
}

void AppendCall(const Dialect& dialect, const std::string& name, const std::string& arguments, std::string& out) {
  switch (dialect.form) {
    case Dialect::Form::kJson: {
      // Inside a JSON string a marker can be written so that it is none.
      const std::string body = ParseJson(arguments).ok() ? ReplaceMarkers(arguments, "\\u003c") : "{}";
      absl::StrAppend(&out, dialect.open, "\n{\"name\": \"", name, "\", \"arguments\": ", body, "}\n", dialect.close);
      return;
    }
    case Dialect::Form::kInvoke:
      absl::StrAppend(&out, "<invoke name=\"", name, "\">\n");
      for (const auto& member : ObjectOf(arguments)) {
        absl::StrAppend(&out, "<parameter name=\"", ToAbsl(member.key()), "\">", TagText(member.value()),
                        "</parameter>\n");
      }
      out += "</invoke>";
      return;
    case Dialect::Form::kPairs:
      absl::StrAppend(&out, dialect.open, name, "\n");
      for (const auto& member : ObjectOf(arguments)) {
        absl::StrAppend(&out, "<arg_key>", ToAbsl(member.key()), "</arg_key>\n<arg_value>", TagText(member.value()),
                        "</arg_value>\n");
      }
      absl::StrAppend(&out, dialect.close);
      return;
  }
}

}  // namespace

const Dialect& DialectOf(absl::string_view platform) {
  for (const Row& row : kRows) {
    if (row.platform == platform) return row.dialect;
  }
  return kTagged;
}

std::string RenderCalls(const Dialect& dialect,
                        absl::Span<const std::pair<std::string, std::string>> names_and_arguments) {
  const bool one_block = dialect.form == Dialect::Form::kInvoke;
  std::string out(one_block ? dialect.open : absl::string_view());
  for (const auto& [name, arguments] : names_and_arguments) {
    if (!out.empty()) out += '\n';
    AppendCall(dialect, name, arguments, out);
  }
  if (one_block) absl::StrAppend(&out, "\n", dialect.close);
  return out;
}

absl::Span<const absl::string_view> CallOpeners() { return kOpeners; }
absl::Span<const absl::string_view> CallClosers() { return kClosers; }
absl::Span<const absl::string_view> NameSeparators() { return kSeparators; }

std::string NeutraliseCalls(absl::string_view text) { return ReplaceMarkers(text, "< "); }

}  // namespace switchyard
