#include "services/common/text/json.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "boost/json/basic_parser_impl.hpp"
#include "boost/json/parser.hpp"
#include "services/common/status/reason.h"
#include "services/common/text/utf8.h"
#include "services/common/text/views.h"

namespace switchyard {

namespace json = boost::json;

namespace {

constexpr size_t kMaxDepth = 64;

// Boost.JSON keeps the last of several equal keys without a word; this pass over the same text looks for them.
struct DuplicateFinder {
  constexpr static size_t max_object_size = static_cast<size_t>(-1);
  constexpr static size_t max_array_size = static_cast<size_t>(-1);
  constexpr static size_t max_key_size = static_cast<size_t>(-1);
  constexpr static size_t max_string_size = static_cast<size_t>(-1);
  using error_code = json::error_code;
  using view = json::string_view;

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) {
    keys.emplace_back();
    return true;
  }
  bool on_object_end(size_t, error_code&) {
    keys.pop_back();
    return true;
  }
  bool on_array_begin(error_code&) { return true; }
  bool on_array_end(size_t, error_code&) { return true; }
  bool on_key_part(view part, size_t, error_code&) {
    key.append(part.data(), part.size());
    return true;
  }
  bool on_key(view part, size_t, error_code& error) {
    key.append(part.data(), part.size());
    if (!keys.back().insert(key).second) {
      error = json::error::syntax;
      duplicate = std::move(key);
      return false;
    }
    key.clear();
    return true;
  }
  bool on_string_part(view, size_t, error_code&) { return true; }
  bool on_string(view, size_t, error_code&) { return true; }
  bool on_number_part(view, error_code&) { return true; }
  bool on_int64(int64_t, view, error_code&) { return true; }
  bool on_uint64(uint64_t, view, error_code&) { return true; }
  bool on_double(double, view, error_code&) { return true; }
  bool on_bool(bool, error_code&) { return true; }
  bool on_null(error_code&) { return true; }
  bool on_comment_part(view, error_code&) { return true; }
  bool on_comment(view, error_code&) { return true; }

  std::vector<std::set<std::string>> keys;
  std::string key;
  std::optional<std::string> duplicate;
};

std::optional<std::string> DuplicateKey(absl::string_view text) {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::basic_parser<DuplicateFinder> parser(options);
  json::error_code error;
  parser.write_some(false, text.data(), text.size(), error);
  return std::move(parser.handler().duplicate);
}

std::string At(absl::string_view text, size_t offset) {
  const absl::string_view before = text.substr(0, offset);
  const size_t newline = before.rfind('\n');
  const absl::string_view line = newline == absl::string_view::npos ? before : before.substr(newline + 1);
  return absl::StrCat(" at line ", 1 + std::count(before.begin(), before.end(), '\n'), ", column ",
                      1 + CountCodePoints(line));
}

// What there is to say of an error of the parser, which stopped at `offset`.
std::string FaultOf(const json::error_code& error, absl::string_view text, size_t offset) {
  if (error == json::error::too_deep) return absl::StrCat("it is nested deeper than ", kMaxDepth, " levels");
  if (error == json::error::incomplete) return "it ends too early";
  std::string what = "it is not well-formed";
  if (error == json::error::extra_data) what = "there is something after its end";
  if (error == json::error::illegal_leading_surrogate || error == json::error::illegal_trailing_surrogate)
    what = "there is half of a surrogate pair";
  return what + At(text, offset);
}

}  // namespace

absl::StatusOr<json::value> ParseJson(absl::string_view text, bool unique_keys) {
  constexpr int64_t kQuotedKey = 64;
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::error_code error;
  json::value value;
  try {
    json::parser parser({}, options);
    const size_t offset = parser.write_some(text.data(), text.size(), error);
    if (!error && offset < text.size()) error = json::error::extra_data;
    // The parser takes no invalid UTF-8 either; it only does not say so.
    if (error && !IsValidUtf8(text)) return absl::InvalidArgumentError("it is not valid UTF-8");
    if (error) return absl::InvalidArgumentError(FaultOf(error, text, offset));
    value = parser.release();
  } catch (const std::exception&) {
    return absl::InvalidArgumentError("it is too large");
  }
  if (unique_keys) {
    if (auto key = DuplicateKey(text))
      return absl::InvalidArgumentError(
          absl::StrCat("an object names the key '", CleanQuote(*key, kQuotedKey), "' twice"));
  }
  return value;
}

const json::value* FindMember(const json::value& value, std::initializer_list<absl::string_view> path) {
  const json::value* at = &value;
  for (const absl::string_view key : path) {
    const json::object* object = at->if_object();
    at = object == nullptr ? nullptr : object->if_contains(json::string_view(key.data(), key.size()));
    if (at == nullptr) return nullptr;
  }
  return at;
}

absl::string_view JsonText(const json::value* value) {
  return value != nullptr && value->is_string() ? ToAbsl(value->get_string()) : absl::string_view();
}

std::optional<int64_t> JsonWhole(const json::value* value) {
  if (value == nullptr) return std::nullopt;
  if (value->is_int64()) return value->get_int64();
  int64_t number;
  if (absl::SimpleAtoi(JsonText(value), &number)) return number;
  return std::nullopt;
}

std::optional<absl::Time> JsonTime(const json::value* value) {
  constexpr double kFarFuture = 1e11;
  if (value == nullptr) return std::nullopt;
  absl::Time time;
  if (absl::ParseTime(absl::RFC3339_full, JsonText(value), &time, nullptr)) return time;
  double seconds = 0;
  if (value->is_number()) {
    json::error_code error;
    seconds = value->to_number<double>(error);
  } else if (!absl::SimpleAtod(JsonText(value), &seconds)) {
    return std::nullopt;
  }
  if (!(seconds > 0) || seconds > kFarFuture) return std::nullopt;
  return absl::FromUnixSeconds(static_cast<int64_t>(seconds));
}

absl::string_view KindName(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_:
      return "a number";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "an array";
    case json::kind::object:
      return "an object";
  }
  return "something else";
}

absl::Status InvalidField(std::string path, absl::string_view what) {
  const std::string message = absl::StrCat(path, ": ", what);
  return MakeError(Reason::REASON_INVALID_REQUEST, message, {.field = std::move(path)});
}

std::string JsonReader::PathOf(absl::string_view key) const {
  return path_.empty() ? std::string(key) : absl::StrCat(path_, ".", key);
}

absl::Status JsonReader::Wrong(absl::string_view key, absl::string_view expected) const {
  const json::value* found = Find(key);
  if (found == nullptr) return InvalidField(PathOf(key), "is missing");
  return InvalidField(PathOf(key), absl::StrCat("must be ", expected, ", not ", KindName(*found)));
}

absl::Status JsonReader::MustBeObject() const {
  if (value_->is_object()) return absl::OkStatus();
  const std::string what = absl::StrCat("must be an object, not ", KindName(*value_));
  if (path_.empty()) return MakeError(Reason::REASON_INVALID_REQUEST, absl::StrCat("the request ", what));
  return InvalidField(path_, what);
}

const json::value* JsonReader::Find(absl::string_view key) const {
  const json::value* found = FindMember(*value_, {key});
  return found == nullptr || found->is_null() ? nullptr : found;
}

absl::StatusOr<std::string> JsonReader::String(absl::string_view key) const {
  const json::value* found = Find(key);
  if (found == nullptr || !found->is_string()) return Wrong(key, "a string");
  return std::string(ToAbsl(found->get_string()));
}

absl::StatusOr<std::optional<std::string>> JsonReader::OptionalString(absl::string_view key) const {
  const json::value* found = Find(key);
  if (found == nullptr) return std::optional<std::string>();
  if (!found->is_string()) return Wrong(key, "a string");
  return std::optional<std::string>(ToAbsl(found->get_string()));
}

absl::StatusOr<std::optional<bool>> JsonReader::OptionalBool(absl::string_view key) const {
  const json::value* found = Find(key);
  if (found == nullptr) return std::optional<bool>();
  if (!found->is_bool()) return Wrong(key, "a boolean");
  return std::optional<bool>(found->get_bool());
}

absl::StatusOr<std::optional<int64_t>> JsonReader::OptionalInt(absl::string_view key) const {
  const json::value* found = Find(key);
  if (found == nullptr) return std::optional<int64_t>();
  if (found->is_int64()) return std::optional<int64_t>(found->get_int64());
  // 100.0 is what some clients' number types make of 100.
  if (found->is_double() && std::floor(found->get_double()) == found->get_double() &&
      std::fabs(found->get_double()) < 9e15) {
    return std::optional<int64_t>(static_cast<int64_t>(found->get_double()));
  }
  return Wrong(key, found->is_number() ? "a smaller, whole number" : "a whole number");
}

absl::StatusOr<std::optional<double>> JsonReader::OptionalDouble(absl::string_view key) const {
  const json::value* found = Find(key);
  if (found == nullptr) return std::optional<double>();
  if (!found->is_number()) return Wrong(key, "a number");
  json::error_code error;
  const double number = found->to_number<double>(error);
  if (error || !std::isfinite(number)) return Wrong(key, "a smaller number");
  return std::optional<double>(number);
}

void AppendJsonString(std::string& out, absl::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out.push_back('"');
  size_t plain = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text.data() + plain, i - plain);
    plain = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += "\\u00";
        out.push_back(kHex[c >> 4]);
        out.push_back(kHex[c & 15]);
    }
  }
  out.append(text.data() + plain, text.size() - plain);
  out.push_back('"');
}

}  // namespace switchyard
