#include "services/metaso/responses.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/common/http/retry_after.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"

namespace switchyard::metaso {

namespace json = boost::json;

namespace {

constexpr int64_t kQuoteLength = 200;
constexpr char kUnknownRefusal[] = "unknown_code";

constexpr absl::string_view kExpired =
    "metaso no longer accepts the account's login: sign in again and replace uid-sid";
constexpr absl::string_view kLimited = "metaso limits the rate of searches";
constexpr absl::string_view kChallenge =
    "metaso wants a human to pass a check: open metaso.cn in a browser with this account";

struct CodeRow {
  absl::string_view code;
  Reason reason;
  absl::string_view message;
  absl::string_view cause;
};
constexpr std::array kCodes = {
    CodeRow{"401", Reason::REASON_CREDENTIAL_EXPIRED, kExpired, "code_401"},
    CodeRow{"403", Reason::REASON_CAPTCHA_PENDING, kChallenge, "code_403"},
    CodeRow{"429", Reason::REASON_RATE_LIMITED, kLimited, "code_429"},
    CodeRow{"TOO_MANY_REQUESTS", Reason::REASON_RATE_LIMITED, kLimited, kTooManyCause},
    CodeRow{"4001", Reason::REASON_QUOTA_SPENT, "metaso says that the account's quota of searches is spent",
            kQuotaCause},
};

// Trouble of the platform's own. Source: protocol notes, sections 4.1 and 4.2.
constexpr std::array<absl::string_view, 2> kTroubles = {"SEARCH_FAILED", "-500"};

// What a page says that asks for a human.
constexpr std::array<absl::string_view, 8> kChallengeMarks = {"captcha", "slider", "滑块",   "验证",
                                                              "punish",  "_waf_",  "aliyun", "challenge"};

absl::Status Changed(absl::string_view what, absl::string_view cause) {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, absl::StrCat("metaso's answer was not understood: ", what),
                   {.cause = std::string(cause)});
}
absl::Status Challenged(absl::string_view cause) {
  return MakeError(Reason::REASON_CAPTCHA_PENDING, kChallenge, {.cause = std::string(cause)});
}

std::string WithQuote(std::string message, absl::string_view said) {
  if (!said.empty()) absl::StrAppend(&message, ": ", CleanQuote(ReplaceInvalidUtf8(said), kQuoteLength));
  return message;
}

/// A code in the table; nullopt for any other.
std::optional<absl::Status> KnownCode(absl::string_view code) {
  for (const CodeRow& row : kCodes) {
    if (row.code != code) continue;
    return MakeError(row.reason, row.message, {.cause = std::string(row.cause)});
  }
  return std::nullopt;
}

bool IsHtml(const Answer& answer) {
  return absl::StrContains(answer.headers.Get("content-type"), "html") ||
         absl::StartsWith(absl::StripLeadingAsciiWhitespace(answer.body), "<");
}

/// What follows from the HTTP status alone; OK if the body has to be looked at.
absl::Status HttpError(const Answer& answer, absl::Time now) {
  const int status = answer.http_status;
  if (status == 401) return ExpiredError("http_401");
  if (status == 403) return Challenged("http_403");
  if (status == 429) {
    const auto wait = ParseRetryAfter(answer.headers.Get("retry-after"), now);
    return MakeError(Reason::REASON_RATE_LIMITED, kLimited, {.retry_after = wait, .cause = "http_429"});
  }
  if (status >= 500)
    return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, absl::StrCat("metaso answered with HTTP status ", status),
                     {.cause = "http_5xx"});
  if (status >= 300 && status < 400) return ExpiredError("redirect");
  return absl::OkStatus();
}

// ---- the page

void AppendCodePoint(uint32_t code, std::string& out) {
  if (code < 0x80) out += static_cast<char>(code);  // the token is ASCII; anything else makes it no token
}

std::string DecodeEntities(absl::string_view text) {
  constexpr std::array<std::pair<absl::string_view, char>, 5> kNamed = {
      {{"&amp;", '&'}, {"&quot;", '"'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&apos;", '\''}}};
  std::string out;
  while (!text.empty()) {
    const size_t end = text[0] == '&' ? text.substr(0, 12).find(';') : absl::string_view::npos;
    if (end == absl::string_view::npos) {
      out += text[0];
      text.remove_prefix(1);
      continue;
    }
    const absl::string_view entity = text.substr(0, end + 1);
    uint32_t code = 0;
    const bool hex = absl::StartsWithIgnoreCase(entity, "&#x");
    const bool numeric =
        hex ? absl::SimpleHexAtoi(entity.substr(3, entity.size() - 4), &code)
            : absl::StartsWith(entity, "&#") && absl::SimpleAtoi(entity.substr(2, entity.size() - 3), &code);
    const auto* named =
        std::find_if(kNamed.begin(), kNamed.end(), [&](const auto& row) { return row.first == entity; });
    if (numeric) {
      AppendCodePoint(code, out);
    } else if (named != kNamed.end()) {
      out += named->second;
    } else {
      out.append(entity.data(), entity.size());
    }
    text.remove_prefix(entity.size());
  }
  return out;
}

/// The value of an attribute of a tag, in either kind of quotes or none; "" if it has none.
absl::string_view Attribute(absl::string_view tag, absl::string_view name) {
  for (size_t at = tag.find(name); at != absl::string_view::npos; at = tag.find(name, at + 1)) {
    if (at == 0 || !absl::ascii_isspace(static_cast<unsigned char>(tag[at - 1]))) continue;
    absl::string_view rest = absl::StripLeadingAsciiWhitespace(tag.substr(at + name.size()));
    if (!absl::ConsumePrefix(&rest, "=")) continue;
    rest = absl::StripLeadingAsciiWhitespace(rest);
    if (rest.empty()) return {};
    if (rest[0] == '"' || rest[0] == '\'') {
      const size_t close = rest.find(rest[0], 1);
      return close == absl::string_view::npos ? absl::string_view() : rest.substr(1, close - 1);
    }
    return rest.substr(0, rest.find_first_of(" \t\r\n>"));
  }
  return {};
}

std::string MetaToken(absl::string_view page) {
  for (size_t at = page.find("<meta"); at != absl::string_view::npos; at = page.find("<meta", at + 1)) {
    const absl::string_view tag = page.substr(at, page.substr(at).find('>'));
    if (Attribute(tag, "id") != "meta-token") continue;
    std::string token = DecodeEntities(Attribute(tag, "content"));
    const bool visible = std::all_of(token.begin(), token.end(), [](unsigned char c) { return c > 0x20 && c < 0x7F; });
    if (visible && token.size() <= 4096) return token;
  }
  return "";
}

}  // namespace

absl::StatusOr<Secret> ReadPage(const Answer& answer, absl::Time now) {
  if (auto status = HttpError(answer, now); !status.ok()) return status;
  if (answer.http_status == 200) {
    if (std::string token = MetaToken(answer.body); !token.empty()) return Secret(std::move(token));
  }
  const std::string lower = absl::AsciiStrToLower(answer.body);
  for (const absl::string_view mark : kChallengeMarks) {
    if (absl::StrContains(lower, mark)) return Challenged("challenge");
  }
  if (answer.http_status != 200) return Changed(absl::StrCat("HTTP status ", answer.http_status), "http_status");
  if (!IsHtml(answer)) return Changed("its page is no page", "page");
  return ExpiredError("no_meta_token");
}

absl::StatusOr<json::value> ReadEnvelope(const Answer& answer, absl::Time now) {
  if (auto status = HttpError(answer, now); !status.ok()) return status;
  if (IsHtml(answer)) return Challenged("html");
  auto root = ParseJson(answer.body);
  if (answer.http_status != 200 && !root.ok())
    return Changed(absl::StrCat("HTTP status ", answer.http_status), "http_status");
  if (!root.ok() || !root->is_object()) return Changed("it is not JSON", "envelope");
  const auto code = JsonWhole(FindMember(*root, {"errCode"}));
  if (code && *code != 0) {
    if (auto known = KnownCode(absl::StrCat(*code))) return *std::move(known);
    const absl::string_view said = JsonText(FindMember(*root, {"errMsg"}));
    return MakeError(Reason::REASON_UPSTREAM_CHANGED,
                     WithQuote(absl::StrCat("metaso answered with error ", *code), said), {.cause = kUnknownRefusal});
  }
  if (answer.http_status != 200) return Changed(absl::StrCat("HTTP status ", answer.http_status), "http_status");
  return root;
}

absl::StatusOr<std::string> SessionId(const json::value& envelope) {
  const json::value* id = FindMember(envelope, {"data", "id"});
  if (id == nullptr) id = FindMember(envelope, {"id"});
  std::string text(JsonText(id));
  if (id != nullptr && id->is_int64()) text = absl::StrCat(id->get_int64());
  if (id != nullptr && id->is_uint64()) text = absl::StrCat(id->get_uint64());
  const bool fits = std::all_of(text.begin(), text.end(),
                                [](unsigned char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_'; });
  if (text.empty() || text.size() > 64 || !fits) return Changed("a new session has no id", "session_id");
  return text;
}

bool IsEventStream(int http_status, const HttpHeaders& headers) {
  return http_status == 200 && absl::StartsWithIgnoreCase(headers.Get("content-type"), "text/event-stream");
}

absl::Status NoStream(const Answer& answer, absl::Time now) {
  auto envelope = ReadEnvelope(answer, now);
  return envelope.ok() ? Changed("it is no event stream", "no_stream") : envelope.status();
}

absl::Status CodeError(absl::string_view code, absl::string_view said, bool has_content) {
  if (auto known = KnownCode(code)) return *std::move(known);
  const bool told = code.empty() || std::find(kTroubles.begin(), kTroubles.end(), code) != kTroubles.end();
  const Reason reason = !told         ? Reason::REASON_UPSTREAM_CHANGED
                        : has_content ? Reason::REASON_UPSTREAM_BROKEN
                                      : Reason::REASON_UPSTREAM_UNAVAILABLE;
  const std::string name = code.empty() ? "" : absl::StrCat(" (", CleanQuote(ReplaceInvalidUtf8(code), 40), ")");
  return MakeError(reason, WithQuote(absl::StrCat("metaso broke off its answer", name), said),
                   {.cause = "error_event"});
}

bool SaysAnonymous(const Answer& answer) {
  if (answer.http_status == 401) return true;
  auto root = ParseJson(answer.body);
  if (answer.http_status != 200 || !root.ok() || !root->is_object()) return false;
  const auto code = JsonWhole(FindMember(*root, {"errCode"}));
  if (code && *code != 0) return *code == 401;
  const json::value* data = FindMember(*root, {"data"});
  return data != nullptr && data->is_object() && FindMember(*data, {"user"}) == nullptr;
}

absl::Status ExpiredError(absl::string_view cause) {
  return MakeError(Reason::REASON_CREDENTIAL_EXPIRED, kExpired, {.cause = std::string(cause)});
}

bool IsUnknownRefusal(const absl::Status& status) { return DetailOf(status).cause() == kUnknownRefusal; }

}  // namespace switchyard::metaso
