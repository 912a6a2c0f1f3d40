#include "services/deepseek/requests.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "boost/json/array.hpp"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/http/multipart.h"
#include "services/common/text/views.h"

namespace switchyard::deepseek {

namespace json = boost::json;

namespace {

constexpr char kProofHeader[] = "x-ds-pow-response";

json::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

HttpRequest Begin(const Settings& settings, const Account& account, absl::string_view method, absl::string_view path,
                  absl::string_view content_type) {
  HttpRequest request;
  request.method = std::string(method);
  request.url = absl::StrCat(settings.base_url, path);
  request.headers.Add("User-Agent", settings.user_agent);
  request.headers.Add("Authorization", absl::StrCat("Bearer ", account.token.Reveal()));
  if (!content_type.empty()) request.headers.Add("Content-Type", content_type);
  request.headers.Add("Accept", "*/*");
  request.headers.Add("Origin", settings.base_url);
  request.headers.Add("Referer", absl::StrCat(settings.base_url, "/a/chat/"));
  request.headers.Add("x-client-platform", settings.client_platform);
  request.headers.Add("x-client-version", settings.client_version);
  request.headers.Add("x-client-locale", settings.locale);
  request.headers.Add("x-client-timezone-offset", settings.timezone_offset);
  return request;
}

HttpRequest Post(const Settings& settings, const Account& account, absl::string_view path, const json::object& body) {
  HttpRequest request = Begin(settings, account, "POST", path, "application/json");
  request.body = json::serialize(body);
  return request;
}

}  // namespace

std::string MessageRef::ToString() const { return absl::StrCat(session, "@", message); }

std::optional<MessageRef> MessageRef::Parse(absl::string_view text) {
  const size_t at = text.rfind('@');
  MessageRef ref;
  if (at == absl::string_view::npos || at == 0 || !absl::SimpleAtoi(text.substr(at + 1), &ref.message))
    return std::nullopt;
  ref.session = std::string(text.substr(0, at));
  return ref;
}

HttpRequest CreateSession(const Settings& settings, const Account& account) {
  return Post(settings, account, kCreateSession, {});
}

HttpRequest DeleteSession(const Settings& settings, const Account& account, absl::string_view session) {
  json::object body;
  body["chat_session_id"] = View(session);
  HttpRequest request = Post(settings, account, kDeleteSession, body);
  request.repeatable = true;
  return request;
}

HttpRequest CreateChallenge(const Settings& settings, const Account& account, absl::string_view target_path) {
  json::object body;
  body["target_path"] = View(target_path);
  HttpRequest request = Post(settings, account, kCreateChallenge, body);
  request.repeatable = true;
  return request;
}

HttpRequest StopStream(const Settings& settings, const Account& account, const MessageRef& ref) {
  json::object body;
  body["chat_session_id"] = ref.session;
  body["message_id"] = ref.message;
  HttpRequest request = Post(settings, account, kStopStream, body);
  request.repeatable = true;
  return request;
}

HttpRequest UploadFile(const Settings& settings, const Account& account, const Attachment& attachment,
                       const UploadInput& input) {
  MultipartForm form(absl::StrCat("----WebKitFormBoundary", input.digits));
  form.AddFile("file", attachment.filename, attachment.media_type, attachment.bytes);
  HttpRequest request = Begin(settings, account, "POST", kUploadFile, form.content_type());
  request.headers.Add(kProofHeader, input.proof);
  request.headers.Add("x-file-size", absl::StrCat(attachment.bytes.size()));
  request.headers.Add("x-thinking-enabled", input.thinking ? "1" : "0");
  request.headers.Add("x-model-type", input.model_type);
  request.body = std::move(form).Finish();
  return request;
}

HttpRequest FetchFiles(const Settings& settings, const Account& account, const std::vector<std::string>& ids) {
  HttpRequest request =
      Begin(settings, account, "GET", absl::StrCat(kFetchFiles, "?file_ids=", absl::StrJoin(ids, ",")), "");
  request.repeatable = true;
  return request;
}

HttpRequest Completion(const Settings& settings, const Account& account, const CompletionInput& input) {
  json::object body;
  body["chat_session_id"] = input.session;
  body["parent_message_id"] = input.parent_message ? json::value(*input.parent_message) : json::value(nullptr);
  body["model_type"] = View(input.model_type);
  body["prompt"] = View(input.prompt);
  body["ref_file_ids"] = json::array(input.files.begin(), input.files.end());
  body["thinking_enabled"] = input.thinking;
  body["search_enabled"] = input.search;
  body["action"] = nullptr;
  body["preempt"] = false;
  HttpRequest request = Post(settings, account, kCompletion, body);
  request.headers.Add(kProofHeader, input.proof);
  return request;
}

HttpRequest Continue(const Settings& settings, const Account& account, const MessageRef& ref,
                     const std::string& proof) {
  json::object body;
  body["chat_session_id"] = ref.session;
  body["message_id"] = ref.message;
  body["fallback_to_resume"] = true;
  HttpRequest request = Post(settings, account, kContinue, body);
  if (!proof.empty()) request.headers.Add(kProofHeader, proof);
  return request;
}

}  // namespace switchyard::deepseek
