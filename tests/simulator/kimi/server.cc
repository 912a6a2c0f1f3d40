#include "tests/simulator/kimi/server.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/async/sleep.h"
#include "tests/simulator/kimi/frames.h"
#include "tests/simulator/kimi/messages.h"
#include "tests/simulator/multipart.h"

namespace simulator::kimi {

namespace asio = boost::asio;
namespace json = boost::json;
using switchyard::HttpHeaders;
using switchyard::HttpResponder;
using switchyard::HttpServerRequest;

namespace {

constexpr int64_t kFarFuture = 4102444800;  // 2100
constexpr char kStream[] = "application/connect+json";
const std::set<std::string> kScenarios = {"SCENARIO_K2D5", "SCENARIO_K2D6", "SCENARIO_K1D5",
                                          "SCENARIO_K1",   "SCENARIO_CHAT", "SCENARIO_OK_COMPUTER"};
const std::set<std::string> kFields = {"scenario", "chat_id",    "chatId",     "tools",       "message",
                                       "options",  "project_id", "kimiplusId", "kimiplus_id", "agentMode"};

// What a server says by an HTTP status, before there is a stream.
const std::set<std::string> kByStatus = {"expired",  "banned",   "forbidden", "not_found",
                                         "http_429", "http_500", "html",      "captcha"};

const json::value* Find(const json::value& value, const char* name) {
  return value.is_object() ? value.get_object().if_contains(name) : nullptr;
}
std::string Text(const json::value& value, const char* name) {
  const json::value* found = Find(value, name);
  return found != nullptr && found->is_string() ? std::string(found->get_string().data(), found->get_string().size())
                                                : std::string();
}

}  // namespace

/// One request under way.
struct Server::Call {
  HttpServerRequest& request;
  HttpResponder& responder;
  Token token;
  MessageResponder* messages = nullptr;  // the responder, if it is a WebSocket's

  asio::awaitable<void> Send(int status, std::string type, std::string text) {
    HttpHeaders headers;
    if (!type.empty()) headers.Add("Content-Type", type);
    co_await responder.Send(status, std::move(headers), std::move(text));
  }
  asio::awaitable<void> Json(int status, json::object body) {
    co_await Send(status, "application/json", json::serialize(body));
  }
  asio::awaitable<void> EndFrame(std::string code, std::string reason = "REASON_EXAMPLE") {
    co_await Send(200, kStream, ErrorFrame(code, reason));
  }
};

std::string Server::Credential(int number) const {
  Token token;
  token.account = absl::StrCat("sim-kimi-", number);
  token.kind = "refresh";
  token.device = absl::StrCat(7300000000000000000 + number);
  token.expires = kFarFuture;
  return Spell(token);
}

void Server::Reset() {
  journal_.Reset();
  absl::MutexLock lock(&mutex_);
  chats_.clear();
  files_.clear();
}

void Server::Plan(const std::string& account, Script script, int times) {
  if (const std::string rotation = script.Text("rotation"); !rotation.empty()) {
    absl::MutexLock lock(&mutex_);
    strict_ = rotation == "strict";
    return;
  }
  journal_.Plan(account, std::move(script), times);
}

std::string Server::NextId() {
  absl::MutexLock lock(&mutex_);
  return absl::StrCat("1a2b3c4d-0102-8abc-8000-", absl::Hex(++next_id_, absl::kZeroPad12));
}

asio::awaitable<void> Server::Serve(const std::string& path, HttpServerRequest& request, HttpResponder& responder) {
  Call call{request, responder, {}, nullptr};
  journal_.Count("requests");
  journal_.Count(path);
  if (request.headers.Get("user-agent").empty()) journal_.Violate("a request without User-Agent");
  if (path == "/api/account.gateway.v1.AuthService/RefreshToken") {
    co_await Refresh(call);
    co_return;
  }
  absl::string_view bearer = request.headers.Get("authorization");
  const bool has_bearer = absl::ConsumePrefix(&bearer, "Bearer ");
  const auto token = has_bearer ? Read(std::string(bearer)) : std::nullopt;
  if (!token || token->kind != "access" || token->expires <= absl::ToUnixSeconds(absl::Now())) {
    journal_.Refuse("token");
    co_await call.Json(401, ErrorObject("unauthenticated", "REASON_INVALID_AUTH_TOKEN"));
    co_return;
  }
  call.token = *token;
  const absl::string_view device = request.headers.Get("x-msh-device-id");
  if (!device.empty() && device != token->device) journal_.Violate("a device that is not the token's");
  const absl::string_view version = request.headers.Get("connect-protocol-version");
  if (!version.empty() && version != "1") {
    journal_.Refuse("version");
    co_await call.Json(400, ErrorObject("invalid_argument"));
  } else if (path == "/apiv2/kimi.gateway.chat.v1.ChatService/Chat") {
    if (request.headers.Find("upgrade")) {
      co_await ChatBySocket(call);
    } else {
      co_await Chat(call);
    }
  } else if (path == "/apiv2/kimi.chat.v1.ChatService/DeleteChat" ||
             path == "/apiv2/kimi.gateway.chat.v1.ChatService/DeleteChat") {
    co_await Delete(call);
  } else if (path == "/apiv2-files/file/upload") {
    co_await Upload(call);
  } else if (path == "/apiv2/kimi.gateway.order.v1.SubscriptionService/GetSubscription") {
    const json::object subscription{{"userId", token->account}, {"userName", "Simulated"}};
    const json::object reply{{"subscription", subscription}};
    co_await call.Json(200, reply);
  } else {
    journal_.Violate("an unknown path " + path);
    co_await call.Json(404, ErrorObject("unimplemented"));
  }
}

asio::awaitable<void> Server::Refresh(Call& call) {
  if (call.request.headers.Find("authorization")) journal_.Violate("RefreshToken with Authorization");
  json::error_code error;
  const json::value body = json::parse(call.request.body, error);
  std::string sent = Text(body, "refreshToken");
  if (sent.empty()) sent = Text(body, "refresh_token");
  auto token = Read(sent);
  bool good = token && token->kind == "refresh" && token->expires > absl::ToUnixSeconds(absl::Now());
  const std::string fault = good ? journal_.Peek(token->account).fault() : "";
  if (good) {
    absl::MutexLock lock(&mutex_);
    int& newest = generation_[token->account];
    good = fault != "refresh_401" && (!strict_ || token->generation >= newest);
    newest = std::max(newest, token->generation);
    if (good) token->generation = ++newest;
  }
  if (!good) {
    journal_.Refuse("refresh_token");
    co_await call.Json(401, ErrorObject("unauthenticated", "REASON_INVALID_AUTH_TOKEN"));
    co_return;
  }
  journal_.Count("refreshed");
  if (fault == "refresh_stall" || fault == "refresh_cut") {
    journal_.Take(token->account, "");
    if (fault == "refresh_stall") {
      journal_.Count("stalled_refreshes");
      co_await switchyard::Sleep(call.responder.scope(), absl::Seconds(600));
    }
    call.responder.Abort();
    co_return;
  }
  Token access = *token;
  access.kind = "access";
  access.expires = absl::ToUnixSeconds(absl::Now()) + journal_.Peek(token->account).Number("token_life", 900);
  const json::object reply{{"accessToken", Spell(access)}, {"refreshToken", Spell(*token)}};
  co_await call.Json(200, reply);
}

asio::awaitable<void> Server::Upload(Call& call) {
  std::string why;
  const std::vector<FormPart> form = ReadForm(call.request, why);
  if (why.empty() && (form.size() != 1 || form[0].name != "file" || !form[0].is_file)) why = "a form without one file";
  if (why.empty()) why = FileFault(form[0]);
  if (!why.empty()) {
    journal_.Violate("upload: " + why);
    co_await call.Json(400, ErrorObject("invalid_argument"));
    co_return;
  }
  const std::string fault = journal_.Peek(call.token.account).fault();
  if (absl::StartsWith(fault, "upload_")) {
    journal_.Take(call.token.account, "");
    const bool quota = fault == "upload_quota";
    co_await call.Json(quota ? 429 : 400, ErrorObject(quota ? "resource_exhausted" : "invalid_argument"));
    co_return;
  }
  const std::string id = "file-" + NextId();
  {
    absl::MutexLock lock(&mutex_);
    files_[id] = call.token.account;
  }
  const json::object file{{"id", id}, {"type", IsImageType(form[0].type) ? "FILE_TYPE_IMAGE" : "FILE_TYPE_DOCUMENT"}};
  const json::object reply{{"file", file}};
  co_await call.Json(200, reply);
}

asio::awaitable<void> Server::Delete(Call& call) {
  json::error_code error;
  const json::value body = json::parse(call.request.body, error);
  const std::string id = Text(body, "chat_id");
  bool known = false;
  {
    absl::MutexLock lock(&mutex_);
    known = chats_.erase(id) != 0;
  }
  journal_.Closed(id);
  if (known) {
    co_await call.Json(200, json::object());
  } else {
    co_await call.Json(404, ErrorObject("not_found"));
  }
}

std::string Server::Misfit(const Call& call, const json::object& body, std::string& prompt, std::string& why) {
  for (const auto& member : body) {
    if (kFields.count(std::string(member.key())) == 0) why = "field";
  }
  const json::value whole(body);
  const std::string scenario = Text(whole, "scenario");
  const json::value* message = Find(whole, "message");
  const json::value* blocks = message == nullptr ? nullptr : Find(*message, "blocks");
  if (kScenarios.count(scenario) == 0 || message == nullptr || Text(*message, "scenario") != scenario) why = "scenario";
  if (message == nullptr || Text(*message, "role") != "user" || blocks == nullptr || !blocks->is_array())
    why = "message";
  if (!why.empty()) return "invalid_argument";
  absl::MutexLock lock(&mutex_);
  for (const json::value& block : blocks->get_array()) {
    if (const json::value* text = Find(block, "text")) prompt += Text(*text, "content");
    const json::value* file = Find(block, "file");
    if (file == nullptr) continue;
    const auto owner = files_.find(Text(*file, "id"));
    if (owner == files_.end() || owner->second != call.token.account || !prompt.empty()) why = "file";
  }
  if (prompt.empty()) why = "no_text";
  const std::string chat = Text(whole, "chat_id");
  if (!chat.empty()) {
    const auto found = chats_.find(chat);
    if (found == chats_.end() || found->second.account != call.token.account) {
      why = "chat";
      return "not_found";
    }
    if (Text(*message, "parent_id") != found->second.last_answer) why = "parent";
  }
  return why.empty() ? "" : "invalid_argument";
}

asio::awaitable<void> Server::ChatBySocket(Call& call) {
  const std::string account = call.token.account;
  if (!call.request.query.empty()) journal_.Violate("a handshake with a query");
  const Script planned = journal_.Peek(account);
  if (kByStatus.count(planned.fault()) != 0) {
    journal_.Take(account, "");
    co_await RefuseByScript(call, planned);
    co_return;
  }
  HttpHeaders headers;
  if (planned.Number("compress", 0) == 1) headers.Add("Connect-Content-Encoding", "gzip");
  auto socket = co_await call.responder.Upgrade(std::move(headers));
  if (!socket.ok()) {
    journal_.Violate("a handshake that is none");
    if (!call.responder.begun()) co_await call.Json(400, ErrorObject("invalid_argument"));
    co_return;
  }
  journal_.Count("web_sockets");
  auto message = co_await (*socket)->Read(call.responder.scope());
  if (!message.ok() || !*message) {
    journal_.Refuse("no_message");
    co_return;
  }
  if (!(*message)->binary) journal_.Violate("a message that is text");
  call.request.body = std::move((*message)->bytes);
  MessageResponder messages(call.responder, **socket);
  Call turn{call.request, messages, call.token, &messages};
  co_await Turn(turn);
  // Nothing but the one request is the client's to say.
  message = co_await (*socket)->Read(call.responder.scope());
  if (message.ok() && *message) journal_.Violate("a second message");
}

asio::awaitable<void> Server::Chat(Call& call) {
  if (!absl::StartsWith(call.request.headers.Get("content-type"), kStream)) {
    journal_.Violate("Chat: Content-Type");
    co_await call.Send(415, "", "");
    co_return;
  }
  co_await Turn(call);
}

asio::awaitable<void> Server::Turn(Call& call) {
  const std::string& bytes = call.request.body;
  uint64_t length = 0;
  for (size_t i = 1; i < 5 && i < bytes.size(); ++i) length = length << 8 | static_cast<unsigned char>(bytes[i]);
  json::error_code error;
  json::value body;
  const bool framed = bytes.size() > 5 && bytes[0] == 0 && length == bytes.size() - 5;
  if (framed) body = json::parse(json::string_view(bytes).substr(5), error);
  std::string prompt, why;
  std::string code = "invalid_argument";
  if (framed && !error && body.is_object()) {
    code = Misfit(call, body.get_object(), prompt, why);
  } else {
    why = "envelope";
  }
  if (!code.empty()) {
    journal_.Refuse(why);
    if (why != "chat") journal_.Violate("Chat: " + why);
    co_await call.EndFrame(code);
    co_return;
  }
  const Script script = journal_.Take(call.token.account, prompt);
  const bool refused = co_await RefuseByScript(call, script);
  if (refused) co_return;
  const std::string account = call.token.account;
  if (journal_.Begin(account) > script.Number("streams", 1)) {
    journal_.End(account);
    journal_.Violate("too many streams on one account");
    co_await call.EndFrame("resource_exhausted");
    co_return;
  }
  co_await Answer(call, script, std::move(body.get_object()), std::move(prompt));
  journal_.End(account);
}

asio::awaitable<bool> Server::RefuseByScript(Call& call, const Script& script) {
  const std::string fault = script.fault();
  if (fault == "expired") {
    co_await call.Json(401, ErrorObject("unauthenticated", "REASON_INVALID_AUTH_TOKEN"));
  } else if (fault == "banned") {
    const json::object reply{{"error_type", "auth.account_abnormal"}, {"message", "m"}};
    co_await call.Json(200, reply);
  } else if (fault == "forbidden") {
    co_await call.Json(403, ErrorObject("permission_denied"));
  } else if (fault == "not_found") {
    co_await call.Json(404, ErrorObject("not_found"));
  } else if (fault == "rate") {
    co_await call.EndFrame("resource_exhausted", "REASON_SERVER_OVERLOADED_FOR_FREE_USER");
  } else if (fault == "quota") {
    co_await call.EndFrame("resource_exhausted", "REASON_QUOTA_EXCEEDED");
  } else if (fault == "error") {
    co_await call.EndFrame("unavailable");
  } else if (fault == "no_form") {
    co_await call.EndFrame("invalid_argument");
  } else if (fault == "http_429") {
    HttpHeaders headers;
    if (const std::string wait = script.Text("retry_after"); !wait.empty()) headers.Add("Retry-After", wait);
    co_await call.responder.Send(429, std::move(headers), "");
  } else if (fault == "http_500") {
    co_await call.Send(500, "text/plain", "trouble");
  } else if (fault == "html" || fault == "captcha") {
    co_await call.Send(fault == "html" ? 200 : 403, "text/html", "<html>Just a moment...</html>");
  } else {
    co_return false;
  }
  journal_.Refuse(fault);
  co_return true;
}

asio::awaitable<void> Server::Answer(Call& call, const Script& script, json::object body, std::string prompt) {
  const json::value whole(body);
  AnswerIds ids;
  ids.chat = Text(whole, "chat_id");
  ids.question = NextId();
  ids.answer = NextId();
  ids.scenario = Text(whole, "scenario");
  ids.prompt = prompt;
  if (ids.chat.empty()) {
    ids.chat = NextId();
    journal_.Opened(ids.chat);
  }
  {
    absl::MutexLock lock(&mutex_);
    Conversation& chat = chats_[ids.chat];
    chat.account = call.token.account;
    chat.last_answer = ids.answer;
  }
  json::object record = body;
  record["prompt"] = prompt;
  record["device"] = std::string(call.request.headers.Get("x-msh-device-id"));
  journal_.Record(std::move(record));
  const json::value* options = Find(whole, "options");
  const json::value* thinking = options == nullptr ? nullptr : Find(*options, "thinking");
  const json::value* tools = Find(whole, "tools");
  const bool thinks = thinking != nullptr && thinking->is_bool() && thinking->get_bool();
  const bool searches = tools != nullptr && tools->is_array() && !tools->get_array().empty();

  EventWriter events(ids, script);
  ScriptedBody out(call.responder, script);
  HttpHeaders headers{{"Content-Type", kStream}};
  if (script.Number("compress", 0) == 1) headers.Add("Connect-Content-Encoding", "gzip");
  bool alive = co_await out.Begin(std::move(headers));
  std::string opening = events.Opening();
  if (script.fault() == "filter_early") opening += events.Exception();
  if (searches) opening += events.Pages();
  if (thinks) opening += events.Thoughts();
  if (alive) alive = co_await out.Write(std::move(opening));
  const std::vector<std::string> pieces = TextPieces(script, prompt);
  for (size_t i = 0; alive && i < pieces.size(); ++i) {
    alive = co_await out.BeforePiece(i);
    if (call.messages != nullptr && out.Now("close", i)) {
      co_await call.messages->Close(script.Number("code", switchyard::WebSocket::kNormalClose));
      alive = false;
      break;
    }
    std::string piece;
    if (out.Now("garbage", i)) piece = Envelope("{}", 0x40);
    if (out.Now("not_json", i)) piece = Envelope("<html>");
    if (out.Now("bad_utf8", i)) piece = Envelope("{\"block\":{\"text\":{\"content\":\"\xC3\x28\"}}}");
    if (out.Now("oversized", i)) piece = std::string("\0\x7F\xFF\xFF\xFF", 5);
    if (out.Now("content_filter", i)) piece = events.Exception();
    const bool stop = !piece.empty();
    if (!stop) piece = events.Piece(pieces[i], i);
    if (alive) alive = co_await out.Write(std::move(piece));
    if (stop) break;
  }
  if (alive) alive = co_await out.BeforeEnd(pieces.size());
  std::string ending = searches ? events.References() : "";
  ending += events.Completed() + events.Done();
  if (script.fault() == "late_error") {
    ending += ErrorFrame("unavailable");
  } else if (script.Text("end") != "close") {
    ending += Envelope("{}", 2);
  }
  if (alive) alive = co_await out.Write(std::move(ending));
  if (alive) co_await out.End();
  if (out.client_gone()) journal_.Count("client_gone");
}

}  // namespace simulator::kimi
