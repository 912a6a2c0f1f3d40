#include "services/qwen/requests.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "boost/json/array.hpp"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/http/multipart.h"

namespace switchyard::qwen {

namespace json = boost::json;

namespace {

constexpr absl::string_view kThinkingCode = "Qwen3-Max-Thinking-Preview";
constexpr absl::string_view kAcceptJson = "application/json, text/plain, */*";
constexpr absl::string_view kMaxCode = "Qwen3-Max";
// Ids are 32 hex digits today.
constexpr size_t kLongestId = 64;

json::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

bool IsId(absl::string_view text) {
  return !text.empty() && text.size() <= kLongestId &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isalnum(c); });
}

HttpRequest Post(const Settings& settings, const QwenCookie& login, absl::string_view path, absl::string_view accept,
                 const json::object& body) {
  HttpRequest request;
  request.method = "POST";
  request.url = absl::StrCat(settings.base_url, path);
  request.headers.Add("User-Agent", settings.user_agent);
  request.headers.Add("Content-Type", "application/json");
  request.headers.Add("Accept", accept);
  request.headers.Add("Accept-Language", "zh-CN,zh;q=0.9");
  request.headers.Add("Cookie", login.Header());
  request.headers.Add("X-Platform", "pc_tongyi");
  if (login.xsrf) request.headers.Add("X-Xsrf-Token", *login.xsrf);
  request.headers.Add("Origin", kOrigin);
  request.headers.Add("Referer", absl::StrCat(kOrigin, "/"));
  request.body = json::serialize(body);
  return request;
}

}  // namespace

std::string MessageRef::ToString() const { return absl::StrCat(session, "-", message); }

std::optional<MessageRef> MessageRef::Parse(absl::string_view text) {
  const size_t dash = text.find('-');
  if (dash == absl::string_view::npos) return std::nullopt;
  const absl::string_view session = text.substr(0, dash), message = text.substr(dash + 1);
  if (!IsId(session) || !IsId(message)) return std::nullopt;
  return MessageRef{std::string(session), std::string(message)};
}

absl::string_view ModelCode(absl::string_view upstream, bool thinking) {
  if (upstream == kMaxCode && thinking) return kThinkingCode;
  if (upstream == kThinkingCode && !thinking) return kMaxCode;
  return upstream;
}

HttpRequest Conversation(const Settings& settings, const QwenCookie& login, const ConversationInput& input) {
  // The platform reads the first text of a request only.
  json::object text;
  text["contentType"] = "text";
  text["content"] = View(input.prompt);
  text["role"] = "user";
  json::array contents;
  contents.push_back(std::move(text));
  for (const UploadedObject& object : input.objects) {
    json::object item{{"role", "user"}, {"contentType", object.image ? "image" : "file"}, {"content", object.url}};
    if (!object.image) item["ext"] = json::object{{"fileSize", object.bytes}};
    contents.push_back(std::move(item));
  }
  json::object body;
  body["action"] = "next";
  body["mode"] = "chat";
  body["userAction"] = "chat";
  body["model"] = View(input.model);
  body["requestId"] = input.request_id;
  body["sessionId"] = input.before ? input.before->session : std::string();
  body["sessionType"] = "text_chat";
  body["parentMsgId"] = input.before ? input.before->message : std::string("0");
  if (!input.objects.empty()) body["params"] = json::object{{"fileUploadBatchId", input.batch}, {"searchType", ""}};
  body["contents"] = std::move(contents);
  return Post(settings, login, kConversation, "text/event-stream", body);
}

HttpRequest UploadToken(const Settings& settings, const QwenCookie& login) {
  HttpRequest request = Post(settings, login, kUploadToken, kAcceptJson, {});
  request.repeatable = true;
  return request;
}

HttpRequest PutObject(const Settings& settings, const UploadTicket& ticket, absl::string_view name,
                      const Attachment& attachment, absl::string_view digits) {
  // In this order: the store reads no field behind the file.
  MultipartForm form(absl::StrCat("----WebKitFormBoundary", digits));
  form.AddField("OSSAccessKeyId", ticket.access_id);
  form.AddField("policy", ticket.policy);
  form.AddField("signature", ticket.signature);
  form.AddField("key", absl::StrCat(ticket.dir, name));
  form.AddField("dir", ticket.dir);
  form.AddField("success_action_status", "200");
  form.AddFile("file", name, attachment.media_type, attachment.bytes);
  // The store is somebody else's house: no cookie goes there.
  HttpRequest request;
  request.method = "POST";
  request.url = absl::StrCat(settings.upload_url, "/");
  request.headers.Add("User-Agent", settings.user_agent);
  request.headers.Add("Content-Type", form.content_type());
  request.headers.Add("Accept", "*/*");
  request.headers.Add("Origin", kOrigin);
  request.headers.Add("Referer", absl::StrCat(kOrigin, "/"));
  request.headers.Add("X-Requested-With", "XMLHttpRequest");
  request.body = std::move(form).Finish();
  request.repeatable = true;  // the same object under the same name
  return request;
}

HttpRequest ImageLink(const Settings& settings, const QwenCookie& login, absl::string_view name,
                      absl::string_view dir) {
  json::object body{{"fileKey", View(name)}, {"fileType", "image"}, {"dir", View(dir)}};
  HttpRequest request = Post(settings, login, kDownloadLink, kAcceptJson, body);
  request.repeatable = true;
  return request;
}

HttpRequest DocumentLink(const Settings& settings, const QwenCookie& login, absl::string_view name,
                         absl::string_view dir) {
  json::array names;
  names.push_back(View(name));
  json::object body{{"fileKeys", std::move(names)}, {"fileType", "file"}, {"dir", View(dir)}};
  HttpRequest request = Post(settings, login, kDownloadLinks, kAcceptJson, body);
  request.repeatable = true;
  return request;
}

HttpRequest SecurityResult(const Settings& settings, const QwenCookie& login, absl::string_view url) {
  json::array urls;
  urls.push_back(View(url));
  json::object body{{"urls", std::move(urls)}};
  HttpRequest request = Post(settings, login, kSecurityResult, kAcceptJson, body);
  request.repeatable = true;
  return request;
}

HttpRequest DeleteSession(const Settings& settings, const QwenCookie& login, absl::string_view session) {
  json::object body;
  body["sessionId"] = View(session);
  HttpRequest request = Post(settings, login, kDeleteSession, kAcceptJson, body);
  request.repeatable = true;
  return request;
}

namespace {

std::string Chat2Query(absl::string_view device) {
  return absl::StrCat("?biz_id=ai_qwen&chat_client=h5&device=pc&fr=pc&pr=qwen&ut=", device);
}

}  // namespace

HttpRequest Chat2(const Settings& settings, const QwenCookie& login, const Chat2Input& input) {
  const std::string milliseconds = absl::StrCat(absl::ToUnixMillis(input.now));
  json::object meta;
  meta["ori_query"] = View(input.prompt);
  json::object message;
  message["content"] = View(input.prompt);
  message["mime_type"] = "text/plain";
  message["meta_data"] = std::move(meta);
  json::array messages;
  messages.push_back(std::move(message));
  json::object body;
  body["req_id"] = input.request_id;
  body["session_id"] = input.session;
  body["parent_req_id"] = "0";
  body["scene_param"] = "first_turn";
  body["model"] = View(input.model);
  body["scene"] = "chat";
  body["sub_scene"] = "chat";
  body["temporary"] = false;
  body["deep_search"] = input.thinking || input.search ? "1" : "0";
  if (input.search) body["enable_search"] = true;
  body["from"] = "default";
  body["messages"] = std::move(messages);
  body["chat_client"] = "h5";
  body["client_tm"] = milliseconds;
  body["protocol_version"] = "v2";
  body["biz_id"] = "ai_qwen";
  const std::string path =
      absl::StrCat(kChat2, Chat2Query(input.device), "&la=zh-CN&tz=Asia%2FShanghai&nonce=", input.nonce,
                   "&timestamp=", milliseconds);
  HttpRequest request = Post(settings, login, path, "text/event-stream", body);
  request.headers.Add("X-DeviceId", input.device);
  request.headers.Add("x-chat-id", input.request_id);
  return request;
}

HttpRequest DeleteChat2(const Settings& settings, const QwenCookie& login, absl::string_view session,
                        absl::string_view device) {
  json::array sessions;
  sessions.push_back(View(session));
  json::object body;
  body["session_ids"] = std::move(sessions);
  HttpRequest request = Post(settings, login, absl::StrCat(kDeleteSessions, Chat2Query(device)), kAcceptJson, body);
  request.url = absl::StrCat(settings.api_url, kDeleteSessions, Chat2Query(device));
  request.headers.Add("X-DeviceId", device);
  request.repeatable = true;
  return request;
}

}  // namespace switchyard::qwen
