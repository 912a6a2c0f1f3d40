#include "services/qwen/responses.h"

#include <array>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "services/common/http/retry_after.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"

namespace switchyard::qwen {

namespace json = boost::json;

namespace {

// Of the platform's own words, what fits into an error.
constexpr int64_t kQuoteLength = 200;
constexpr absl::string_view kExpired = "qwen no longer accepts the account's login: sign in again and replace it";
constexpr absl::string_view kLimited = "qwen limits the account's rate of requests";
constexpr absl::string_view kRefused = "qwen refuses this relay's address or client";

struct CodeRow {
  absl::string_view code;
  Reason reason;
  absl::string_view message;
  absl::string_view cause;
};
constexpr std::array kCodes = {
    CodeRow{"NOT_LOGIN", Reason::REASON_CREDENTIAL_EXPIRED, kExpired, "token"},
    CodeRow{"LOGIN_TICKET_INVALID", Reason::REASON_CREDENTIAL_EXPIRED, kExpired, "token"},
    CodeRow{"RateLimited", Reason::REASON_RATE_LIMITED, kLimited, "rate_code"},
    CodeRow{"SESSION_NO_EXIST", Reason::REASON_INVALID_REQUEST, "qwen no longer has this conversation",
            "session_unknown"},
};

// In the page of a puzzle, or in the JSON that points at it.
constexpr std::array<absl::string_view, 4> kChallenges = {"FAIL_SYS_USER_VALIDATE", "RGV587_ERROR", "rgv587_flag",
                                                          "aliyun_waf"};
// Where somebody is sent who is not logged in.
constexpr std::array<absl::string_view, 2> kLoginHosts = {"passport.qianwen.com", "login.aliyun.com"};

absl::Status Expired() { return MakeError(Reason::REASON_CREDENTIAL_EXPIRED, kExpired, {.cause = "token"}); }
absl::Status Changed(absl::string_view what, absl::string_view cause) {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, absl::StrCat("qwen's answer was not understood: ", what),
                   {.cause = std::string(cause)});
}

absl::Status DocumentError(absl::string_view said) {
  return MakeError(Reason::REASON_INVALID_REQUEST,
                   absl::StrCat("qwen refused the document", said.empty() ? "" : ": ", CleanQuote(said, kQuoteLength)),
                   {.cause = "document"});
}

template <typename List>
bool HasOneOf(absl::string_view text, const List& words) {
  for (const absl::string_view word : words) {
    if (absl::StrContains(text, word)) return true;
  }
  return false;
}

const CodeRow* Row(absl::string_view code) {
  const std::string plain = absl::StrReplaceAll(code, {{" ", "_"}});
  for (const CodeRow& row : kCodes) {
    if (row.code == plain) return &row;
  }
  return nullptr;
}

/// An error by the HTTP status alone; OK if the body has to be looked at.
absl::Status HttpError(const Answer& answer, absl::Time now) {
  const int status = answer.http_status;
  if (status == 429) {
    return MakeError(Reason::REASON_RATE_LIMITED, kLimited,
                     {.retry_after = ParseRetryAfter(answer.headers.Get("retry-after"), now), .cause = "http_429"});
  }
  if (status == 401) return Expired();
  if (status == 403) return MakeError(Reason::REASON_CLIENT_REFUSED, kRefused, {.cause = "http_403"});
  if (status >= 500) {
    return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, absl::StrCat("qwen answered with HTTP status ", status),
                     {.cause = "http_5xx"});
  }
  if (status >= 300 && status < 400 && HasOneOf(answer.headers.Get("location"), kLoginHosts)) return Expired();
  if (status != 200) return Changed(absl::StrCat("HTTP status ", status), "http_status");
  // A page where JSON belongs is the login's.
  return absl::StrContains(answer.headers.Get("content-type"), "html") ? Expired() : absl::OkStatus();
}

}  // namespace

absl::Status CodeError(absl::string_view code, absl::string_view said) {
  if (const CodeRow* row = Row(code)) {
    ErrorExtras extras;
    extras.cause = std::string(row->cause);
    if (row->reason == Reason::REASON_INVALID_REQUEST) extras.field = "conversation_id";
    return MakeError(row->reason, row->message, std::move(extras));
  }
  std::string message = absl::StrCat("qwen answered with error ", CleanQuote(code, 40));
  if (!said.empty()) absl::StrAppend(&message, ": ", CleanQuote(said, kQuoteLength));
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, message, {.cause = "unknown_code"});
}

absl::Status ReadEnvelope(const Answer& answer, absl::Time now) {
  if (HasOneOf(answer.body, kChallenges)) {
    return MakeError(Reason::REASON_CAPTCHA_PENDING, "qwen wants a human: solve the puzzle on its site",
                     {.cause = "challenge"});
  }
  auto root = ParseJson(answer.body);
  const absl::string_view code = root.ok() ? JsonText(FindMember(*root, {"errorCode"})) : absl::string_view();
  const absl::string_view said = root.ok() ? JsonText(FindMember(*root, {"errorMsg"})) : absl::string_view();
  if (Row(code) != nullptr) return CodeError(code, said);
  if (auto status = HttpError(answer, now); !status.ok()) return status;
  if (!root.ok()) return Changed("it is not JSON", "envelope");
  if (!root->is_object()) return Changed("it is no object", "envelope");
  const json::value* success = FindMember(*root, {"success"});
  const bool failed = success != nullptr && success->is_bool() && !success->get_bool();
  return failed ? CodeError(code.empty() ? "without a code" : code, said) : absl::OkStatus();
}

absl::StatusOr<json::value> ReadData(const Answer& answer, absl::Time now) {
  if (auto status = ReadEnvelope(answer, now); !status.ok()) return status;
  const auto root = ParseJson(answer.body);
  const json::value* data = FindMember(*root, {"data"});
  if (data == nullptr || !data->is_object()) return Changed("it has no data", "envelope");
  return *data;
}

absl::StatusOr<UploadTicket> TicketIn(const json::value& data) {
  UploadTicket ticket;
  for (const auto& [name, field] : {std::pair{"accessId", &ticket.access_id}, std::pair{"policy", &ticket.policy},
                                    std::pair{"signature", &ticket.signature}, std::pair{"dir", &ticket.dir}}) {
    *field = std::string(JsonText(FindMember(data, {name})));
    if (field->empty()) return Changed("leave to upload lacks something", "upload_token");
  }
  return ticket;
}

absl::Status StoreError(const Answer& answer) {
  const int status = answer.http_status;
  if (status == 200) return absl::OkStatus();
  if (status >= 500)
    return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE,
                     absl::StrCat("qwen's object store answered with HTTP status ", status), {.cause = "http_5xx"});
  return Changed(absl::StrCat("its object store refused an upload with HTTP status ", status), "store");
}

absl::StatusOr<std::string> ImageUrl(const json::value& data) {
  const absl::string_view url = JsonText(FindMember(data, {"url"}));
  if (url.empty()) return Changed("an uploaded picture has no address", "download_link");
  return std::string(url);
}

absl::StatusOr<std::string> DocumentUrl(const json::value& data) {
  const json::value* results = FindMember(data, {"results"});
  if (results == nullptr || !results->is_array() || results->get_array().size() != 1)
    return Changed("an uploaded document has no address", "download_link");
  const json::value& result = results->get_array()[0];
  const absl::string_view url = JsonText(FindMember(result, {"url"}));
  if (!url.empty()) return std::string(url);
  return DocumentError(JsonText(FindMember(result, {"errorMsg"})));
}

absl::StatusOr<bool> IsLookedThrough(const json::value& data) {
  const json::value* end = FindMember(data, {"pollEndFlag"});
  const json::value* list = FindMember(data, {"statusList"});
  if (end == nullptr || !end->is_bool()) return Changed("it does not say whether to go on asking", "security_result");
  if (!end->get_bool()) return false;
  if (list == nullptr || !list->is_array() || list->get_array().empty())
    return Changed("it says nothing about the document", "security_result");
  const json::value& result = list->get_array()[0];
  const auto status = JsonWhole(FindMember(result, {"status"}));
  if (!status) return Changed("it says nothing about the document", "security_result");
  if (*status == 0) return DocumentError(JsonText(FindMember(result, {"errorMsg"})));
  return true;
}

bool IsAboutDocument(const absl::Status& status) { return DetailOf(status).cause() == "document"; }

bool IsEventStream(int http_status, const HttpHeaders& headers) {
  return http_status == 200 && absl::StartsWithIgnoreCase(headers.Get("content-type"), "text/event-stream");
}

absl::Status NoStream(const Answer& answer, absl::Time now) {
  const absl::Status status = ReadEnvelope(answer, now);
  return status.ok() ? Changed("it is no event stream", "no_stream") : status;
}

absl::Status NoChat2Stream(const Answer& answer, absl::Time now) {
  const absl::Status status = NoStream(answer, now);
  const bool page = absl::StrContains(answer.headers.Get("content-type"), "html");
  const bool refused = answer.http_status == 404 || (answer.http_status == 200 && page);
  if (!refused || ReasonOf(status) == Reason::REASON_CAPTCHA_PENDING) return status;
  return MakeError(Reason::REASON_CLIENT_REFUSED, kRefused, {.cause = "gateway"});
}

bool IsUnknownSession(const absl::Status& status) { return DetailOf(status).cause() == "session_unknown"; }

bool IsRefusal(const absl::Status& status) {
  switch (ReasonOf(status)) {
    case Reason::REASON_CREDENTIAL_EXPIRED:
    case Reason::REASON_RATE_LIMITED:
    case Reason::REASON_CAPTCHA_PENDING:
    case Reason::REASON_CLIENT_REFUSED:
    case Reason::REASON_INVALID_REQUEST:
      return true;
    default:
      return false;
  }
}

absl::Status RetiredError() {
  return MakeError(Reason::REASON_CLIENT_REFUSED, "qwen no longer serves this kind of client: it asks for an upgrade",
                   {.cause = "retired"});
}

}  // namespace switchyard::qwen
