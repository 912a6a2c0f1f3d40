#include "services/deepseek/responses.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/http/retry_after.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"

namespace switchyard::deepseek {

namespace json = boost::json;
using signing::v1::DeepSeekProofOfWork;

namespace {

// Of the platform's own words, what fits into an error.
constexpr int64_t kQuoteLength = 200;

enum class Envelope { kOuter, kInner, kEither };
struct CodeRow {
  int64_t code;
  Envelope where;
  Reason reason;
  absl::string_view message;
  absl::string_view cause;
};
constexpr absl::string_view kExpired = "deepseek no longer accepts the account's token: sign in again and replace it";
constexpr absl::string_view kLimited = "deepseek limits the account's rate of requests";
constexpr std::array kCodes = {
    CodeRow{40001, Envelope::kEither, Reason::REASON_CREDENTIAL_EXPIRED, kExpired, "token"},
    CodeRow{40002, Envelope::kEither, Reason::REASON_CREDENTIAL_EXPIRED, kExpired, "token"},
    CodeRow{40003, Envelope::kEither, Reason::REASON_CREDENTIAL_EXPIRED, kExpired, "token"},
    CodeRow{40301, Envelope::kEither, Reason::REASON_SIGNATURE_REFUSED, "deepseek refused the proof of work",
            "pow_refused"},
    CodeRow{1001, Envelope::kEither, Reason::REASON_RATE_LIMITED, kLimited, "code_1001"},
    CodeRow{1201, Envelope::kEither, Reason::REASON_RATE_LIMITED, kLimited, "code_1201"},
    CodeRow{1, Envelope::kInner, Reason::REASON_INVALID_REQUEST, "deepseek no longer has this conversation",
            "session_unknown"},
    CodeRow{5, Envelope::kInner, Reason::REASON_ACCOUNT_MUTED, "deepseek has muted the account", "muted"},
    CodeRow{10, Envelope::kInner, Reason::REASON_ACCOUNT_BANNED, "deepseek has banned the account", "banned"},
    CodeRow{11, Envelope::kInner, Reason::REASON_CLIENT_REFUSED, "deepseek refuses this device", "device_risk"},
    CodeRow{26, Envelope::kInner, Reason::REASON_INVALID_REQUEST,
            "deepseek does not know the message that was to be continued", "message_unknown"},
};

// What a hint's finish_reason says. None at all is trouble on the platform's side.
struct HintRow {
  absl::string_view finish_reason;
  Reason reason;
  absl::string_view message;
};
constexpr std::array kHints = {
    HintRow{"rate_limit_reached", Reason::REASON_RATE_LIMITED, kLimited},
    HintRow{"input_exceeds_limit", Reason::REASON_CONTEXT_TOO_LONG, "the conversation is longer than deepseek takes"},
    HintRow{"content_filter", Reason::REASON_CONTENT_REFUSED, "deepseek refused to answer this conversation"},
};

absl::Status Changed(absl::string_view what, absl::string_view cause) {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, absl::StrCat("deepseek's answer was not understood: ", what),
                   {.cause = std::string(cause)});
}

std::optional<absl::Time> MuteEnd(const json::value& data) {
  const json::value* until = FindMember(data, {"biz_data", "mute_until"});
  if (until == nullptr) until = FindMember(data, {"biz_data", "chat", "mute_until"});
  if (until == nullptr) until = FindMember(data, {"biz_data", "user", "chat", "mute_until"});
  return JsonTime(until);
}

absl::Status CodeError(int64_t code, Envelope where, absl::string_view said, std::optional<absl::Time> until) {
  for (const CodeRow& row : kCodes) {
    if (row.code != code || (row.where != Envelope::kEither && row.where != where)) continue;
    ErrorExtras extras;
    extras.cause = std::string(row.cause);
    if (row.reason == Reason::REASON_ACCOUNT_MUTED) extras.until = until;
    if (row.reason == Reason::REASON_INVALID_REQUEST) extras.field = "conversation_id";
    std::string message(row.message);
    if (row.reason == Reason::REASON_ACCOUNT_MUTED && until)
      absl::StrAppend(&message, " until ", absl::FormatTime(absl::RFC3339_sec, *until, absl::UTCTimeZone()));
    return MakeError(row.reason, message, std::move(extras));
  }
  std::string message = absl::StrCat("deepseek answered with error ", code);
  if (!said.empty()) absl::StrAppend(&message, ": ", CleanQuote(said, kQuoteLength));
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, message, {.cause = "unknown_code"});
}

absl::Status Refused(absl::string_view cause) {
  return MakeError(Reason::REASON_CLIENT_REFUSED, "deepseek refuses this relay's address or client for now",
                   {.cause = std::string(cause)});
}

/// An error by the HTTP status alone; OK if the body has to be looked at.
absl::Status HttpError(const Answer& answer, absl::Time now) {
  const bool is_json = absl::StrContains(answer.headers.Get("content-type"), "json");
  const int status = answer.http_status;
  if (status == 202 || (status == 403 && !is_json)) return Refused("waf");
  if (status == 401 || status == 403) return MakeError(Reason::REASON_CREDENTIAL_EXPIRED, kExpired, {.cause = "token"});
  if (status == 422) return Changed("it refused the form of the request", "request_shape");
  if (status == 429) {
    auto wait = ParseRetryAfter(answer.headers.Get("retry-after"), now);
    if (!wait) wait = ParseRetryAfter(answer.headers.Get("x-fetch-after-sec"), now);
    return MakeError(Reason::REASON_RATE_LIMITED, kLimited, {.retry_after = wait, .cause = "http_429"});
  }
  if (status >= 500) {
    return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, absl::StrCat("deepseek answered with HTTP status ", status),
                     {.cause = "http_5xx"});
  }
  if (status != 200) return Changed(absl::StrCat("HTTP status ", status), "http_status");
  if (absl::StrContains(answer.headers.Get("content-type"), "html")) return Refused("html");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<json::value> ReadEnvelope(const Answer& answer, absl::Time now) {
  if (auto status = HttpError(answer, now); !status.ok()) return status;
  auto root = ParseJson(answer.body);
  if (!root.ok()) return Changed("it is not JSON", "envelope");
  const auto code = JsonWhole(FindMember(*root, {"code"}));
  if (!code) return Changed("it has no code", "envelope");
  if (*code != 0) return CodeError(*code, Envelope::kOuter, JsonText(FindMember(*root, {"msg"})), std::nullopt);
  const json::value* data = FindMember(*root, {"data"});
  if (data == nullptr || !data->is_object()) return Changed("it has no data", "envelope");
  const auto inner = JsonWhole(FindMember(*data, {"biz_code"}));
  if (!inner) return Changed("it has no inner code", "envelope");
  const absl::string_view said = JsonText(FindMember(*data, {"biz_msg"}));
  // The one message that shares its code with a mute: about titles, and harmless.
  if (*inner == 5 && said == "EMPTY_CHAT_SESSION") return json::value(nullptr);
  if (*inner != 0) return CodeError(*inner, Envelope::kInner, said, MuteEnd(*data));
  const json::value* biz_data = FindMember(*data, {"biz_data"});
  return biz_data == nullptr ? json::value(nullptr) : *biz_data;
}

bool IsEventStream(int http_status, const HttpHeaders& headers) {
  return http_status == 200 && absl::StartsWithIgnoreCase(headers.Get("content-type"), "text/event-stream");
}

absl::Status NoStream(const Answer& answer, absl::Time now) {
  auto envelope = ReadEnvelope(answer, now);
  return envelope.ok() ? Changed("it is no event stream", "no_stream") : envelope.status();
}

json::value WholeMessage(const Answer& answer) {
  constexpr int64_t kWholeMessage = 22;
  auto root = ParseJson(answer.body);
  if (answer.http_status != 200 || !root.ok() || JsonWhole(FindMember(*root, {"data", "biz_code"})) != kWholeMessage)
    return nullptr;
  for (const absl::string_view name : {"response", "response_message", "message"}) {
    const json::value* message = FindMember(*root, {"data", "biz_data", name});
    if (message != nullptr && message->is_object()) return *message;
  }
  return nullptr;
}

bool IsUnknownSession(const absl::Status& status) { return DetailOf(status).cause() == "session_unknown"; }

absl::StatusOr<std::string> SessionId(const json::value& biz_data) {
  if (biz_data.is_null()) return Refused("no_session");
  // Until early 2026 the session was biz_data itself.
  absl::string_view id = JsonText(FindMember(biz_data, {"chat_session", "id"}));
  if (id.empty()) id = JsonText(FindMember(biz_data, {"id"}));
  if (id.empty() || id.size() > 128) return Changed("a new conversation has no id", "session_id");
  return std::string(id);
}

absl::StatusOr<DeepSeekProofOfWork> Challenge(const json::value& biz_data, absl::string_view target_path) {
  const json::value* challenge = FindMember(biz_data, {"challenge"});
  if (challenge == nullptr || !challenge->is_object()) return Changed("there is no challenge in it", "challenge");
  const auto difficulty = JsonWhole(FindMember(*challenge, {"difficulty"}));
  const auto expire_at = JsonWhole(FindMember(*challenge, {"expire_at"}));
  DeepSeekProofOfWork work;
  work.set_algorithm(std::string(JsonText(FindMember(*challenge, {"algorithm"}))));
  work.set_challenge(std::string(JsonText(FindMember(*challenge, {"challenge"}))));
  work.set_salt(std::string(JsonText(FindMember(*challenge, {"salt"}))));
  work.set_signature(std::string(JsonText(FindMember(*challenge, {"signature"}))));
  work.set_target_path(std::string(JsonText(FindMember(*challenge, {"target_path"}))));
  if (!difficulty || !expire_at || work.challenge().empty() || work.salt().empty() || work.signature().empty()) {
    return Changed("the challenge lacks something", "challenge");
  }
  if (work.target_path() != target_path) return Changed("the challenge is for another path", "challenge_path");
  work.set_difficulty(*difficulty);
  work.set_expire_at_ms(*expire_at);
  return work;
}

absl::StatusOr<FileState> UploadedFile(const json::value& biz_data) {
  FileState file;
  file.id = std::string(JsonText(FindMember(biz_data, {"id"})));
  file.status = std::string(JsonText(FindMember(biz_data, {"status"})));
  // The id goes into a query.
  const bool plain = std::all_of(file.id.begin(), file.id.end(),
                                 [](unsigned char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_'; });
  if (file.id.empty() || file.id.size() > 128 || !plain || file.status.empty())
    return Changed("an uploaded file has no id or status", "file");
  return file;
}

absl::StatusOr<std::vector<FileState>> FileStates(const json::value& biz_data) {
  const json::value* list = FindMember(biz_data, {"files"});
  if (list == nullptr || !list->is_array()) return Changed("there are no files in it", "file");
  std::vector<FileState> files;
  for (const json::value& one : list->get_array()) {
    auto file = UploadedFile(one);
    if (!file.ok()) return file.status();
    files.push_back(*std::move(file));
  }
  return files;
}

bool IsRead(const FileState& file) { return file.status == "SUCCESS"; }

absl::Status FileError(const FileState& file) {
  for (const absl::string_view fine : {"PENDING", "PARSING", "SUCCESS"}) {
    if (file.status == fine) return absl::OkStatus();
  }
  const ErrorExtras extras{.cause = "file_status"};
  if (file.status == "CONTENT_FILTER")
    return MakeError(Reason::REASON_CONTENT_REFUSED, "deepseek refuses what is in the file", extras);
  if (file.status == "CONTENT_TOO_LONG")
    return MakeError(Reason::REASON_CONTEXT_TOO_LONG, "the file holds more text than deepseek takes",
                     {.field = "messages", .cause = "file_status"});
  if (file.status == "CANCELLED")
    return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, "deepseek gave up reading the file", extras);
  return MakeError(Reason::REASON_INVALID_REQUEST,
                   absl::StrCat("deepseek cannot read the file (", CleanQuote(file.status, 40), ")"), extras);
}

absl::Status HintError(const json::value& hint, bool has_content) {
  const absl::string_view finish_reason = JsonText(FindMember(hint, {"finish_reason"}));
  for (const HintRow& row : kHints) {
    if (row.finish_reason != finish_reason) continue;
    const bool too_long = row.reason == Reason::REASON_CONTEXT_TOO_LONG;
    return MakeError(row.reason, row.message, {.field = too_long ? "messages" : "", .cause = "hint"});
  }
  std::string message = "deepseek ended the turn";
  if (const absl::string_view said = JsonText(FindMember(hint, {"content"})); !said.empty())
    absl::StrAppend(&message, ": ", CleanQuote(said, kQuoteLength));
  if (!finish_reason.empty()) {
    absl::StrAppend(&message, " (", CleanQuote(finish_reason, 40), ")");
    return MakeError(Reason::REASON_UPSTREAM_CHANGED, message, {.cause = "unknown_hint"});
  }
  const Reason reason = has_content ? Reason::REASON_UPSTREAM_BROKEN : Reason::REASON_UPSTREAM_UNAVAILABLE;
  return MakeError(reason, message, {.cause = "hint"});
}

absl::Status InStreamError(const json::object& object) {
  const json::value value(object);
  const auto code = JsonWhole(FindMember(value, {"code"}));
  if (code && *code != 0) return CodeError(*code, Envelope::kOuter, JsonText(FindMember(value, {"msg"})), std::nullopt);
  const json::value* data = FindMember(value, {"data"});
  const auto inner = data == nullptr ? std::nullopt : JsonWhole(FindMember(*data, {"biz_code"}));
  if (inner && *inner != 0)
    return CodeError(*inner, Envelope::kInner, JsonText(FindMember(*data, {"biz_msg"})), MuteEnd(*data));
  const json::value* error = FindMember(value, {"error"});
  if (error == nullptr || error->is_null()) return absl::OkStatus();
  absl::string_view said = JsonText(error);
  if (said.empty()) said = JsonText(FindMember(*error, {"message"}));
  return MakeError(
      Reason::REASON_UPSTREAM_BROKEN,
      absl::StrCat("deepseek's answer broke off", said.empty() ? "" : ": ", CleanQuote(said, kQuoteLength)),
      {.cause = "in_stream_error"});
}

absl::Status StatusError(absl::string_view word) {
  if (word == "CONTEXT_LENGTH_EXCEEDED" || word == "CONTENT_TOO_LONG") {
    return MakeError(Reason::REASON_CONTEXT_TOO_LONG, "the conversation is longer than deepseek takes",
                     {.field = "messages", .cause = "status"});
  }
  if (word == "CONTENT_EMPTY")
    return MakeError(Reason::REASON_UPSTREAM_EMPTY, "deepseek ended its answer without having said anything",
                     {.cause = "status"});
  return MakeError(Reason::REASON_UPSTREAM_BROKEN,
                   absl::StrCat("deepseek gave up before it said anything (", CleanQuote(word, 40), ")"),
                   {.cause = "status"});
}

}  // namespace switchyard::deepseek
