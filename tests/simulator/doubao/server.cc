#include "tests/simulator/doubao/server.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/async/sleep.h"
#include "tests/simulator/doubao/checks.h"
#include "tests/simulator/doubao/samantha.h"

namespace simulator::doubao {

namespace asio = boost::asio;
namespace json = boost::json;
using switchyard::HttpHeaders;
using switchyard::HttpResponder;
using switchyard::HttpServerRequest;

namespace {

constexpr char kAccountPrefix[] = "d0ba";
constexpr int64_t kExpired = 710012001, kUserInvalid = 710012000, kRateOrCheck = 710022004, kBadRequest = 710020202;
constexpr size_t kOversized = 3 * 1024 * 1024;
constexpr int kHeartbeatMs = 200;

/// A fault that is an error at the start of the stream.
struct ErrorFault {
  const char* fault;
  int64_t code;
  const char* message;
  bool verify;
  bool gateway;
};
constexpr ErrorFault kErrorFaults[] = {
    {"user_invalid", kUserInvalid, "user invalid", false, true},
    {"guest", 710022013, "guest limit", false, false},
    {"rate", kRateOrCheck, "rate limited", false, false},
    {"shark", 710022002, "block", false, false},
    {"captcha", kRateOrCheck, "rate limited", true, false},
    {"punished", 710022019, "guest punished", false, false},
    {"region", 710022003, "region", false, false},
    {"error", 710020702, "stream error", false, false},
    {"unknown", 710099999, "something new", false, false},
};

}  // namespace

/// One request under way.
struct Server::Call {
  HttpServerRequest& request;
  HttpResponder& responder;
  bool older = false;  // the older dialect
  Parameters query = {};
  std::string account = {};
  json::value body = {};

  asio::awaitable<void> Send(int status, std::string type, std::string text) {
    HttpHeaders headers;
    if (!type.empty()) headers.Add("Content-Type", type);
    co_await responder.Send(status, std::move(headers), std::move(text));
  }
  asio::awaitable<void> Refuse(int64_t code, std::string message) {
    json::object out{{"code", code}, {"msg", message}};
    co_await Send(200, "application/json", json::serialize(out));
  }
};

FaultsByDialect Server::Faults() const {
  std::set<std::string> both = {"cut",      "reset",     "stall",      "unfinished",   "empty",    "garbage",
                                "bad_utf8", "oversized", "late_error", "late_unknown", "expired",  "http_401",
                                "http_403", "http_429",  "http_500",   "html",         "not_json", "redirect"};
  for (const ErrorFault& row : kErrorFaults) both.insert(row.fault);
  return {{"a", both}, {"b", both}};
}

std::string Server::Credential(int number) const { return absl::StrFormat("%s%028x", kAccountPrefix, number); }

void Server::Reset() {
  journal_.Reset();
  absl::MutexLock lock(&mutex_);
  conversations_.clear();
}

asio::awaitable<void> Server::Serve(const std::string& path, HttpServerRequest& request, HttpResponder& responder) {
  Call call{request, responder, path == "/samantha/chat/completion"};
  journal_.Count("requests");
  journal_.Count(path);
  call.query = ReadQuery(request.query);
  const bool known = path == "/chat/completion" || path == "/samantha/chat/completion" ||
                     path == "/im/conversation/batch_del_user_conv" || path == "/passport/account/info/v2";
  if (!known || request.method != "POST") {
    co_await call.Send(404, "text/plain", "no such page");
    co_return;
  }
  if (const std::string wrong = WrongHeaders(request); !wrong.empty()) {
    journal_.Violate(path + ": wrong header " + wrong);
    co_await call.Send(403, "", "");
    co_return;
  }
  const bool refused = co_await RefuseAccount(call);
  if (refused) co_return;
  if (path == "/chat/completion") {
    co_await Complete(call);
  } else if (path == "/samantha/chat/completion") {
    co_await CompleteOlder(call);
  } else if (path == "/passport/account/info/v2") {
    co_await Check(call);
  } else {
    co_await Delete(call);
  }
}

asio::awaitable<bool> Server::RefuseAccount(Call& call) {
  const Parameters cookies = ReadCookies(call.request);
  const auto session = cookies.find("sessionid"), twin = cookies.find("sessionid_ss");
  const bool known = session != cookies.end() && twin != cookies.end() && session->second == twin->second &&
                     session->second.size() == 32 && absl::StartsWith(session->second, kAccountPrefix);
  if (known) {
    call.account = session->second;
  } else {
    journal_.Refuse("session");
    co_await call.Send(200, "text/event-stream", ErrorStream(kUserInvalid, "user invalid", false, true, call.older));
    co_return true;
  }
  if (const std::string wrong = WrongQuery(call.query); !wrong.empty()) {
    journal_.Violate("wrong query: " + wrong);
    co_await call.Refuse(kBadRequest, "common invalid param");
    co_return true;
  }
  const std::string device =
      absl::StrCat(call.query.at("device_id"), " ", call.query.at("web_id"), " ", call.query.at("tea_uuid"), " ",
                   call.query.at("fp"), " ", call.query.at("web_tab_id"));
  bool changed = false;
  {
    absl::MutexLock lock(&mutex_);
    changed = devices_.emplace(call.account, device).first->second != device;
  }
  if (!changed) co_return false;
  journal_.Violate("an account came from another device");
  co_await call.Send(200, "text/event-stream", ErrorStream(kRateOrCheck, "rate limited", true, false, call.older));
  co_return true;
}

asio::awaitable<void> Server::Check(Call& call) {
  if (call.query.count("account_sdk_source") == 0) journal_.Violate("the check lacks account_sdk_source");
  const std::string fault = journal_.Peek(call.account).fault();
  if (fault == "expired" || fault == "user_invalid") {
    co_await call.Send(200, "application/json",
                       R"({"data":{"error_code":4,"description":"session expired"},"message":"error"})");
    co_return;
  }
  co_await call.Send(200, "application/json", R"({"data":{"user_id":7412345678901234567},"message":"success"})");
}

asio::awaitable<void> Server::Delete(Call& call) {
  json::error_code error;
  call.body = json::parse(call.request.body, error);
  const json::value* deletion = At(call.body, {"uplink_body", "batch_delete_user_conversation_uplink_body"});
  const json::value* ids = deletion == nullptr ? nullptr : At(*deletion, {"conversation_id"});
  const json::value* all = deletion == nullptr ? nullptr : At(*deletion, {"delete_all"});
  const bool one = ids != nullptr && ids->is_array() && ids->get_array().size() == 1 && ids->get_array()[0].is_string();
  if (!one || all == nullptr || !all->is_bool() || all->get_bool()) {
    journal_.Violate("a deletion that is not of exactly one conversation");
    co_await call.Send(200, "application/json", R"({"status_code":710020202})");
    co_return;
  }
  const std::string id = ids->get_array()[0].get_string().c_str();
  bool deleted = false;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = conversations_.find(id);
    deleted = found != conversations_.end() && found->second.account == call.account;
    if (deleted) conversations_.erase(found);
  }
  if (deleted) journal_.Closed(id);
  json::object result;
  result[id] = deleted;
  json::object downlink;
  downlink["result"] = std::move(result);
  json::object body;
  body["batch_delete_user_conversation_downlink_body"] = std::move(downlink);
  json::object out;
  out["status_code"] = 0;
  out["downlink_body"] = std::move(body);
  co_await call.Send(200, "application/json", json::serialize(out));
}

std::string Server::WrongHistory(const Call& call) {
  const std::string key = TextAt(call.body, {"option", "unique_key"});
  const std::string message = TextAt(call.body.at("messages").get_array()[0], {"local_message_id"});
  const std::string id = TextAt(call.body, {"client_meta", "conversation_id"});
  const bool create = At(call.body, {"option", "need_create_conversation"})->get_bool();
  absl::MutexLock lock(&mutex_);
  if (!used_.insert(key).second) return "unique_key used again";
  if (!used_.insert(message).second) return "local_message_id used again";
  if (create != id.empty()) return "need_create_conversation";
  const json::value* index = At(call.body, {"client_meta", "last_message_index"});
  const std::string section = TextAt(call.body, {"client_meta", "last_section_id"});
  if (id.empty()) return index->is_null() && section.empty() ? "" : "a new conversation that goes on with another";
  const auto found = conversations_.find(id);
  if (found == conversations_.end() || found->second.account != call.account) return "unknown conversation";
  if (!index->is_int64() || index->get_int64() != found->second.last_index) return "last_message_index";
  return section == found->second.section ? "" : "last_section_id";
}

std::string Server::NextId() { return absl::StrCat(next_id_++); }

AnswerPlan Server::OpenTurn(const Call& call) {
  AnswerPlan plan;
  plan.conversation = TextAt(call.body, {"client_meta", "conversation_id"});
  absl::MutexLock lock(&mutex_);
  if (plan.conversation.empty()) {
    plan.conversation = NextId();
    Conversation& opened = conversations_[plan.conversation];
    opened.account = call.account;
    opened.section = NextId();
    journal_.Opened(plan.conversation);
  }
  Conversation& conversation = conversations_[plan.conversation];
  plan.section = conversation.section;
  plan.question = NextId();
  plan.answer = NextId();
  plan.question_index = conversation.last_index + 1;
  conversation.last_index += 2;
  return plan;
}

asio::awaitable<void> Server::Complete(Call& call) {
  json::error_code error;
  call.body = json::parse(call.request.body, error);
  std::string wrong = error ? "not JSON" : WrongBody(call.body, call.query);
  if (wrong.empty()) wrong = WrongHistory(call);
  if (!wrong.empty()) {
    journal_.Violate("wrong request: " + wrong);
    co_await call.Refuse(kBadRequest, "common invalid param");
    co_return;
  }
  const json::value& block = call.body.at("messages").get_array()[0].at("content_block").get_array()[0];
  const std::string prompt = TextAt(block, {"content", "text_block", "text"});
  const int64_t deep_think = At(call.body, {"option", "need_deep_think"})->get_int64();
  const Script script = journal_.Take(call.account, prompt);
  json::object record;
  record["prompt"] = prompt;
  record["account"] = call.account;
  record["bot_id"] = TextAt(call.body, {"client_meta", "bot_id"});
  record["need_deep_think"] = deep_think;
  record["conversation_id"] = TextAt(call.body, {"client_meta", "conversation_id"});
  journal_.Record(std::move(record));
  const bool refused = co_await RefuseByScript(call, script);
  if (refused) co_return;

  co_await Answer(call, script, prompt, deep_think != 0, false);
}

asio::awaitable<void> Server::CompleteOlder(Call& call) {
  json::error_code error;
  call.body = json::parse(call.request.body, error);
  if (const std::string wrong = error ? "not JSON" : WrongSamanthaBody(call.body); !wrong.empty()) {
    journal_.Violate("wrong request: " + wrong);
    co_await call.Refuse(kBadRequest, "common invalid param");
    co_return;
  }
  const std::string prompt = SamanthaPrompt(call.body);
  const bool thinking = At(call.body, {"completion_option", "use_deep_think"})->get_bool();
  const Script script = journal_.Take(call.account, prompt);
  json::object record;
  record["prompt"] = prompt;
  record["account"] = call.account;
  record["use_deep_think"] = thinking;
  journal_.Record(std::move(record));
  const bool refused = co_await RefuseByScript(call, script);
  if (refused) co_return;
  co_await Answer(call, script, prompt, thinking, true);
}

asio::awaitable<void> Server::Answer(Call& call, const Script& script, std::string prompt, bool thinking, bool older) {
  AnswerPlan plan = OpenTurn(call);
  plan.script = script;
  plan.prompt = prompt;
  plan.thinking = thinking;
  const json::value* deltas = At(call.body, {"option", "sse_recv_event_options", "support_chunk_delta"});
  plan.deltas = deltas != nullptr && deltas->is_bool() && deltas->get_bool() && script.Number("blocks", 0) == 0;
  if (journal_.Begin(call.account) > 1) journal_.Violate("two answers at once on one account");
  std::unique_ptr<AnswerScript> answer;
  if (older) {
    answer = std::make_unique<NumberedEvents>(std::move(plan));
  } else {
    answer = std::make_unique<NamedEvents>(std::move(plan));
  }
  co_await Stream(call, script, prompt, *answer);
}

asio::awaitable<bool> Server::RefuseByScript(Call& call, const Script& script) {
  const std::string fault = script.fault();
  for (const ErrorFault& row : kErrorFaults) {
    if (fault != row.fault) continue;
    journal_.Refuse(fault);
    co_await call.Send(200, "text/event-stream",
                       ErrorStream(row.code, row.message, row.verify, row.gateway, call.older));
    co_return true;
  }
  if (fault == "expired") {
    co_await call.Refuse(kExpired, "登录已过期");
  } else if (fault == "http_401" || fault == "http_403" || fault == "http_500") {
    co_await call.Send(fault == "http_401" ? 401 : fault == "http_403" ? 403 : 500, "", "");
  } else if (fault == "http_429") {
    HttpHeaders headers;
    if (script.Number("retry_after", 0) != 0) headers.Add("Retry-After", script.Text("retry_after"));
    co_await call.responder.Send(429, std::move(headers), "");
  } else if (fault == "html") {
    co_await call.Send(200, "text/html", "<html>check</html>");
  } else if (fault == "not_json") {
    co_await call.Send(200, "application/json", "not JSON");
  } else if (fault == "redirect") {
    HttpHeaders headers;
    headers.Add("Location", "https://www.doubao.com/login");
    co_await call.responder.Send(302, std::move(headers), "");
  } else {
    co_return false;
  }
  journal_.Refuse(fault);
  co_return true;
}

asio::awaitable<void> Server::Stream(Call& call, const Script& script, const std::string& prompt,
                                     AnswerScript& answer) {
  const std::vector<std::string> pieces = TextPieces(script, prompt);
  ScriptedBody body(call.responder, script);
  HttpHeaders headers;
  headers.Add("Content-Type", "text/event-stream");
  bool alive = co_await body.Begin(std::move(headers));
  if (alive) alive = co_await body.Write(answer.Opening());
  for (const std::string& thought : answer.Thoughts()) {
    if (alive) alive = co_await body.Write(thought);
  }
  for (int silent_ms = script.Number("silence_ms", 0); alive && silent_ms > 0; silent_ms -= kHeartbeatMs) {
    co_await switchyard::Sleep(call.responder.scope(), absl::Milliseconds(kHeartbeatMs));
    alive = co_await body.Write(answer.Heartbeat());
  }
  std::string text;
  for (size_t i = 0; alive && i < pieces.size(); ++i) {
    alive = co_await body.BeforePiece(i);
    if (!alive) break;
    text += pieces[i];
    std::string event = answer.Piece(pieces[i]);
    if (body.Now("garbage", i)) event = answer.RawPiece("{\"text\":");
    if (body.Now("bad_utf8", i)) event = answer.Piece(" \xFF");
    if (body.Now("oversized", i))
      event = answer.RawPiece(absl::StrCat("{\"text\":\"", std::string(kOversized, 'x'), "\"}"));
    if (body.Now("late_error", i)) event = answer.Error(710020702, "stream error");
    if (body.Now("late_unknown", i)) event = answer.Error(710099999, "something new");
    alive = co_await body.Write(std::move(event));
  }
  if (alive) alive = co_await body.BeforeEnd(pieces.size());
  // A client may come back as soon as it has read the end.
  journal_.End(call.account);
  if (alive && script.fault() != "unfinished") alive = co_await body.Write(answer.Ending(text));
  if (alive) co_await body.End();
  if (body.client_gone()) journal_.Count("client_gone");
}

}  // namespace simulator::doubao
