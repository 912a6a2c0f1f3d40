#include "services/zhipu/requests.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "boost/json/array.hpp"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/http/multipart.h"
#include "services/common/text/json.h"
#include "services/common/text/jwt.h"

namespace switchyard::zhipu {

namespace json = boost::json;

namespace {

json::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

// The token's own device comes first: the platform compares the two.
std::string DeviceId(const Account& account) {
  if (const auto claims = JwtClaims(account.token.Reveal())) {
    if (const absl::string_view id = JsonText(FindMember(*claims, {"device_id"})); !id.empty()) return std::string(id);
  }
  const auto kept = account.identity.find("device_id");
  return kept == account.identity.end() ? std::string() : kept->second;
}

HttpRequest Post(const Settings& settings, const Account& account, const Stamp& stamp, absl::string_view path,
                 absl::string_view content_type, std::string body) {
  HttpRequest request;
  request.method = "POST";
  request.url = absl::StrCat(settings.base_url, path);
  const bool stream = path == kStream;
  request.headers.Add("User-Agent", settings.user_agent);
  request.headers.Add("Authorization", absl::StrCat("Bearer ", account.token.Reveal()));
  request.headers.Add("Content-Type", content_type);
  request.headers.Add("Accept", stream ? "text/event-stream" : "application/json, text/plain, */*");
  request.headers.Add("Origin", settings.base_url);
  request.headers.Add("Referer", absl::StrCat(settings.base_url, "/main/alltoolsdetail"));
  request.headers.Add("App-Name", "chatglm");
  request.headers.Add("X-App-Platform", "pc");
  request.headers.Add("X-App-Version", settings.app_version);
  request.headers.Add("X-App-fr", "default");
  request.headers.Add("X-Lang", "zh");
  request.headers.Add("X-Device-Id", DeviceId(account));
  request.headers.Add("X-Device-Model", "");
  request.headers.Add("X-Device-Brand", "");
  request.headers.Add("X-Request-Id", stamp.request_id);
  request.headers.Add("X-Nonce", stamp.nonce);
  request.headers.Add("X-Timestamp", stamp.timestamp);
  request.headers.Add("X-Sign", stamp.sign);
  request.body = std::move(body);
  return request;
}

HttpRequest Post(const Settings& settings, const Account& account, const Stamp& stamp, absl::string_view path,
                 const json::object& body) {
  return Post(settings, account, stamp, path, "application/json", json::serialize(body));
}

/// What was uploaded, as blocks of the message: files, then pictures.
void AppendFiles(const std::vector<UploadedFile>& uploads, json::array& blocks) {
  json::array images, files;
  for (const UploadedFile& upload : uploads) {
    json::object one{{"file_id", upload.id}, {"file_name", upload.name}, {"file_size", upload.bytes}};
    one[upload.image ? "image_url" : "file_url"] = upload.url;
    if (upload.image) {
      one["order"] = images.size();
      one["width"] = upload.width;
      one["height"] = upload.height;
    }
    (upload.image ? images : files).push_back(std::move(one));
  }
  if (!files.empty()) blocks.push_back(json::object{{"type", "file"}, {"file", std::move(files)}});
  if (!images.empty()) blocks.push_back(json::object{{"type", "image"}, {"image", std::move(images)}});
}

/// The members that say which model answers, and how hard it thinks.
void ChooseModel(Dialect dialect, const StreamInput& input, json::object& meta) {
  if (input.upstream == "deep_research") {
    meta["chat_mode"] = "deep_research";
    return;
  }
  if (dialect == Dialect::kClassic) {
    meta["chat_mode"] = "zero";
    return;
  }
  meta["chat_mode"] = !input.thinking ? "" : input.hardest ? "deep_thinking" : "thinking";
  if (input.thinking) meta["reasoning_effort"] = input.hardest ? "max" : "high";
  if (input.upstream != "assistant") meta["selected_model"] = View(input.upstream);
}

}  // namespace

std::string ConversationRef::ToString() const { return absl::StrCat(conversation, "@", assistant); }

std::optional<ConversationRef> ConversationRef::Parse(absl::string_view text) {
  const size_t at = text.find('@');
  if (at == absl::string_view::npos || at == 0 || at + 1 == text.size()) return std::nullopt;
  return ConversationRef{std::string(text.substr(0, at)), std::string(text.substr(at + 1))};
}

HttpRequest StreamAnswerOf(const Settings& settings, const Account& account, const Stamp& stamp,
                           const StreamInput& input) {
  json::object cogview{{"rm_label_watermark", false}};
  json::object meta;
  meta["cogview"] = std::move(cogview);
  meta["is_test"] = false;
  meta["input_question_type"] = "xxxx";
  meta["channel"] = "";
  meta["draft_id"] = "";
  ChooseModel(settings.dialect, input, meta);
  meta["is_networking"] = input.search;
  meta["quote_log_id"] = "";
  meta["platform"] = "pc";
  json::object text{{"type", "text"}, {"text", View(input.prompt)}};
  json::array blocks;
  blocks.push_back(std::move(text));
  AppendFiles(input.files, blocks);
  json::object message{{"role", "user"}, {"content", std::move(blocks)}};
  json::object body;
  body["assistant_id"] = input.conversation.assistant;
  body["conversation_id"] = input.conversation.conversation;
  body["project_id"] = "";
  body["chat_type"] = "user_chat";
  body["meta_data"] = std::move(meta);
  body["messages"] = json::array{std::move(message)};
  HttpRequest request = Post(settings, account, stamp, kStream, body);
  if (input.conversation.assistant != kAssistant)
    request.headers.Set("Referer", absl::StrCat(settings.base_url, "/main/gdetail/", input.conversation.assistant));
  return request;
}

HttpRequest Upload(const Settings& settings, const Account& account, const Stamp& stamp, absl::string_view assistant,
                   const Attachment& attachment, absl::string_view digits) {
  MultipartForm form(absl::StrCat("----WebKitFormBoundary", digits));
  form.AddFile("file", attachment.filename, attachment.media_type, attachment.bytes);
  form.AddField("from", "chat");
  form.AddField("assistant_id", assistant);
  const std::string type = form.content_type();
  return Post(settings, account, stamp, kUpload, type, std::move(form).Finish());
}

// A signature is good for one request, so none of these is sent again by the client on its own.
HttpRequest StopStream(const Settings& settings, const Account& account, const Stamp& stamp, absl::string_view part) {
  json::object body;
  body["history_id"] = View(part);
  return Post(settings, account, stamp, kStopStream, body);
}

HttpRequest Delete(const Settings& settings, const Account& account, const Stamp& stamp, const ConversationRef& ref,
                   bool old) {
  json::object body;
  body["assistant_id"] = ref.assistant;
  if (old) {
    body["conversation_id"] = ref.conversation;
  } else {
    body["conversation_ids"] = json::array{json::value(ref.conversation)};
  }
  return Post(settings, account, stamp, old ? kOldDelete : kBulkDelete, body);
}

}  // namespace switchyard::zhipu
