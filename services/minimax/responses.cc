#include "services/minimax/responses.h"

#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/http/retry_after.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"
#include "services/minimax/login.h"

namespace switchyard::minimax {

namespace json = boost::json;

namespace {

// Of the platform's own words, what fits into an error.
constexpr int64_t kQuoteLength = 200;

struct CodeRow {
  int64_t code;
  Reason reason;
  absl::string_view message;
  absl::string_view cause;
};
constexpr absl::string_view kExpired = "minimax no longer accepts the account's token: sign in again and replace it";
constexpr absl::string_view kSpent = "the account's credits at minimax are used up";
constexpr absl::string_view kLimited = "minimax limits the account's rate of requests";
constexpr absl::string_view kSignature = "minimax refused the request's signature";
constexpr std::array kCodes = {
    CodeRow{1000021, Reason::REASON_CREDENTIAL_EXPIRED, kExpired, "token"},
    CodeRow{1000022, Reason::REASON_CREDENTIAL_EXPIRED, kExpired, "token"},
    CodeRow{1000023, Reason::REASON_CREDENTIAL_EXPIRED, kExpired, "token"},
    CodeRow{1001, Reason::REASON_CREDENTIAL_EXPIRED, kExpired, "token"},
    CodeRow{1022100011, Reason::REASON_CREDENTIAL_EXPIRED, kExpired, "token"},
    CodeRow{30100, Reason::REASON_QUOTA_SPENT, kSpent, "credits"},
    CodeRow{30101, Reason::REASON_QUOTA_SPENT, kSpent, "credits"},
    CodeRow{30102, Reason::REASON_QUOTA_SPENT, kSpent, "credits"},
    CodeRow{429, Reason::REASON_RATE_LIMITED, kLimited, "code_429"},
    CodeRow{1000403, Reason::REASON_SIGNATURE_REFUSED, kSignature, "signature"},
};

// Words that tell what a code without a row means; compared in lower case.
struct WordRow {
  absl::string_view word;
  Reason reason;
  absl::string_view message;
  absl::string_view cause;
};
constexpr std::array kWords = {
    WordRow{"chat is running", Reason::REASON_ACCOUNT_BUSY, "minimax is still answering in this chat", "chat_running"},
    WordRow{"chat not found", Reason::REASON_INVALID_REQUEST, "minimax no longer has this conversation",
            "chat_unknown"},
    WordRow{"chat not exist", Reason::REASON_INVALID_REQUEST, "minimax no longer has this conversation",
            "chat_unknown"},
    WordRow{"sandbox connection error", Reason::REASON_UPSTREAM_UNAVAILABLE, "minimax could not reach its own agent",
            "session_trouble"},
    WordRow{"rpc timeout", Reason::REASON_UPSTREAM_UNAVAILABLE, "minimax could not reach its own agent",
            "session_trouble"},
    WordRow{"rate limit", Reason::REASON_RATE_LIMITED, kLimited, "words"},
    WordRow{"credit", Reason::REASON_QUOTA_SPENT, kSpent, "credits"},
    WordRow{"limit", Reason::REASON_QUOTA_SPENT, kSpent, "credits"},
    WordRow{"拥挤", Reason::REASON_RATE_LIMITED, kLimited, "busy"},
    WordRow{"繁忙", Reason::REASON_RATE_LIMITED, kLimited, "busy"},
    WordRow{"稍后", Reason::REASON_RATE_LIMITED, kLimited, "busy"},
};

absl::Status Changed(absl::string_view what, absl::string_view cause) {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, absl::StrCat("minimax's answer was not understood: ", what),
                   {.cause = std::string(cause)});
}

absl::Status RowError(Reason reason, absl::string_view message, absl::string_view cause) {
  ErrorExtras extras;
  extras.cause = std::string(cause);
  if (reason == Reason::REASON_INVALID_REQUEST) extras.field = "conversation_id";
  return MakeError(reason, message, std::move(extras));
}

absl::Status CodeError(int64_t code, absl::string_view said) {
  for (const CodeRow& row : kCodes) {
    if (row.code == code) return RowError(row.reason, row.message, row.cause);
  }
  const std::string words = absl::AsciiStrToLower(said);
  for (const WordRow& row : kWords) {
    if (absl::StrContains(words, row.word)) return RowError(row.reason, row.message, row.cause);
  }
  std::string message = absl::StrCat("minimax answered with error ", code);
  if (!said.empty()) absl::StrAppend(&message, ": ", CleanQuote(said, kQuoteLength));
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, message, {.cause = "unknown_code"});
}

/// An error by the HTTP status alone; OK if the body has to be looked at.
absl::Status HttpError(const Answer& answer, absl::Time now) {
  const int status = answer.http_status;
  const bool html = absl::StrContains(answer.headers.Get("content-type"), "html");
  if (html && status < 500)
    return MakeError(Reason::REASON_CLIENT_REFUSED, "minimax refuses this relay's address or client for now",
                     {.cause = status == 403 ? "challenge" : "html"});
  if (status == 401) return MakeError(Reason::REASON_CREDENTIAL_EXPIRED, kExpired, {.cause = "token"});
  if (status == 429) {
    auto wait = ParseRetryAfter(answer.headers.Get("retry-after"), now);
    return MakeError(Reason::REASON_RATE_LIMITED, kLimited, {.retry_after = wait, .cause = "http_429"});
  }
  if (status == 409)
    return MakeError(Reason::REASON_ACCOUNT_BUSY, "minimax is still busy with the account", {.cause = "http_409"});
  if (status >= 500)
    return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, absl::StrCat("minimax answered with HTTP status ", status),
                     {.cause = "http_5xx"});
  return absl::OkStatus();
}

absl::StatusOr<json::value> Parse(const std::string& body) {
  auto root = ParseJson(body);
  // A poll may be cut in the middle of a character.
  if (!root.ok() && !IsValidUtf8(body)) root = ParseJson(ReplaceInvalidUtf8(body));
  return root;
}

}  // namespace

absl::Status InnerError(const json::value& object) {
  if (const auto code = JsonWhole(FindMember(object, {"base_resp", "status_code"})); code && *code != 0)
    return CodeError(*code, JsonText(FindMember(object, {"base_resp", "status_msg"})));
  if (const auto code = JsonWhole(FindMember(object, {"statusInfo", "code"})); code && *code != 0) {
    absl::string_view said = JsonText(FindMember(object, {"statusInfo", "message"}));
    if (said.empty()) said = JsonText(FindMember(object, {"statusInfo", "msg"}));
    return CodeError(*code, said);
  }
  return absl::OkStatus();
}

absl::StatusOr<json::value> ReadBareAnswer(const Answer& answer, absl::Time now) {
  if (auto status = HttpError(answer, now); !status.ok()) return status;
  auto root = Parse(answer.body);
  if (root.ok()) {
    if (auto status = InnerError(*root); !status.ok()) return status;
  }
  if (answer.http_status == 403)
    return MakeError(Reason::REASON_CLIENT_REFUSED, "minimax refuses this relay's address or client for now",
                     {.cause = "http_403"});
  if (answer.http_status != 200) return Changed(absl::StrCat("HTTP status ", answer.http_status), "http_status");
  if (!root.ok() || !root->is_object()) return Changed("it is not JSON", "not_json");
  return root;
}

absl::StatusOr<json::value> ReadAnswer(const Answer& answer, absl::Time now) {
  auto root = ReadBareAnswer(answer, now);
  if (!root.ok()) return root;
  if (FindMember(*root, {"base_resp"}) == nullptr && FindMember(*root, {"statusInfo"}) == nullptr &&
      FindMember(*root, {"messages"}) == nullptr && FindMember(*root, {"data"}) == nullptr)
    return Changed("it has no envelope", "envelope");
  return root;
}

std::optional<ChatId> IdOf(const json::value* value) {
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) {
    auto id = ChatId::Parse(JsonText(value));
    if (!id || id->text) return std::nullopt;
    id->text = true;
    return id;
  }
  const auto number = JsonWhole(value);
  if (!number || *number <= 0) return std::nullopt;
  ChatId id;
  id.digits = absl::StrCat(*number);
  return id;
}

absl::StatusOr<Sent> ReadSent(const json::value& object) {
  const json::value* inner = FindMember(object, {"data"});
  const json::value& holder = FindMember(object, {"chat_id"}) == nullptr && inner != nullptr ? *inner : object;
  auto chat = IdOf(FindMember(holder, {"chat_id"}));
  if (!chat) return Changed("a new conversation has no id", "chat_id");
  Sent sent;
  sent.chat = *std::move(chat);
  sent.message = IdOf(FindMember(holder, {"msg_id"})).value_or(ChatId());
  return sent;
}

bool IsStillRunning(const absl::Status& status) { return DetailOf(status).cause() == "chat_running"; }
bool IsUnknownChat(const absl::Status& status) { return DetailOf(status).cause() == "chat_unknown"; }

bool MayPass(const absl::Status& status) {
  const ErrorDetail detail = DetailOf(status);
  // What only the owner can change does not change between two polls; a code of the platform's may.
  return detail.reason() != Reason::REASON_SIGNATURE_REFUSED &&
         !(detail.reason() == Reason::REASON_CLIENT_REFUSED && detail.cause() != "html");
}

absl::StatusOr<std::string> ReadAgent(const json::value& object) {
  const json::value* agents = FindMember(object, {"agents"});
  if (agents == nullptr) agents = FindMember(object, {"data", "agents"});
  if (agents == nullptr || !agents->is_array()) return Changed("it lists no agents", "agents");
  std::string chosen;
  for (const json::value& agent : agents->get_array()) {
    const absl::string_view role = JsonText(FindMember(agent, {"agent_role"}));
    const absl::string_view name = JsonText(FindMember(agent, {"name"}));
    if (!IsPathId(name) || (role != "mavis" && role != "chat")) continue;
    if (chosen.empty() || role == "mavis") chosen = std::string(name);
  }
  if (chosen.empty()) return Changed("no agent of its answers chats", "agents");
  return chosen;
}

absl::StatusOr<std::string> ReadSession(const json::value& object) {
  absl::string_view id = JsonText(FindMember(object, {"session_id"}));
  for (const char* holder : {"session", "data"}) {
    if (id.empty()) id = JsonText(FindMember(object, {holder, "session_id"}));
  }
  if (!IsPathId(id)) return Changed("a new session has no id", "session_id");
  return std::string(id);
}

bool IsSessionTrouble(const absl::Status& status) {
  const std::string cause = DetailOf(status).cause();
  return cause == "session_trouble" || cause == "http_409";
}

absl::Status ReadUserInfo(const json::value& object) {
  const json::value* user = FindMember(object, {"data", "userInfo"});
  return user != nullptr && user->is_object() ? absl::OkStatus() : Changed("it names no user", "user_info");
}

absl::StatusOr<Secret> ReadRenewal(const json::value& object) {
  const absl::string_view token = JsonText(FindMember(object, {"data", "token"}));
  if (!ReadClaims(token)) return Changed("there is no new token in it", "renewal");
  return Secret(std::string(token));
}

}  // namespace switchyard::minimax
