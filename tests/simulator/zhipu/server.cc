#include "tests/simulator/zhipu/server.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "boost/json/array.hpp"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/async/sleep.h"
#include "tests/simulator/multipart.h"
#include "tests/simulator/zhipu/tokens.h"

namespace simulator::zhipu {

namespace asio = boost::asio;
namespace json = boost::json;
using switchyard::HttpHeaders;
using switchyard::HttpResponder;
using switchyard::HttpServerRequest;

namespace {

constexpr char kExchange[] = "/chatglm/user-api/user/refresh";
constexpr char kUserInfo[] = "/chatglm/user-api/user/info";
constexpr char kStream[] = "/chatglm/backend-api/assistant/stream";
constexpr char kStop[] = "/chatglm/mainchat-api/stream/stop_stream";
constexpr char kBulkDelete[] = "/chatglm/mainchat-api/conversation/bulk_delete";
constexpr char kOldDelete[] = "/chatglm/backend-api/assistant/conversation/delete";
constexpr char kUpload[] = "/chatglm/productivity-api/file/chat_upload";
constexpr int64_t kFarFuture = 4000000000;

std::string Text(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string().c_str(), value->get_string().size())
                                                : std::string();
}
bool IsBool(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_bool();
}
bool IsText(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string();
}
std::string Envelope(int64_t status, const std::string& message, json::value result = nullptr) {
  return json::serialize(json::object{{"status", status}, {"message", message}, {"result", std::move(result)}});
}

}  // namespace

struct Server::Call {
  HttpServerRequest& request;
  HttpResponder& responder;
  std::string path;
  Token token;
  json::object body;

  std::string Header(const char* name) const { return std::string(request.headers.Get(name)); }
  asio::awaitable<void> Json(int http, std::string text) {
    HttpHeaders headers{{"Content-Type", "application/json"}};
    co_await responder.Send(http, std::move(headers), std::move(text));
  }
};

FaultsByDialect Server::Faults() const {
  const std::set<std::string> both = {"cut",          "reset",         "stall",       "empty",          "nothing",
                                      "garbage",      "bad_utf8",      "oversized",   "content_filter", "filter_finish",
                                      "filter_early", "error",         "last_error",  "error_unknown",  "expired",
                                      "risk",         "sign",          "param",       "http_429",       "http_500",
                                      "html",         "not_json",      "banned",      "refresh_dead",   "refresh_guest",
                                      "refresh_500",  "refresh_stall", "refresh_cut", "refresh_hold"};
  return {{"classic", both}, {"current", both}, {"uploads", {"upload"}}};
}

std::string Server::Credential(int number) const {
  return Issue({"refresh", Uid(number), DeviceOf(Uid(number)), 0, kFarFuture});
}

void Server::Reset() {
  journal_.Reset();
  absl::MutexLock lock(&mutex_);
  conversations_.clear();
  files_.clear();
  stopped_.clear();
}

void Server::Plan(const std::string& account, Script script, int times) {
  bool setting = false;
  {
    absl::MutexLock lock(&mutex_);
    if (const std::string rotation = script.Text("rotation"); !rotation.empty()) {
      rotation_ = rotation;
      setting = true;
    }
    if (const int life = script.Number("access_s", 0); life > 0) {
      access_s_ = life;
      setting = true;
    }
    if (const int pause = script.Number("exchange_ms", 0); pause > 0) {
      exchange_ms_ = pause;
      setting = true;
    }
    if (script.Text("delete") == "404") setting = no_bulk_delete_ = true;
    if (script.Number("release", 0) == 1) setting = released_ = true;
  }
  if (!setting) journal_.Plan(account, std::move(script), times);
}

std::string Server::NextId() {
  absl::MutexLock lock(&mutex_);
  return absl::StrFormat("66cc%020x", next_id_++);
}

bool Server::Stopped(const std::string& part) {
  absl::MutexLock lock(&mutex_);
  return stopped_.count(part) > 0;
}

/// Steps 2 to 7 of the page's list. @return false if the request was refused
asio::awaitable<bool> Server::CheckRequest(Call& call) {
  const bool exchange = call.path == kExchange;
  std::string fault, bearer = call.Header("Authorization");
  int http = 400, code = 0;
  const std::string nonce = call.Header("X-Nonce");
  if (call.Header("User-Agent").empty()) {
    code = 40002, fault = "no User-Agent";
  } else if (call.Header("X-Device-Id").empty() || call.Header("X-App-Platform").empty() ||
             call.Header("X-App-Version").empty()) {
    code = 40001, fault = "a header is missing";
  } else if (nonce.empty() || call.Header("X-Timestamp").empty() || call.Header("X-Sign").empty()) {
    code = 40011, fault = "not signed";
  } else if (fault = SignatureFault(call.Header("X-Timestamp"), nonce, call.Header("X-Sign"),
                                    absl::ToUnixMillis(absl::Now()));
             !fault.empty()) {
    code = 40014;
  } else {
    absl::MutexLock lock(&mutex_);
    if (!nonces_.insert(nonce).second) code = 40014, fault = "a nonce that was used before";
  }
  if (!fault.empty()) journal_.Violate(call.path + ": " + fault);
  if (fault.empty()) {
    call.token = absl::StartsWith(bearer, "Bearer ") ? ReadToken(bearer.substr(7)) : Token();
    if (call.token.type != (exchange ? "refresh" : "access") ||
        (!exchange && call.token.expires <= absl::ToUnixSeconds(absl::Now()))) {
      http = 401, code = 40103, fault = "user needs login";
    } else if (call.Header("X-Device-Id") != call.token.device) {
      code = 40001, fault = "another device than the token's";
      journal_.Violate(call.path + ": " + fault);
    }
  }
  if (fault.empty()) {
    absl::MutexLock lock(&mutex_);
    if (const auto refresh = came_with_.find(call.token.generation); !exchange && refresh != came_with_.end())
      used_[call.token.uid] = std::max(used_[call.token.uid], refresh->second);
    co_return true;
  }
  journal_.Refuse(fault);
  co_await call.Json(http, Envelope(code, fault));
  co_return false;
}

asio::awaitable<void> Server::Serve(const std::string& path, HttpServerRequest& request, HttpResponder& responder) {
  Call call{request, responder, path, {}, {}};
  journal_.Count(path);
  const bool get = path == kUserInfo;
  const bool known = get || path == kExchange || path == kStream || path == kStop || path == kBulkDelete ||
                     path == kOldDelete || path == kUpload;
  if (!known || (request.method == "GET") != get) {
    journal_.Violate(absl::StrCat("unknown call ", request.method, " ", path));
    co_await call.Json(404, Envelope(404, "not found"));
    co_return;
  }
  const bool good = co_await CheckRequest(call);
  if (!good) co_return;
  if (!get && path != kUpload && !(path == kExchange && request.body.empty())) {
    json::error_code error;
    json::value body = json::parse(request.body, error);
    if (error || !body.is_object()) {
      journal_.Violate(path + ": the body is no JSON object");
      co_await call.Json(200, Envelope(50001, "param error"));
      co_return;
    }
    call.body = std::move(body.get_object());
  }
  if (path == kExchange) {
    co_await Exchange(call);
  } else if (path == kUserInfo) {
    co_await UserInfo(call);
  } else if (path == kStream) {
    co_await Stream(call);
  } else if (path == kUpload) {
    co_await Upload(call);
  } else if (path == kStop) {
    co_await Stop(call);
  } else {
    co_await Delete(call);
  }
}

bool Server::Released() {
  absl::MutexLock lock(&mutex_);
  return released_;
}

bool Server::RefreshIsGood(const std::string& uid, int64_t generation) {
  const int64_t newest = generations_.emplace(uid, generation).first->second;
  if (generation == newest || rotation_ == "off" || rotation_ == "lenient") return true;
  if (rotation_ == "strict") return false;
  if (generation == newest - 1 && used_[uid] < newest) return true;
  journal_.Violate("an older refresh token than the newest: that one was lost");
  return false;
}

asio::awaitable<void> Server::Exchange(Call& call) {
  const std::string uid = call.token.uid;
  int64_t pause = 0;
  {
    absl::MutexLock lock(&mutex_);
    if (++exchanging_[uid] > 1 && exchange_ms_ > 0) journal_.Violate("two exchanges at once on one account");
    pause = exchange_ms_;
  }
  // Done even if the client has gone: by then the token is replaced.
  if (pause > 0) co_await switchyard::Sleep(call.responder.scope(), absl::Milliseconds(pause));
  co_await Renew(call);
  absl::MutexLock lock(&mutex_);
  --exchanging_[uid];
}

asio::awaitable<void> Server::Renew(Call& call) {
  journal_.Count("exchanges");
  const std::string uid = call.token.uid;
  const std::string fault = journal_.Peek(uid).fault();
  if (absl::StartsWith(fault, "refresh_")) journal_.Take(uid, "");
  if (fault == "refresh_500") {
    co_await call.Json(500, Envelope(500, "internal server error"));
    co_return;
  }
  Token access = call.token, refresh = call.token;
  bool dead = fault == "refresh_dead";
  {
    absl::MutexLock lock(&mutex_);
    dead = !RefreshIsGood(uid, call.token.generation) || dead;
    if (!dead && rotation_ != "off") refresh.generation = ++generations_[uid];
    access.type = "access";
    access.expires = absl::ToUnixSeconds(absl::Now()) + access_s_;
    access.generation = next_id_++;
    came_with_[access.generation] = refresh.generation;
  }
  if (dead) {
    journal_.Refuse("a refresh token that is no longer good");
    co_await call.Json(401, Envelope(40102, "refresh token expired 40102"));
    co_return;
  }
  if (fault == "refresh_stall") {
    journal_.Count("stalled_exchanges");
    co_await switchyard::Sleep(call.responder.scope(), absl::Seconds(600));
  }
  if (fault == "refresh_hold") {
    journal_.Count("held_exchanges");
    absl::Status slept;
    while (slept.ok() && !Released()) slept = co_await switchyard::Sleep(call.responder.scope(), absl::Milliseconds(5));
  }
  if (fault == "refresh_stall" || fault == "refresh_cut") {
    call.responder.Abort();
    co_return;
  }
  json::object result{{"user_id", uid},
                      {"access_token", Issue(access)},
                      {"refresh_token", Issue(refresh)},
                      {"is_guest", fault == "refresh_guest"},
                      {"mode", 1}};
  std::string answer = Envelope(0, "success", std::move(result));
  co_await call.Json(200, std::move(answer));
  journal_.Count("exchange_replies");
}

asio::awaitable<void> Server::UserInfo(Call& call) {
  json::object block{{"blocked", journal_.Peek(call.token.uid).fault() == "banned"}};
  json::object user{{"_id", call.token.uid}, {"nickname", "Tester"}, {"phone", "138****0000"},
                    {"email", ""},           {"is_guest", false},    {"block_info", std::move(block)}};
  co_await call.Json(200, Envelope(0, "success", std::move(user)));
}

asio::awaitable<void> Server::Upload(Call& call) {
  std::string why;
  const std::vector<FormPart> form = ReadForm(call.request, why);
  if (why.empty() && (form.size() != 3 || form[0].name != "file" || !form[0].is_file || form[1].name != "from" ||
                      form[1].bytes != "chat" || form[2].name != "assistant_id" || form[2].bytes.size() != 24))
    why = "a form without file, from and assistant_id";
  if (why.empty()) why = FileFault(form[0]);
  const bool planned = journal_.Peek(call.token.uid).fault() == "upload";
  if (planned) journal_.Take(call.token.uid, "");
  if (!why.empty()) journal_.Violate("upload: " + why);
  if (planned || !why.empty()) {
    co_await call.Json(200, Envelope(50003, "the file cannot be used"));
    co_return;
  }
  File file;
  file.uid = call.token.uid;
  file.assistant = form[2].bytes;
  file.name = form[0].filename;
  file.size = static_cast<int64_t>(form[0].bytes.size());
  file.image = IsImageType(form[0].type);
  const std::string id = NextId();
  file.url = "https://t1.chatglm.example/file/" + id;
  json::object result{{"file_id", id}, {"file_url", file.url}, {"file_name", file.name}, {"file_size", file.size}};
  bool list = false;
  {
    absl::MutexLock lock(&mutex_);
    list = files_.size() % 2 != 0;
    files_[id] = std::move(file);
  }
  journal_.Count("uploads");
  json::value reply = std::move(result);
  if (list) reply = json::array{std::move(reply)};
  co_await call.Json(200, Envelope(0, "success", std::move(reply)));
}

std::string Server::FilesFault(const Call& call, const json::array& content) {
  absl::MutexLock lock(&mutex_);
  for (size_t i = 1; i < content.size(); ++i) {
    if (!content[i].is_object()) return "block";
    const json::object& block = content[i].get_object();
    const std::string type = Text(block, "type");
    const json::value* list = block.if_contains(type);
    const bool image = type == "image";
    if ((!image && type != "file") || list == nullptr || !list->is_array() || list->get_array().empty()) return "block";
    int64_t order = 0;
    for (const json::value& one : list->get_array()) {
      if (!one.is_object()) return "file";
      const json::object& entry = one.get_object();
      const auto known = files_.find(Text(entry, "file_id"));
      if (known == files_.end() || known->second.uid != call.token.uid ||
          known->second.assistant != Text(call.body, "assistant_id") || known->second.image != image)
        return "a file that was not uploaded";
      const json::value* size = entry.if_contains("file_size");
      if (Text(entry, "file_name") != known->second.name || size == nullptr || *size != known->second.size ||
          Text(entry, image ? "image_url" : "file_url") != known->second.url)
        return "a file that is not described as it was uploaded";
      if (!image) continue;
      for (const char* name : {"width", "height"}) {
        if (!entry.contains(name) || !entry.at(name).is_int64() || entry.at(name).get_int64() < 1) return name;
      }
      if (!entry.contains("order") || entry.at("order").to_number<int64_t>() != order++) return "order";
    }
  }
  return "";
}

asio::awaitable<void> Server::Stop(Call& call) {
  const std::string part = Text(call.body, "history_id");
  if (part.empty()) journal_.Violate("stop: no history_id");
  {
    absl::MutexLock lock(&mutex_);
    stopped_.insert(part);
  }
  journal_.Count("stops");
  co_await call.Json(200, Envelope(0, "success"));
}

asio::awaitable<void> Server::Delete(Call& call) {
  const bool old = call.path == kOldDelete;
  std::string id = Text(call.body, "conversation_id");
  if (const json::value* ids = call.body.if_contains("conversation_ids");
      !old && ids != nullptr && ids->is_array() && ids->get_array().size() == 1 && ids->get_array()[0].is_string())
    id = ids->get_array()[0].get_string().c_str();
  bool missing = false, known = false;
  {
    absl::MutexLock lock(&mutex_);
    missing = !old && no_bulk_delete_;
    const auto found = conversations_.find(id);
    known = found != conversations_.end() && found->second.uid == call.token.uid &&
            found->second.assistant == Text(call.body, "assistant_id");
    if (known && !missing) conversations_.erase(found);
  }
  if (missing) {
    co_await call.Json(404, Envelope(404, "not found"));
    co_return;
  }
  if (!known) journal_.Violate("delete: a conversation that does not exist");
  if (known) journal_.Closed(id);
  co_await call.Json(200, Envelope(known ? 0 : 50002, known ? "success" : "no such conversation"));
}

std::string Server::Misfit(const json::object& body) {
  static const auto& modes =
      *new std::set<std::string>{"", "zero", "deep_research", "thinking", "deep_thinking", "normal"};
  static const auto& efforts = *new std::set<std::string>{"low", "high", "max"};
  const json::value* meta_value = body.if_contains("meta_data");
  if (meta_value == nullptr || !meta_value->is_object()) return "meta_data";
  const json::object& meta = meta_value->get_object();
  if (Text(body, "assistant_id").size() != 24) return "assistant_id";
  if (!IsText(body, "conversation_id")) return "conversation_id";
  for (const char* name : {"channel", "draft_id", "quote_log_id"}) {
    if (!IsText(meta, name)) return name;
  }
  if (!meta.contains("cogview") || !meta.at("cogview").is_object()) return "cogview";
  if (!IsBool(meta, "is_test") || !IsBool(meta, "is_networking")) return "is_networking";
  if (Text(meta, "input_question_type") != "xxxx" || Text(meta, "platform") != "pc") return "platform";
  if (meta.contains("chat_mode") && modes.count(Text(meta, "chat_mode")) == 0) return "chat_mode";
  if (meta.contains("reasoning_effort") && efforts.count(Text(meta, "reasoning_effort")) == 0)
    return "reasoning_effort";
  if (meta.contains("selected_model") && Text(meta, "selected_model") != "glm-5.3" &&
      Text(meta, "selected_model") != "glm-5.3-flash")
    return "selected_model";
  const json::value* messages = body.if_contains("messages");
  if (messages == nullptr || !messages->is_array() || messages->get_array().size() != 1) return "messages";
  const json::value& message = messages->get_array()[0];
  if (!message.is_object() || Text(message.get_object(), "role") != "user") return "role";
  const json::value* content = message.get_object().if_contains("content");
  if (content == nullptr || !content->is_array() || content->get_array().empty()) return "content";
  const json::value& block = content->get_array()[0];
  if (!block.is_object() || Text(block.get_object(), "type") != "text" || Text(block.get_object(), "text").empty())
    return "text";
  return "";
}

asio::awaitable<bool> Server::RefuseByScript(Call& call, const Script& script) {
  const std::string fault = script.fault();
  if (fault == "expired") {
    co_await call.Json(401, Envelope(40103, "user needs login"));
  } else if (fault == "risk") {
    co_await call.Json(400, Envelope(40012, "bad request(40012)"));
  } else if (fault == "sign") {
    co_await call.Json(400, Envelope(40014, "bad request(40014)"));
  } else if (fault == "param") {
    co_await call.Json(200, Envelope(50001, "param error"));
  } else if (fault == "http_429") {
    HttpHeaders headers;
    if (const std::string wait = script.Text("retry_after"); !wait.empty()) headers.Add("Retry-After", wait);
    co_await call.responder.Send(429, std::move(headers), "");
  } else if (fault == "http_500") {
    co_await call.Json(500, Envelope(500, "internal server error"));
  } else if (fault == "html") {
    HttpHeaders headers{{"Content-Type", "text/html"}};
    co_await call.responder.Send(403, std::move(headers), "<html>blocked</html>");
  } else if (fault == "not_json") {
    co_await call.Json(200, "{\"status\":");
  } else if (fault == "nothing") {
    HttpHeaders headers{{"Content-Type", "text/event-stream"}};
    co_await call.responder.Send(200, std::move(headers), "");
  } else {
    co_return false;
  }
  co_return true;
}

asio::awaitable<void> Server::Stream(Call& call) {
  std::string misfit = Misfit(call.body);
  if (misfit.empty()) misfit = FilesFault(call, call.body.at("messages").as_array()[0].at("content").as_array());
  if (!absl::StrContains(call.Header("Accept"), "text/event-stream")) misfit = "Accept";
  if (!misfit.empty()) {
    journal_.Violate("stream: " + misfit);
    co_await call.Json(200, Envelope(50001, "param error"));
    co_return;
  }
  const json::object meta = call.body.at("meta_data").as_object();
  const json::array& content = call.body.at("messages").as_array()[0].at("content").as_array();
  const std::string prompt = Text(content[0].as_object(), "text");
  const std::string named = Text(call.body, "conversation_id"), assistant = Text(call.body, "assistant_id");
  json::object record{{"prompt", prompt}, {"assistant_id", assistant}, {"conversation_id", named}};
  for (const char* name : {"chat_mode", "selected_model", "reasoning_effort", "is_networking"})
    record[name] = meta.contains(name) ? meta.at(name) : json::value(nullptr);
  record["blocks"] = content.size();
  journal_.Record(std::move(record));
  Script script = journal_.Take(call.token.uid, prompt);
  journal_.Asked(script, call.request.remote_address);
  const bool refused = co_await RefuseByScript(call, script);
  if (refused) co_return;

  std::string id = named.empty() ? NextId() : named;
  bool foreign = false;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = conversations_.find(id);
    foreign = !named.empty() && (found == conversations_.end() || found->second.uid != call.token.uid ||
                                 found->second.assistant != assistant);
    if (!foreign) conversations_[id] = {call.token.uid, assistant};
  }
  if (foreign) {
    HttpHeaders headers{{"Content-Type", "text/event-stream"}};
    co_await call.responder.Send(200, std::move(headers), "");
    co_return;
  }
  if (journal_.Begin(call.token.uid) > 1) {
    journal_.End(call.token.uid);
    journal_.Violate("two answers at once on one account");
    HttpHeaders none;
    co_await call.responder.Send(429, std::move(none), "");
    co_return;
  }
  if (named.empty()) journal_.Opened(id);
  const std::string mode = Text(meta, "chat_mode");
  const bool thinking = mode == "zero" || mode == "thinking" || mode == "deep_thinking";
  co_await Answer(call.responder, script, id, prompt, thinking, meta.at("is_networking").as_bool());
  journal_.End(call.token.uid);
}

}  // namespace simulator::zhipu
