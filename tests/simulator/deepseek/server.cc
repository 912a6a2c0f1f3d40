#include "tests/simulator/deepseek/server.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/async/sleep.h"
#include "services/common/time/random.h"
#include "tests/simulator/deepseek/hash.h"
#include "tests/simulator/multipart.h"
#include "tests/simulator/stamp.h"

namespace simulator::deepseek {

namespace asio = boost::asio;
namespace json = boost::json;
using switchyard::HttpHeaders;
using switchyard::HttpResponder;
using switchyard::HttpServerRequest;

namespace {

constexpr char kPrefix[] = "/api/v0";
constexpr int64_t kLifeMs = 300000;
constexpr size_t kKeptBodies = 16;

std::string Envelope(json::value biz_data) {
  json::object out{{"code", 0},
                   {"msg", ""},
                   {"data", json::object{{"biz_code", 0}, {"biz_msg", ""}, {"biz_data", std::move(biz_data)}}}};
  return json::serialize(out);
}
std::string OuterError(int code, const std::string& message) {
  return json::serialize(json::object{{"code", code}, {"msg", message}, {"data", nullptr}});
}
std::string InnerError(int code, const std::string& message, json::value biz_data = nullptr) {
  return json::serialize(json::object{
      {"code", 0},
      {"msg", ""},
      {"data", json::object{{"biz_code", code}, {"biz_msg", message}, {"biz_data", std::move(biz_data)}}}});
}

bool IsInteger(const json::value* value) { return value != nullptr && (value->is_int64() || value->is_uint64()); }

}  // namespace

/// One request under way.
struct Server::Call {
  std::string path;  // below the prefix
  HttpServerRequest& request;
  HttpResponder& responder;
  std::string token;
  json::object body;

  asio::awaitable<void> Json(int status, std::string text) {
    HttpHeaders headers{{"Content-Type", "application/json"}};
    co_await responder.Send(status, std::move(headers), std::move(text));
  }
  asio::awaitable<void> Plain(int status, std::string type, std::string text) {
    HttpHeaders headers;
    if (!type.empty()) headers.Add("Content-Type", type);
    co_await responder.Send(status, std::move(headers), std::move(text));
  }
  asio::awaitable<void> WrongShape(const std::string& field) {
    json::object item{{"loc", "body." + field}};
    json::object out{{"detail", json::array{std::move(item)}}};
    co_await Json(422, json::serialize(out));
  }
  /// The first required member that is missing or of the wrong type.
  std::string Misfit(std::initializer_list<std::pair<const char*, bool (*)(const json::value&)>> required) const {
    for (const auto& [name, fits] : required) {
      const json::value* value = body.if_contains(name);
      if (value == nullptr || !fits(*value)) return name;
    }
    return "";
  }
  std::string Text(const char* name) const {
    const json::value* value = body.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string().c_str(), value->get_string().size())
                                                  : std::string();
  }
};

namespace {
bool IsString(const json::value& value) { return value.is_string(); }
bool IsBool(const json::value& value) { return value.is_bool(); }
bool IsArray(const json::value& value) { return value.is_array(); }
bool IsWhole(const json::value& value) { return IsInteger(&value); }
}  // namespace

asio::awaitable<void> Server::Serve(const std::string& path, HttpServerRequest& request, HttpResponder& responder) {
  Call call{path, request, responder, "", {}};
  {
    absl::MutexLock lock(&mutex_);
    ++counts_["requests"];
  }
  if (!absl::StartsWith(path, kPrefix)) {
    co_await call.Plain(404, "text/html", "<html>nothing here</html>");
    co_return;
  }
  call.path = path.substr(sizeof kPrefix - 1);
  if (request.headers.Get("user-agent").empty()) {
    Violate("a request without User-Agent");
    co_await call.Plain(429, "", "");
    co_return;
  }
  absl::string_view token = request.headers.Get("authorization");
  if (!absl::ConsumePrefix(&token, "Bearer ") || !absl::StartsWith(token, options_.token_prefix)) {
    co_await call.Json(200, OuterError(40003, "Authorization Failed (invalid token)"));
    co_return;
  }
  call.token = std::string(token);
  if (request.method == "POST" && call.path != "/file/upload_file") {
    json::error_code error;
    json::value body = json::parse(request.body, error);
    if (!absl::StartsWith(request.headers.Get("content-type"), "application/json"))
      Violate(call.path + ": Content-Type is not JSON");
    if (error || !body.is_object()) {
      co_await call.WrongShape("");
      co_return;
    }
    call.body = std::move(body.get_object());
  }
  co_await Dispatch(call);
}

FaultsByDialect Server::Faults() const {
  return {{"web",
           {"cut",
            "reset",
            "garbage",
            "bad_utf8",
            "oversized",
            "stall",
            "empty",
            "content_filter",
            "incomplete",
            "filter_early",
            "closed_unfinished",
            "hint_rate",
            "hint_length",
            "hint_other",
            "hint_bare",
            "stream_code",
            "stream_unknown",
            "stream_error",
            "expired",
            "muted",
            "banned",
            "device",
            "rate_code",
            "pow",
            "http_429",
            "http_500",
            "waf_202",
            "waf_403",
            "html",
            "not_json"}}};
}

std::string Server::Credential(int number) const { return absl::StrCat(options_.token_prefix, "deepseek-", number); }

asio::awaitable<void> Server::Dispatch(Call& call) {
  {
    absl::MutexLock lock(&mutex_);
    ++counts_[call.path];
  }
  const bool post = call.request.method == "POST";
  if (call.path == "/users/current" && !post) {
    const Script script = PeekPlan(call.token);
    if (script.fault() == "expired") {
      co_await call.Json(200, OuterError(40003, "Authorization Failed (invalid token)"));
      co_return;
    }
    json::object chat{{"is_muted", script.fault() == "muted" ? 1 : 0}, {"mute_until", nullptr}};
    if (script.fault() == "muted")
      chat["mute_until"] = absl::ToUnixSeconds(absl::Now()) + script.Number("mute_s", 3600);
    json::object user{
        {"id", "sim-user"}, {"token", call.token}, {"email", nullptr}, {"status", 0}, {"chat", std::move(chat)}};
    co_await call.Json(200, Envelope(std::move(user)));
  } else if (call.path == "/chat_session/create" && post) {
    const std::string id = CreateSession(call.token);
    json::object session{{"id", id},
                         {"seq_id", 100000001},
                         {"agent", "chat"},
                         {"model_type", "default"},
                         {"title", nullptr},
                         {"version", 0},
                         {"current_message_id", nullptr}};
    json::object data{{"chat_session", std::move(session)}, {"ttl_seconds", 259200}};
    co_await call.Json(200, Envelope(std::move(data)));
  } else if (call.path == "/chat/create_pow_challenge" && post) {
    if (const std::string field = call.Misfit({{"target_path", &IsString}}); !field.empty()) {
      co_await call.WrongShape(field);
      co_return;
    }
    co_await call.Json(200, CreateChallenge(call.token, call.Text("target_path")));
  } else if (call.path == "/chat/completion" && post) {
    co_await Complete(call);
  } else if (call.path == "/chat/continue" && post) {
    co_await Continue(call);
  } else if (call.path == "/file/upload_file" && post) {
    co_await Upload(call);
  } else if (call.path == "/file/fetch_files" && !post) {
    co_await FetchFiles(call);
  } else if ((call.path == "/chat/stop_stream" || call.path == "/chat_session/delete") && post) {
    if (const std::string field = call.Misfit({{"chat_session_id", &IsString}}); !field.empty()) {
      co_await call.WrongShape(field);
      co_return;
    }
    if (const json::value* id = call.body.if_contains("message_id");
        call.path == "/chat/stop_stream" && !IsInteger(id)) {
      co_await call.WrongShape("message_id");
      co_return;
    }
    std::string answer = Envelope(nullptr);
    {
      absl::MutexLock lock(&mutex_);
      const auto session = sessions_.find(call.Text("chat_session_id"));
      if (session == sessions_.end() || session->second.token != call.token) {
        answer = InnerError(1, "ILLEGAL_CHAT_SESSION_ID");
      } else if (call.path == "/chat/stop_stream") {
        if (call.body.at("message_id").to_number<int64_t>() != session->second.answer)
          violations_.push_back("stop_stream names another message than the answer");
        session->second.stop = true;
      } else {
        if (session->second.running && !session->second.stop)
          violations_.push_back("a conversation was deleted while its answer was generated and not stopped");
        sessions_.erase(session);
      }
    }
    co_await call.Json(200, std::move(answer));
  } else {
    co_await call.Plain(404, "text/html", "<html>nothing here</html>");
  }
}

std::string Server::CreateSession(const std::string& token) {
  const std::string id = switchyard::SystemRandom::Get().NextUuid();
  absl::MutexLock lock(&mutex_);
  sessions_[id].token = token;
  return id;
}

std::string Server::CreateChallenge(const std::string& token, const std::string& target_path) {
  auto& random = switchyard::SystemRandom::Get();
  Challenge challenge;
  challenge.token = token;
  challenge.salt = random.NextHex(20);
  challenge.target_path = target_path;
  challenge.expire_at_ms = absl::ToUnixMillis(absl::Now()) + kLifeMs;
  const auto nonce = static_cast<int64_t>(random.NextUnit() * static_cast<double>(options_.difficulty));
  challenge.challenge = HashHex(absl::StrCat(challenge.salt, "_", challenge.expire_at_ms, "_", nonce));
  const std::string signature = random.NextHex(64);
  json::object out{
      {"algorithm", "DeepSeekHashV1"}, {"challenge", challenge.challenge},  {"salt", challenge.salt},
      {"signature", signature},        {"difficulty", options_.difficulty}, {"expire_at", challenge.expire_at_ms},
      {"expire_after", kLifeMs},       {"target_path", target_path}};
  absl::MutexLock lock(&mutex_);
  challenges_[signature] = std::move(challenge);
  return Envelope(json::object{{"challenge", std::move(out)}});
}

bool Server::CheckProof(const Call& call, const std::string& path) {
  const auto refuse = [this](const std::string& why) {
    Violate("proof of work: " + why);
    return false;
  };
  const auto header = call.request.headers.Find("x-ds-pow-response");
  if (!header) return refuse("missing");
  std::string text;
  if (!absl::Base64Unescape(*header, &text)) return refuse("not Base64");
  json::error_code error;
  const json::value value = json::parse(text, error);
  if (error || !value.is_object() || value.get_object().size() != 6) return refuse("not an object of six members");
  const json::object& proof = value.get_object();
  const auto member = [&](const char* name) {
    const json::value* found = proof.if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->get_string().c_str()) : std::string();
  };
  if (!IsInteger(proof.if_contains("answer"))) return refuse("the answer is no integer");
  const auto answer = proof.at("answer").to_number<int64_t>();
  absl::MutexLock lock(&mutex_);
  const auto found = challenges_.find(member("signature"));
  const auto wrong = [this](const std::string& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    violations_.push_back("proof of work: " + why);
    return false;
  };
  if (found == challenges_.end() || found->second.token != call.token) return wrong("a challenge of somebody else");
  Challenge& challenge = found->second;
  if (challenge.used) return wrong("used before");
  challenge.used = true;
  if (member("algorithm") != "DeepSeekHashV1" || member("salt") != challenge.salt ||
      member("challenge") != challenge.challenge)
    return wrong("not as issued");
  if (member("target_path") != path || challenge.target_path != path) return wrong("for another path");
  if (absl::ToUnixMillis(absl::Now()) > challenge.expire_at_ms) return wrong("expired");
  if (HashHex(absl::StrCat(challenge.salt, "_", challenge.expire_at_ms, "_", answer)) != challenge.challenge)
    return wrong("a wrong answer");
  return true;
}

Script Server::PeekPlan(const std::string& token) const {
  absl::MutexLock lock(&mutex_);
  for (const Planned& planned : planned_) {
    if (planned.account.empty() || planned.account == token) return planned.script;
  }
  return {};
}

Script Server::TakePlan(const std::string& token) {
  absl::MutexLock lock(&mutex_);
  for (auto planned = planned_.begin(); planned != planned_.end(); ++planned) {
    if (!planned->account.empty() && planned->account != token) continue;
    Script script = planned->script;
    if (--planned->times <= 0) planned_.erase(planned);
    return script;
  }
  return {};
}

asio::awaitable<bool> Server::RefuseByScript(Call& call, const Script& script) {
  const std::string fault = script.fault();
  if (const int first_ms = script.Number("first_ms", 0); first_ms > 0)
    co_await switchyard::Sleep(call.responder.scope(), absl::Milliseconds(first_ms));
  if (fault == "expired")
    co_await call.Json(200, OuterError(40003, "Authorization Failed (invalid token)"));
  else if (fault == "pow")
    co_await call.Json(200, OuterError(40301, "INVALID_POW_RESPONSE"));
  else if (fault == "rate_code")
    co_await call.Json(200, OuterError(1001, "too fast"));
  else if (fault == "muted") {
    json::object until{{"mute_until", absl::ToUnixSeconds(absl::Now()) + script.Number("mute_s", 3600)}};
    co_await call.Json(200, InnerError(5, "you are muted", std::move(until)));
  } else if (fault == "banned")
    co_await call.Json(200, InnerError(10, "banned"));
  else if (fault == "device")
    co_await call.Json(200, InnerError(11, "RISK_DEVICE_DETECTED"));
  else if (fault == "http_500")
    co_await call.Plain(500, "text/plain", "upstream trouble");
  else if (fault == "waf_403")
    co_await call.Plain(403, "text/html", "<html>denied</html>");
  else if (fault == "html")
    co_await call.Plain(200, "text/html", "<html>challenge</html>");
  else if (fault == "not_json")
    co_await call.Plain(200, "application/json", "{\"code\":");
  else if (fault == "http_429") {
    HttpHeaders headers;
    if (const std::string wait = script.Text("retry_after"); !wait.empty()) headers.Add("Retry-After", wait);
    co_await call.responder.Send(429, std::move(headers), "");
  } else if (fault == "waf_202") {
    HttpHeaders headers{{"x-amzn-waf-action", "challenge"}};
    co_await call.responder.Send(202, std::move(headers), "");
  } else {
    co_return false;
  }
  co_return true;
}

asio::awaitable<void> Server::Complete(Call& call) {
  const std::string field = call.Misfit({{"chat_session_id", &IsString},
                                         {"prompt", &IsString},
                                         {"ref_file_ids", &IsArray},
                                         {"thinking_enabled", &IsBool},
                                         {"search_enabled", &IsBool}});
  if (!field.empty()) {
    co_await call.WrongShape(field);
    co_return;
  }
  const std::string session = call.Text("chat_session_id");
  const json::value* parent = call.body.if_contains("parent_message_id");
  if (parent != nullptr && !parent->is_null() && !IsInteger(parent)) {
    co_await call.WrongShape("parent_message_id");
    co_return;
  }
  bool known_files = true;
  {
    absl::MutexLock lock(&mutex_);
    for (const json::value& id : call.body.at("ref_file_ids").as_array()) {
      const auto file = id.is_string() ? files_.find(std::string(id.get_string().c_str())) : files_.end();
      known_files = known_files && file != files_.end() && file->second.token == call.token &&
                    file->second.status == "SUCCESS" && file->second.image == (call.Text("model_type") == "vision");
    }
    if (!known_files) violations_.push_back("a file that is not there or has not been read");
  }
  if (!known_files) {
    co_await call.WrongShape("ref_file_ids");
    co_return;
  }
  Script script = TakePlan(call.token);
  const Script own = ScriptIn(call.Text("prompt"));
  for (const auto& [name, value] : own.values) script.values.emplace(name, value);

  if (!CheckProof(call, std::string(kPrefix) + call.path)) {
    co_await call.Json(200, OuterError(40301, "INVALID_POW_RESPONSE"));
    co_return;
  }
  std::string refusal;
  bool busy = false;
  AnswerPlan plan;
  {
    absl::MutexLock lock(&mutex_);
    if (const std::string tag = script.Text("tag"); !tag.empty()) peers_[tag] = call.request.remote_address;
    completions_.push_back(call.body);
    if (completions_.size() > kKeptBodies) completions_.erase(completions_.begin());
    const auto found = sessions_.find(session);
    if (found == sessions_.end() || found->second.token != call.token) {
      violations_.push_back("a completion in a session that does not exist");
      refusal = InnerError(1, "ILLEGAL_CHAT_SESSION_ID");
    } else {
      Session& state = found->second;
      const int64_t last = parent == nullptr || parent->is_null() ? 0 : parent->to_number<int64_t>();
      // Ids count from 1: questions are odd, answers even. An older answer is where another branch begins.
      const bool fits = state.messages == 0 ? last == 0 : last > 0 && last <= state.messages && last % 2 == 0;
      if (!fits) {
        violations_.push_back("a completion with the wrong parent");
        refusal = InnerError(26, "invalid message id");
      }
      plan.request_message = state.messages + 1;
      plan.response_message = state.messages + 2;
      plan.tokens_before = state.tokens;
    }
    busy = refusal.empty() && running_[call.token] >= options_.max_running;
    if (busy) violations_.push_back("two generations at once on one account");
  }
  if (!refusal.empty()) {
    co_await call.Json(200, std::move(refusal));
    co_return;
  }
  const bool refused = co_await RefuseByScript(call, script);
  if (refused) co_return;

  plan.script = busy ? ParseScript("fault=hint_rate") : script;
  plan.thinking = call.body.at("thinking_enabled").as_bool();
  plan.search = call.body.at("search_enabled").as_bool();
  plan.model_type = call.body.contains("model_type") ? call.Text("model_type") : "default";
  plan.prompt = call.Text("prompt");
  if (!busy) {
    absl::MutexLock lock(&mutex_);
    Session& state = sessions_[session];
    state.token = call.token;
    state.messages += 2;
    state.answer = plan.response_message;
    state.running = true;
    state.stop = false;
    state.script = script;
    ++running_[call.token];
    counts_["max_running"] = std::max<int64_t>(counts_["max_running"], running_[call.token]);
  }
  std::vector<std::string> pieces = TextPieces(plan.script, plan.prompt);
  co_await Stream(call, session, std::move(plan), "", std::move(pieces), false);
}

json::object Server::Describe(const std::string& id, const File& file) {
  json::object out;
  out["id"] = id;
  out["status"] = file.status;
  out["file_name"] = file.name;
  out["from_share"] = false;
  out["file_size"] = file.size;
  out["model_kind"] = file.image ? "VISION" : "NORMAL";
  out["token_usage"] = file.status == "SUCCESS" ? json::value(12) : json::value(nullptr);
  out["error_code"] = nullptr;
  out["is_image"] = file.image;
  out["audit_result"] = file.status == "SUCCESS" ? "pass" : "unknown";
  return out;
}

asio::awaitable<void> Server::Upload(Call& call) {
  if (!CheckProof(call, std::string(kPrefix) + call.path)) {
    co_await call.Json(200, OuterError(40301, "INVALID_POW_RESPONSE"));
    co_return;
  }
  std::string why;
  const std::vector<FormPart> form = ReadForm(call.request, why);
  const std::string kind(call.request.headers.Get("x-model-type"));
  if (why.empty() && (form.size() != 1 || form[0].name != "file" || !form[0].is_file)) why = "a form without one file";
  if (why.empty()) why = FileFault(form[0]);
  if (why.empty() && call.request.headers.Get("x-file-size") != absl::StrCat(form[0].bytes.size())) why = "x-file-size";
  const absl::string_view thinking = call.request.headers.Get("x-thinking-enabled");
  if (why.empty() && thinking != "0" && thinking != "1") why = "x-thinking-enabled";
  if (why.empty() && kind != "default" && kind != "vision") why = "x-model-type";
  if (why.empty() && IsImageType(form[0].type) != (kind == "vision")) why = "a file that the model does not take";
  if (!why.empty()) {
    Violate("upload: " + why);
    co_await call.WrongShape("file");
    co_return;
  }
  const Script script = PeekPlan(call.token);
  File file;
  file.token = call.token;
  file.name = form[0].filename;
  file.size = form[0].bytes.size();
  file.image = IsImageType(form[0].type);
  file.status = "PENDING";
  file.end = script.Text("read", "SUCCESS");
  file.polls = script.Number("read_polls", 1);
  if (file.end != "SUCCESS") TakePlan(call.token);  // there will be no completion to use it up
  const std::string id = "file-" + switchyard::SystemRandom::Get().NextUuid();
  json::object described = Describe(id, file);
  {
    absl::MutexLock lock(&mutex_);
    files_[id] = std::move(file);
  }
  co_await call.Json(200, Envelope(std::move(described)));
}

asio::awaitable<void> Server::FetchFiles(Call& call) {
  absl::string_view ids = call.request.query;
  const bool asked = absl::ConsumePrefix(&ids, "file_ids=");
  json::array list;
  {
    absl::MutexLock lock(&mutex_);
    for (const absl::string_view id : absl::StrSplit(ids, ',')) {
      const auto found = files_.find(std::string(id));
      if (!asked || found == files_.end() || found->second.token != call.token) {
        violations_.push_back("a question about a file that does not exist");
        continue;
      }
      File& file = found->second;
      file.status = --file.polls <= 0 ? file.end : "PARSING";
      list.push_back(Describe(found->first, file));
    }
  }
  json::object data;
  data["files"] = std::move(list);
  co_await call.Json(200, Envelope(std::move(data)));
}

asio::awaitable<void> Server::Continue(Call& call) {
  if (const std::string field = call.Misfit({{"chat_session_id", &IsString}, {"message_id", &IsWhole}});
      !field.empty()) {
    co_await call.WrongShape(field);
    co_return;
  }
  const std::string session = call.Text("chat_session_id");
  AnswerPlan plan;
  std::string text;
  std::vector<std::string> rest;
  bool known = false;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = sessions_.find(session);
    known = found != sessions_.end() && found->second.token == call.token && found->second.incomplete &&
            found->second.answer == call.body.at("message_id").to_number<int64_t>();
    if (known) {
      plan.script = found->second.script;
      plan.response_message = found->second.answer;
      plan.request_message = found->second.answer - 1;
      text = found->second.text;
      rest = found->second.rest;
    } else {
      violations_.push_back("a continuation of nothing");
    }
  }
  const std::string mode = plan.script.Text("continue", "snapshot");
  if (!known) {
    co_await call.Json(200, InnerError(26, "invalid message id"));
    co_return;
  }
  if (mode == "refuse") {
    co_await call.Json(200, InnerError(26, "cannot be continued"));
    co_return;
  }
  if (mode == "pow" && !call.request.headers.Find("x-ds-pow-response")) {
    co_await call.Json(200, OuterError(40301, "INVALID_POW_RESPONSE"));
    co_return;
  }
  if (mode == "pow" && !CheckProof(call, std::string(kPrefix) + call.path)) {
    co_await call.Json(200, OuterError(40301, "INVALID_POW_RESPONSE"));
    co_return;
  }
  plan.script.values.erase("fault");
  if (mode == "message") {
    for (const std::string& piece : rest) text += piece;
    const AnswerScript answer(plan);
    EndGeneration(session, "", text, {}, false);
    json::object data{{"response", answer.WholeMessage(text, "FINISHED")}};
    co_await call.Json(200, InnerError(22, "whole message", std::move(data)));
    co_return;
  }
  {
    absl::MutexLock lock(&mutex_);
    sessions_[session].running = true;
    ++running_[call.token];
  }
  co_await Stream(call, session, std::move(plan), std::move(text), std::move(rest), true);
}

asio::awaitable<void> Server::Stream(Call& call, std::string session, AnswerPlan plan, std::string text,
                                     std::vector<std::string> pieces, bool continued) {
  HttpResponder& responder = call.responder;
  const Script script = plan.script;
  const std::string fault = script.fault();
  const size_t at = static_cast<size_t>(std::max(0, script.Number("at", 2)));
  const auto pause = absl::Milliseconds(script.Number("chunk_ms", 0));
  const size_t split = static_cast<size_t>(std::max(0, script.Number("split", 0)));
  const bool comments = script.Number("comments", 0) != 0;
  const int64_t tokens = plan.tokens_before + 8 + static_cast<int64_t>(pieces.size()) * 2;
  const bool busy = fault == "hint_rate";
  const bool stamp = script.Number("stamp", 0) != 0;

  AnswerScript answer(plan);
  std::string out = continued ? answer.Reopening(text) : answer.Opening();
  HttpHeaders headers{{"Content-Type", "text/event-stream; charset=utf-8"}, {"Cache-Control", "no-cache"}};
  bool alive = (co_await responder.Begin(200, std::move(headers))).ok();

  // Ends in one of: everything sent; the client gone; stopped by the client; cut by the script.
  enum class End { kSent, kGone, kStopped, kCut };
  End end = End::kSent;
  size_t sent = 0;
  const std::function<asio::awaitable<bool>()> flush = [&]() -> asio::awaitable<bool> {
    const size_t step = split == 0 ? out.size() : split;
    for (size_t from = 0; from < out.size(); from += step) {
      const absl::Status written = co_await responder.Write(absl::string_view(out).substr(from, step));
      if (!written.ok()) co_return false;
    }
    out.clear();
    co_return true;
  };

  bool over = false;
  if (busy || fault == "hint_length" || fault == "hint_other" || fault == "hint_bare") {
    const std::string word = busy                     ? "rate_limit_reached"
                             : fault == "hint_length" ? "input_exceeds_limit"
                             : fault == "hint_other"  ? "something_else"
                                                      : "";
    out = continued ? "" : AnswerScript(plan).Opening();
    out += "event: hint\ndata: " + AnswerScript::Hint(word) + "\n\n" + answer.Closing(true);
    over = true;
  } else if (fault == "filter_early") {
    out += answer.Withdrawal(tokens);
    over = true;
  }
  for (size_t i = 0; alive && !over && i <= pieces.size(); ++i) {
    if (StopAsked(session)) {
      end = End::kStopped;
      out += answer.Ending("INCOMPLETE", tokens);
      break;
    }
    const bool now = i == at || (i == pieces.size() && at > pieces.size());
    if (now && (fault == "cut" || fault == "reset")) {
      end = End::kCut;
      break;
    }
    if (now && fault == "stall") {
      alive = co_await flush();
      absl::Status slept = absl::CancelledError("gone");
      if (alive) slept = co_await switchyard::Sleep(responder.scope(), absl::Seconds(600));
      end = slept.ok() ? End::kCut : End::kGone;
      break;
    }
    if (now && fault == "garbage") out += "data: {\"v\": \n\n";
    if (now && fault == "bad_utf8") out += "data: {\"v\":\"\xff\xfe\"}\n\n";
    if (now && fault == "stream_code")
      out += "data: {\"code\":40003,\"msg\":\"Authorization Failed\",\"data\":null}\n\n";
    if (now && fault == "stream_unknown") out += "data: {\"code\":50000,\"msg\":\"something new\",\"data\":null}\n\n";
    if (now && fault == "stream_error") out += "data: {\"error\":{\"message\":\"trouble\"}}\n\n";
    if (now && fault == "oversized") out += "data: {\"v\":\"" + std::string(2 * 1024 * 1024, 'x') + "\"}\n\n";
    if (now && fault == "content_filter") {
      out += answer.Withdrawal(tokens);
      break;
    }
    if (now && fault == "incomplete") {
      out += answer.Ending("INCOMPLETE", tokens);
      break;
    }
    if (now && fault == "closed_unfinished") {
      out += answer.Tail() + answer.Closing(false);
      break;
    }
    if (i == pieces.size()) {
      out += answer.Ending(script.Text("status", "FINISHED"), tokens);
      break;
    }
    if (comments) out += ": comment\n\nevent: message\ndata: \n\n";
    if (pause > absl::ZeroDuration()) {
      alive = co_await flush();
      const absl::Status slept = co_await switchyard::Sleep(responder.scope(), pause);
      alive = alive && slept.ok();
    }
    if (stamp) pieces[i] = Stamp();
    text += pieces[i];
    out += answer.Piece(pieces[i]);
    sent = i + 1;
  }
  const bool incomplete = fault == "incomplete" && sent == at && !continued;
  std::vector<std::string> rest(pieces.begin() + static_cast<std::ptrdiff_t>(std::min(sent, pieces.size())),
                                pieces.end());
  // Nothing more is made. Before the last of it goes out: who has read that may delete the conversation at once.
  EndGeneration(session, call.token, text, std::move(rest), incomplete);
  if (alive) alive = co_await flush();
  {
    absl::MutexLock lock(&mutex_);
    if (!alive || end == End::kGone) ++counts_["client_gone"];
    if (end == End::kStopped) ++counts_["stopped"];
  }
  if (!alive) co_return;
  if (end == End::kCut || end == End::kGone) {
    responder.Abort(fault == "reset");
    co_return;
  }
  co_await responder.End();
}

bool Server::StopAsked(const std::string& session) const {
  absl::MutexLock lock(&mutex_);
  const auto found = sessions_.find(session);
  return found == sessions_.end() || found->second.stop;
}

void Server::EndGeneration(const std::string& session, const std::string& token, const std::string& text,
                           std::vector<std::string> rest, bool incomplete) {
  absl::MutexLock lock(&mutex_);
  if (!token.empty()) {
    if (auto running = running_.find(token); running != running_.end() && --running->second <= 0)
      running_.erase(running);
  }
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return;
  found->second.running = false;
  found->second.text = text;
  found->second.rest = std::move(rest);
  found->second.incomplete = incomplete;
}

void Server::Violate(const std::string& what) {
  absl::MutexLock lock(&mutex_);
  violations_.push_back(what);
}

json::object Server::State() const {
  absl::MutexLock lock(&mutex_);
  json::object counts, peers;
  for (const auto& [name, count] : counts_) counts[name] = count;
  for (const auto& [tag, peer] : peers_) peers[tag] = peer;
  json::array violations(violations_.begin(), violations_.end());
  json::array completions(completions_.begin(), completions_.end());
  int64_t running = 0;
  for (const auto& [token, count] : running_) running += count;
  return {{"open_conversations", sessions_.size()},
          {"running", running},
          {"counts", std::move(counts)},
          {"violations", std::move(violations)},
          {"completions", std::move(completions)},
          {"peers", std::move(peers)}};
}

void Server::Reset() {
  absl::MutexLock lock(&mutex_);
  sessions_.clear();
  challenges_.clear();
  files_.clear();
  counts_.clear();
  violations_.clear();
  planned_.clear();
  completions_.clear();
  peers_.clear();
}

void Server::Plan(const std::string& account, Script script, int times) {
  absl::MutexLock lock(&mutex_);
  planned_.push_back({account, std::move(script), times});
}

}  // namespace simulator::deepseek
