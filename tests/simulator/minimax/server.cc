#include "tests/simulator/minimax/server.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/async/sleep.h"
#include "tests/simulator/minimax/call.h"
#include "tests/simulator/minimax/sign.h"

namespace simulator::minimax {

namespace asio = boost::asio;
namespace json = boost::json;
using switchyard::HttpHeaders;
using switchyard::HttpResponder;
using switchyard::HttpServerRequest;

namespace {

constexpr absl::Duration kForgotten = absl::Seconds(1);
constexpr absl::Duration kTokenLife = absl::Hours(24 * 30);
constexpr int64_t kClockSkew = 300;
constexpr int kNearlyExpired = 7;  // the account whose token has three days left at most

std::string Base(int64_t code, const std::string& message) {
  return json::serialize(json::object{{"base_resp", json::object{{"status_code", code}, {"status_msg", message}}}});
}
json::object Success() { return {{"status_code", 0}, {"status_msg", "success"}}; }
std::string Info(json::value data) {
  return json::serialize(
      json::object{{"statusInfo", json::object{{"code", 0}, {"message", "success"}}}, {"data", std::move(data)}});
}

std::string UserAnswer(const std::string& user) {
  json::object info{{"realUserID", user}, {"userID", user}, {"name", "Tester"}, {"email", ""}};
  return Info(json::object{{"userInfo", std::move(info)}});
}
std::string TokenAnswer(const std::string& token) { return Info(json::object{{"token", token}}); }

std::string Decoded(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

bool IsHex(absl::string_view text) {
  return text.size() == 32 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsWhole(const json::value* value) { return value != nullptr && (value->is_int64() || value->is_uint64()); }

std::string TextOf(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string().c_str(), value->get_string().size())
                                                : std::string();
}

int64_t IdIn(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  if (IsWhole(value)) return value->to_number<int64_t>();
  int64_t id = 0;
  return absl::SimpleAtoi(TextOf(object, name), &id) ? id : 0;
}

json::value IdValue(int64_t id, bool text) { return text ? json::value(absl::StrCat(id)) : json::value(id); }

bool IsModelOption(const json::value* option) {
  if (option == nullptr) return true;
  for (const auto& [name, type] :
       {std::pair("Auto", 0), std::pair("MiniMax-M2.7", 502), std::pair("MiniMax-M2.5", 501)}) {
    if (*option == json::value(json::object{{"display_name", name}, {"model_type", type}})) return true;
  }
  return false;
}

std::string SentAnswer(int64_t chat, int64_t message, bool text) {
  return json::serialize(
      json::object{{"chat_id", IdValue(chat, text)}, {"msg_id", IdValue(message, text)}, {"base_resp", Success()}});
}

std::string Joined(const std::vector<std::string>& pieces, size_t from, size_t to) {
  std::string out;
  for (size_t i = from; i < std::min(to, pieces.size()); ++i) out += pieces[i];
  return out;
}

}  // namespace

std::optional<Refusal> RefusalFor(const std::string& fault) {
  constexpr size_t kOversized = 17 << 20;
  for (const Refusal& refusal : {
           Refusal{"http_500", 500, "text/plain", "trouble"},
           Refusal{"html", 200, "text/html", "<html>sign in</html>"},
           Refusal{"challenge", 403, "text/html", "<html>Just a moment...</html>"},
           Refusal{"not_json", 200, "application/json", "not json"},
           Refusal{"garbage", 200, "application/json", R"({"base_resp":{"status_code":0},"chat":[)"},
           Refusal{"expired", 401, "", ""},
           Refusal{"expired_code", 200, "application/json", Base(1022100011, "session invalid")},
           Refusal{"quota", 200, "application/json", Base(30100, "credit not enough")},
           Refusal{"rate", 200, "application/json", Base(429, "too many requests")},
           Refusal{"busy", 200, "application/json", Base(1000500, "当前服务繁忙，请稍后再试")},
           Refusal{"error", 200, "application/json", Base(1000500, "internal error")},
           Refusal{"conflict", 409, "application/json", "{}"},
           Refusal{"sandbox", 200, "application/json", Base(1000500, "sandbox connection error")},
           Refusal{"signature", 403, "application/json", Base(1000403, "signature")},
       }) {
    if (fault == refusal.fault) return refusal;
  }
  if (fault == "oversized") return Refusal{fault, 200, "application/json", std::string(kOversized, 'x')};
  return std::nullopt;
}

FaultsByDialect Server::Faults() const {
  const std::set<std::string> refusals = {"http_429",     "http_500", "html",    "challenge", "not_json", "garbage",
                                          "oversized",    "expired",  "quota",   "rate",      "busy",     "error",
                                          "expired_code", "conflict", "sandbox", "signature"};
  std::set<std::string> matrix = {"cut",        "reset",        "stall", "poll_500", "poll_html",
                                  "poll_error", "poll_expired", "empty", "bad_utf8"};
  std::set<std::string> agent = {"cut",
                                 "reset",
                                 "stall",
                                 "in_stream",
                                 "in_stream_unknown",
                                 "empty",
                                 "in_stream_garbage",
                                 "in_stream_oversized",
                                 "in_stream_utf8"};
  matrix.insert(refusals.begin(), refusals.end());
  agent.insert(refusals.begin(), refusals.end());
  return {{"matrix", matrix}, {"agent", agent}};
}

std::string Server::Credential(int number) const {
  const absl::Time day = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()) / 86400 * 86400);
  TokenClaims claims;
  claims.user = absl::StrCat(450000000000000000 + number);
  claims.device = absl::StrCat(98765432 + number);
  claims.expires = absl::ToUnixSeconds(day + (number == kNearlyExpired ? absl::Hours(72) : kTokenLife));
  const std::string token = IssueToken(claims);
  return number % 2 == 0 ? absl::StrCat(claims.user, "+", token) : token;
}

json::object Server::State() const {
  absl::MutexLock lock(&mutex_);
  EndForgotten();
  return journal_.State();
}

void Server::Reset() {
  absl::MutexLock lock(&mutex_);
  for (auto& [id, chat] : chats_) EndAnswer(chat);
  chats_.clear();
  journal_.Reset();
}

void Server::EndAnswer(Chat& chat) const {
  if (std::exchange(chat.running, false)) journal_.End(chat.user);
}

void Server::EndForgotten() const {
  for (auto& [id, chat] : chats_) {
    if (absl::Now() - chat.polled > kForgotten) EndAnswer(chat);
  }
}

asio::awaitable<void> Server::Serve(const std::string& path, HttpServerRequest& request, HttpResponder& responder) {
  journal_.Count("requests");
  journal_.Count(path);
  Call call{path, request, responder};
  for (const auto& part : absl::StrSplit(request.query, '&', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> pair = absl::StrSplit(part, absl::MaxSplits('=', 1));
    call.query[Decoded(pair.first)].push_back(Decoded(pair.second));
  }
  const std::string agent_path = AgentPath(path);
  const bool get = path == "/v1/api/user/info" || agent_path == "/v1/agent";
  const bool known = get || !agent_path.empty() || path == "/v1/api/user/renewal" ||
                     path == "/matrix/api/v1/chat/send_msg" || path == "/matrix/api/v1/chat/get_chat_detail" ||
                     path == "/matrix/api/v1/chat/delete_chat";
  if (!known || request.method != (get ? "GET" : "POST")) {
    co_await call.Plain(404, "text/html", "<html>nothing here</html>");
    co_return;
  }
  const std::string token(request.headers.Get("token"));
  const bool good = !token.empty() && ReadToken(token, call.claims) && token == call.Query("token") &&
                    call.claims.expires > absl::ToUnixSeconds(absl::Now());
  if (!good) {
    journal_.Refuse("token");
    co_await call.Plain(401, "", "");
    co_return;
  }
  if (const std::string why = Misfit(call); !why.empty()) {
    journal_.Refuse(why);
    journal_.Violate(path + ": " + why);
    co_await call.Json(403, Base(1000403, "signature"));
    co_return;
  }
  CheckDevice(call);
  if (request.method == "POST") {
    json::error_code error;
    json::value body = json::parse(request.body, error);
    const bool typed = request.headers.Get("content-type") == "application/json";
    if (error || !body.is_object() || !typed || !IsCompactJson(request.body)) {
      journal_.Violate(path + ": the body is not compact JSON, or not said to be");
      co_await call.Json(200, Base(1000400, "invalid params"));
      co_return;
    }
    call.body = std::move(body.get_object());
  }
  co_await Dispatch(call);
}

std::string Server::Misfit(const Call& call) const {
  const auto header = [&](const char* name) { return std::string(call.request.headers.Get(name)); };
  const std::string timestamp = header("x-timestamp");
  int64_t seconds = 0, unix_ms = 0;
  if (!absl::SimpleAtoi(timestamp, &seconds)) return "no x-timestamp";
  if (!IsHex(header("x-signature")) || !IsHex(header("yy"))) return "no signature";
  for (const char* name :
       {"device_platform", "biz_id", "app_id", "version_code", "unix", "uuid", "user_id", "client", "token"}) {
    const auto found = call.query.find(name);
    if (found == call.query.end() || found->second.size() != 1 || found->second.front().empty())
      return absl::StrCat("query: ", name);
  }
  if (!absl::SimpleAtoi(call.Query("unix"), &unix_ms) || unix_ms / 1000 != seconds) return "two times differ";
  if (std::abs(absl::ToUnixSeconds(absl::Now()) - seconds) > kClockSkew) return "old time";
  if (header("x-signature") != BodySignature(timestamp, call.request.body)) return "x-signature";
  // On the streaming host the absolute URL is signed.
  const std::string target = absl::EndsWith(call.path, "/message")
                                 ? absl::StrCat("http://", call.request.headers.Get("host"), call.request.target)
                                 : call.request.target;
  const std::string wanted = RequestSignature(call.request.method, target, call.request.body, call.Query("unix"));
  return header("yy") == wanted ? "" : "yy";
}

void Server::CheckDevice(const Call& call) {
  if (call.request.headers.Get("user-agent").empty()) journal_.Violate("a request without User-Agent");
  if (call.Query("user_id") != call.claims.user) journal_.Violate("user_id is not that of the token");
  const std::string device = absl::StrCat(call.Query("uuid"), " ", call.Query("device_id"));
  absl::MutexLock lock(&mutex_);
  const auto [known, fresh] = devices_.emplace(call.claims.user, device);
  if (!fresh && known->second != device) journal_.Violate("an account changed its device ids");
}

asio::awaitable<void> Server::Dispatch(Call& call) {
  if (call.path == "/v1/api/user/info") {
    co_await UserInfo(call);
  } else if (call.path == "/v1/api/user/renewal") {
    co_await Renew(call);
  } else if (call.path == "/matrix/api/v1/chat/send_msg") {
    co_await Send(call);
  } else if (call.path == "/matrix/api/v1/chat/get_chat_detail") {
    co_await Poll(call);
  } else if (call.path == "/matrix/api/v1/chat/delete_chat") {
    co_await Delete(call);
  } else {
    co_await Agent(call);
  }
}

asio::awaitable<void> Server::UserInfo(Call& call) {
  if (journal_.Peek(call.claims.user).fault() == "expired") {
    std::string refusal = R"({"statusInfo":{"code":1000021,"msg":"abnormal user"}})";
    co_await call.Json(401, std::move(refusal));
    co_return;
  }
  std::string answer = UserAnswer(call.claims.user);
  co_await call.Json(200, std::move(answer));
}

asio::awaitable<void> Server::Renew(Call& call) {
  TokenClaims claims = call.claims;
  claims.expires = absl::ToUnixSeconds(absl::Now() + kTokenLife);
  journal_.Count("renewals");
  std::string answer = TokenAnswer(IssueToken(claims));
  co_await call.Json(200, std::move(answer));
}

std::string Server::MisfitOfMessage(const Call& call) {
  const auto is_array = [&](const char* name) {
    const json::value* value = call.body.if_contains(name);
    return value != nullptr && value->is_array();
  };
  const json::value* type = call.body.if_contains("msg_type");
  const json::value* chat_type = call.body.if_contains("chat_type");
  if (!IsWhole(type) || type->to_number<int64_t>() != 1) return "msg_type";
  if (!IsWhole(chat_type)) return "chat_type";
  if (TextOf(call.body, "text").empty()) return "text";
  for (const char* name : {"attachments", "selected_mcp_tools", "sub_agent_ids"}) {
    if (!is_array(name)) return name;
  }
  if (!IsModelOption(call.body.if_contains("model_option"))) return "model_option";
  if (call.body.contains("chat_id") && Find(call) == nullptr) return "chat not found";
  return "";
}

Server::Chat* Server::Find(const Call& call) {
  const auto found = chats_.find(IdIn(call.body, "chat_id"));
  return found == chats_.end() || found->second.user != call.claims.user ? nullptr : &found->second;
}

asio::awaitable<bool> Server::Refused(Call& call, const Script& script) {
  if (script.fault() == "http_429") {
    HttpHeaders headers{{"Content-Type", "text/plain"}};
    if (const std::string wait = script.Text("retry_after"); !wait.empty()) headers.Add("Retry-After", wait);
    co_await call.responder.Send(429, std::move(headers), "slow down");
    co_return true;
  }
  auto refusal = RefusalFor(script.fault());
  if (!refusal) co_return false;
  co_await call.Plain(refusal->status, std::move(refusal->type), std::move(refusal->body));
  co_return true;
}

asio::awaitable<void> Server::Send(Call& call) {
  const std::string prompt = TextOf(call.body, "text");
  const Script script = journal_.Take(call.claims.user, prompt);
  json::object recorded = call.body;
  recorded["prompt"] = prompt;
  journal_.Record(std::move(recorded));
  if (const int first_ms = script.Number("first_ms", 0); first_ms > 0)
    co_await switchyard::Sleep(call.responder.scope(), absl::Milliseconds(first_ms));
  const bool refused = co_await Refused(call, script);
  if (refused) co_return;
  std::string answer;
  {
    absl::MutexLock lock(&mutex_);
    EndForgotten();
    const std::string why = MisfitOfMessage(call);
    const bool busy = std::any_of(chats_.begin(), chats_.end(), [&](const auto& chat) {
      return chat.second.running && chat.second.user == call.claims.user;
    });
    if (!why.empty()) {
      journal_.Refuse(why);
      if (why != "chat not found") journal_.Violate("send_msg: " + why);
      answer = Base(1000400, why);
    } else if (busy) {
      journal_.Refuse("busy");
      answer = Base(429, "one chat is running");
    } else {
      Chat* chat = Find(call);
      int64_t id = IdIn(call.body, "chat_id");
      if (chat == nullptr) {
        id = next_id_ += 100;
        chat = &chats_[id];
        journal_.Opened(absl::StrCat(id));
      }
      chat->history = chat->told;
      chat->user = call.claims.user;
      chat->script = script;
      chat->text_ids = script.Text("ids") == "text";
      chat->question = next_id_ += 10;
      chat->prompt = prompt;
      chat->pieces = TextPieces(script, prompt);
      chat->thoughts = script.Text("think").empty() ? std::vector<std::string>() : ThoughtPieces(script);
      chat->polls = 0;
      chat->refused_deletes = script.Number("deletes", 0);
      chat->running = true;
      chat->ended = false;
      chat->polled = absl::Now();
      journal_.Begin(chat->user);
      answer = SentAnswer(id, chat->question, chat->text_ids);
    }
  }
  co_await call.Json(200, std::move(answer));
}

json::object Server::DetailOf(int64_t id, Chat& chat) {
  const Script& script = chat.script;
  const auto total = chat.pieces.size();
  const size_t growth = static_cast<size_t>(
      std::max(1, script.Number("growth", script.Number("chunks", 0) > 0 ? 1 : static_cast<int>((total + 2) / 3))));
  const int told = std::max(0, chat.polls - script.Number("polls", 0));
  // The first poll of an answer that thinks has the beginning of its thoughts alone.
  const int told_text = std::max(0, chat.thoughts.empty() ? told : told - 1);
  const size_t shown = std::min(total, growth * static_cast<size_t>(told_text));
  const auto count = static_cast<size_t>(std::max(1, script.Number("messages", 1)));
  // Most platforms' last look: the whole answer and that it has ended come with the same poll.
  const bool ended = told_text > 0 && shown == total;
  json::array messages = chat.history;
  const auto add = [&](int64_t message, int type, const std::string& text, const std::string& thought) {
    json::object one{{"msg_id", IdValue(message, chat.text_ids)},
                     {"msg_type", type},
                     {"msg_content", text},
                     {"timestamp", 1771400225000 + (message - 360000000000000) * 10}};
    if (!thought.empty()) one["extra_info"] = json::object{{"thinking_content", thought}};
    messages.push_back(std::move(one));
  };
  add(chat.question, 1, chat.prompt, "");
  const size_t each = (total + count - 1) / std::max<size_t>(1, count);
  for (size_t i = 0; told > 0 && i < count && (i == 0 || i * each < shown); ++i) {
    std::string text = Joined(chat.pieces, i * each, std::min(shown, (i + 1) * each));
    if (script.fault() == "bad_utf8" && !ended && shown > 0) text += "\xE7\xBA";
    std::string thought;
    if (i == 0) thought = Joined(chat.thoughts, 0, told_text > 0 ? chat.thoughts.size() : 1);
    add(chat.question + 1 + static_cast<int64_t>(i), i % 2 == 0 ? 2 : 10, text, thought);
  }
  if (ended) {
    chat.ended = true;
    EndAnswer(chat);
  }
  chat.told = messages;
  if (script.Text("order") != "asc") std::reverse(messages.begin(), messages.end());
  json::object state{{"chat_id", IdValue(id, chat.text_ids)}};
  if (script.Text("status") != "none") state["chat_status"] = ended ? 2 : 1;
  json::object out{{"chat", std::move(state)}, {"messages", std::move(messages)}};
  if (script.Number("wrap", 0) != 0) out = json::object{{"data", std::move(out)}};
  out["base_resp"] = Success();
  return out;
}

asio::awaitable<void> Server::Poll(Call& call) {
  journal_.Count("polls");
  std::string answer;
  Script script;
  {
    absl::MutexLock lock(&mutex_);
    Chat* chat = Find(call);
    if (chat == nullptr) {
      journal_.Refuse("chat not found");
      answer = Base(1000400, "chat not found");
    } else {
      script = chat->script;
      chat->polled = absl::Now();
      const std::string fault = script.fault();
      const int at = script.Number("at", 2);
      const bool hit = !chat->ended && chat->polls >= at && chat->polls < at + script.Number("times", 1000);
      ++chat->polls;
      const bool of_polls = absl::StartsWith(fault, "poll_") || fault == "cut" || fault == "reset" || fault == "stall";
      if (hit && of_polls) {
        script.values["hit"] = fault;
      } else {
        answer = json::serialize(DetailOf(IdIn(call.body, "chat_id"), *chat));
      }
    }
  }
  const std::string hit = script.Text("hit");
  if (hit == "poll_500") {
    co_await call.Plain(500, "text/plain", "trouble");
  } else if (hit == "poll_html") {
    co_await call.Plain(200, "text/html", "<html>later</html>");
  } else if (hit == "poll_error") {
    co_await call.Json(200, Base(1000500, "internal error"));
  } else if (hit == "poll_expired") {
    co_await call.Json(200, Base(1022100011, "session invalid"));
  } else {
    Script body_script;
    body_script.values["split"] = script.Text("split", "0");
    if (hit == "cut" || hit == "reset" || hit == "stall") {
      body_script.values["fault"] = hit;
      body_script.values["at"] = "0";
    }
    if (const int pause = script.Number("chunk_ms", 0); pause > 0)
      co_await switchyard::Sleep(call.responder.scope(), absl::Milliseconds(pause));
    ScriptedBody body(call.responder, body_script);
    HttpHeaders headers{{"Content-Type", "application/json"}};
    bool alive = co_await body.Begin(std::move(headers));
    if (alive) alive = co_await body.BeforePiece(0);
    if (alive) alive = co_await body.Write(std::move(answer));
    if (alive) co_await body.End();
    if (body.client_gone()) journal_.Count("client_gone");
  }
}

asio::awaitable<void> Server::Delete(Call& call) {
  std::string answer = Base(0, "success");
  {
    absl::MutexLock lock(&mutex_);
    EndForgotten();
    Chat* chat = Find(call);
    if (chat == nullptr) {
      answer = Base(1000400, "chat not found");
    } else if (chat->running || chat->refused_deletes-- > 0) {
      journal_.Count("refused_deletes");
      answer = Base(1000400, "chat is running");
    } else {
      const int64_t id = IdIn(call.body, "chat_id");
      journal_.Closed(absl::StrCat(id));
      chats_.erase(id);
    }
  }
  co_await call.Json(200, std::move(answer));
}

}  // namespace simulator::minimax
