#include "services/common/provider/structured_output.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/views.h"

namespace switchyard {

namespace json = boost::json;
using chat::v1::ResponseFormat;

namespace {

constexpr size_t kMaxName = 64;
// Values that an answer may hold before it is not worth a look for the right one.
constexpr size_t kMaxValues = 64;
constexpr absl::string_view kFence = "```";

absl::Status Invalid(absl::string_view member, absl::string_view what) {
  const std::string field = absl::StrCat("response_format.json_schema.", member);
  return MakeError(Reason::REASON_INVALID_REQUEST, absl::StrCat(field, ": ", what), {.field = field});
}

bool IsName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxName && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-';
  });
}

// What the checker itself puts in quotes.
constexpr std::array<absl::string_view, 5> kKeywords = {"type", "const", "contains", "properties",
                                                        "additionalProperties"};

constexpr size_t kIndexDigits = 6;
bool IsIndex(absl::string_view step) {
  return !step.empty() && step.size() <= kIndexDigits &&
         std::all_of(step.begin(), step.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
}

void CollectWords(const json::value& value, std::set<std::string>& words) {
  if (value.is_string()) words.emplace(ToAbsl(value.get_string()));
  if (const auto* array = value.if_array()) {
    for (const json::value& item : *array) CollectWords(item, words);
  }
  if (const auto* object = value.if_object()) {
    for (const auto& member : *object) {
      words.emplace(ToAbsl(member.key()));
      CollectWords(member.value(), words);
    }
  }
}

/// Where the string that begins at `at` ends, behind its closing quote; npos if it does not.
size_t EndOfString(absl::string_view text, size_t at) {
  for (size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      return i + 1;
  }
  return absl::string_view::npos;
}

/// Where the comment that begins at `at` ends; `at` if there is none.
size_t EndOfComment(absl::string_view text, size_t at) {
  const absl::string_view rest = text.substr(at);
  const bool line = absl::StartsWith(rest, "//");
  if (!line && !absl::StartsWith(rest, "/*")) return at;
  const size_t end = text.find(line ? "\n" : "*/", at + 2);
  if (end == absl::string_view::npos) return text.size();
  return line ? end : end + 2;
}

/// Where the object or list that begins at `at` ends; npos if its brackets do not match.
size_t EndOfValue(absl::string_view text, size_t at) {
  std::string open;
  for (size_t i = at; i < text.size();) {
    const char c = text[i];
    if (c == '"') {
      i = EndOfString(text, i);
      if (i == absl::string_view::npos) return i;
      continue;
    }
    if (const size_t end = EndOfComment(text, i); end > i) {
      i = end;
      continue;
    }
    if (c == '{' || c == '[') open.push_back(c == '{' ? '}' : ']');
    if (c == '}' || c == ']') {
      if (open.back() != c) return absl::string_view::npos;
      open.pop_back();
      if (open.empty()) return i + 1;
    }
    ++i;
  }
  return absl::string_view::npos;
}

struct Literal {
  absl::string_view python;
  absl::string_view json;
};
constexpr std::array kLiterals = {Literal{"True", "true"}, Literal{"False", "false"}, Literal{"None", "null"}};

bool IsWordByte(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; }

/// A string with its raw control characters escaped; JSON has no other way to write them.
void AppendString(absl::string_view text, std::string& out) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x20) {
      out.push_back(c);
    } else {
      std::string quoted;
      AppendJsonString(quoted, absl::string_view(&c, 1));
      out.append(quoted, 1, quoted.size() - 2);
    }
  }
}

/// The text with the faults mended that have one meaning only.
std::string Mended(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '"') {
      const size_t end = std::min(EndOfString(text, i), text.size());
      AppendString(text.substr(i, end - i), out);
      i = end;
      continue;
    }
    if (const size_t end = EndOfComment(text, i); end > i) {
      i = end;
      continue;
    }
    if (text[i] == '}' || text[i] == ']') {
      size_t last = out.find_last_not_of(" \t\r\n");
      if (last != std::string::npos && out[last] == ',') out.erase(last, 1);
    }
    const auto* literal = std::find_if(kLiterals.begin(), kLiterals.end(), [&](const Literal& word) {
      const size_t end = i + word.python.size();
      return absl::StartsWith(text.substr(i), word.python) && (i == 0 || !IsWordByte(text[i - 1])) &&
             (end >= text.size() || !IsWordByte(text[end]));
    });
    if (literal != kLiterals.end()) {
      absl::StrAppend(&out, literal->json);
      i += literal->python.size();
      continue;
    }
    out.push_back(text[i++]);
  }
  return out;
}

/// The JSON text that `text` is, mended if need be; an error of ParseJson() if it is none.
absl::StatusOr<std::string> AsJson(absl::string_view text) {
  auto value = ParseJson(text);
  if (value.ok()) return std::string(text);
  std::string mended = Mended(text);
  if (ParseJson(mended).ok()) return mended;
  return value.status();
}

/// The objects and lists that stand in a text, outermost ones only, mended if need be.
std::vector<std::string> ValuesIn(absl::string_view text) {
  std::vector<std::string> values;
  size_t tries = 0;
  for (size_t at = text.find_first_of("{["); at != absl::string_view::npos && tries < kMaxValues; ++tries) {
    const size_t end = EndOfValue(text, at);
    size_t next = at + 1;
    if (end != absl::string_view::npos) {
      auto value = AsJson(text.substr(at, end - at));
      if (value.ok()) {
        values.push_back(*std::move(value));
        next = end;
      }
    }
    at = text.find_first_of("{[", next);
  }
  return values;
}

absl::string_view Trimmed(absl::string_view text) {
  absl::ConsumePrefix(&text, "\xEF\xBB\xBF");
  return absl::StripAsciiWhitespace(text);
}

}  // namespace

absl::StatusOr<std::optional<StructuredOutput>> StructuredOutput::From(const ResponseFormat& format) {
  if (format.kind() != ResponseFormat::KIND_JSON_OBJECT && format.kind() != ResponseFormat::KIND_JSON_SCHEMA) {
    return std::nullopt;
  }
  StructuredOutput output;
  if (format.kind() == ResponseFormat::KIND_JSON_OBJECT) return output;
  if (!IsName(format.name())) return Invalid("name", "must be 1 to 64 letters, digits, '_' or '-'");
  output.name_ = format.name();
  output.description_ = format.description();
  if (format.schema().empty()) return output;
  const auto schema = ParseJson(format.schema());
  if (!schema.ok()) return Invalid("schema", absl::StrCat("is not JSON: ", schema.status().message()));
  auto rules = JsonSchema::Parse(*schema);
  if (!rules.ok()) return Invalid("schema", absl::StrCat("is not a JSON Schema: ", rules.status().message()));
  output.schema_text_ = format.schema();
  output.schema_ = *std::move(rules);
  CollectWords(*schema, output.schema_words_);
  return output;
}

std::string StructuredOutput::Demand() const {
  if (!schema_) return "one JSON object and nothing else: no prose before or after it, no Markdown fence.";
  return absl::StrCat(
      "one JSON value that conforms to the JSON Schema below and nothing else: no prose before or after it, no "
      "Markdown "
      "fence, no comments. Give the value itself, not the schema.\n",
      description_.empty() ? absl::StrCat("Schema \"", name_, "\":\n")
                           : absl::StrCat("Schema \"", name_, "\" (", description_, "):\n"),
      schema_text_);
}

std::string StructuredOutput::Instructions(bool tools) const {
  return absl::StrCat(tools ? "Unless you call a tool, your whole answer must be " : "Your whole answer must be ",
                      Demand());
}

std::string StructuredOutput::RepairPrompt(absl::string_view answer, const absl::Status& fault) const {
  return absl::StrCat("The answer at the end was to be ", Demand(), "\n\nIt is not: ", fault.message(),
                      "\n\nGive the corrected answer. Keep what it says; change only what has to be changed.\n\nThe "
                      "answer:\n",
                      answer);
}

absl::Status StructuredOutput::Check(absl::string_view text) const {
  const auto value = ParseJson(text);
  if (!value.ok()) return absl::InvalidArgumentError(absl::StrCat("it is not JSON: ", value.status().message()));
  if (schema_) return schema_->Check(*value);
  if (value->is_object()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("at the top: it must be an object and is ", KindName(*value)));
}

absl::StatusOr<std::string> StructuredOutput::Read(absl::string_view answer) const {
  answer = Trimmed(answer);
  auto whole = AsJson(answer);
  if (whole.ok()) {
    if (auto fault = Check(*whole); !fault.ok()) return fault;
    return whole;
  }
  std::string found;
  absl::Status fault = absl::InvalidArgumentError(absl::StrCat("it is not JSON: ", whole.status().message()));
  size_t longest = 0;
  for (std::string& value : ValuesIn(answer)) {
    if (auto status = Check(value); !status.ok()) {
      if (value.size() > longest) fault = status;
      longest = std::max(longest, value.size());
    } else if (found.empty()) {
      found = std::move(value);
    } else if (*ParseJson(found) != *ParseJson(value)) {
      return absl::InvalidArgumentError("it holds several values, where one is asked for");
    }
  }
  if (found.empty()) return fault;
  return found;
}

absl::Status StructuredOutput::Error(const absl::Status& fault, absl::string_view platform) const {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED,
                   absl::StrCat(platform, " did not answer in the format that response_format asks for: ",
                                WithoutAnswer(fault.message())),
                   {.cause = "format_not_met"});
}

// A fault begins with a place, which is a pointer into the answer, and may quote one of its keys. Only the schema's own
// words pass.
std::string StructuredOutput::WithoutAnswer(absl::string_view fault) const {
  std::string safe;
  if (absl::ConsumePrefix(&fault, "at /")) {
    bool all_known = true;
    safe = "at ";
    const size_t end = std::min(fault.find(": "), fault.size());
    for (const absl::string_view step : absl::StrSplit(fault.substr(0, end), '/')) {
      const bool known = IsIndex(step) || schema_words_.count(std::string(step)) > 0;
      absl::StrAppend(&safe, "/", known ? step : "*");
      all_known &= known;
    }
    if (!all_known) return safe + ": it does not fit the schema";
    fault.remove_prefix(end);
  }
  while (!fault.empty()) {
    const size_t quote = fault.find('\'');
    absl::StrAppend(&safe, fault.substr(0, quote));
    if (quote == absl::string_view::npos) break;
    fault.remove_prefix(quote + 1);
    const absl::string_view word = fault.substr(0, fault.find('\''));
    const bool known = schema_words_.count(std::string(word)) > 0 ||
                       std::find(kKeywords.begin(), kKeywords.end(), word) != kKeywords.end();
    absl::StrAppend(&safe, "'", known ? word : "*", "'");
    if (!known) break;
    fault.remove_prefix(std::min(word.size() + 1, fault.size()));
  }
  return safe;
}

absl::string_view StructuredOutput::WithoutOpeningFence(absl::string_view answer) {
  absl::string_view rest = absl::StripLeadingAsciiWhitespace(answer);
  if (!absl::ConsumePrefix(&rest, kFence)) return answer;
  const size_t line = rest.find('\n');
  return line == absl::string_view::npos ? absl::string_view() : rest.substr(line + 1);
}

}  // namespace switchyard
