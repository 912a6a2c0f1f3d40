#include "tests/simulator/metaso/server.h"

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "tests/simulator/metaso/stream.h"

namespace simulator::metaso {

namespace asio = boost::asio;
namespace json = boost::json;
using switchyard::HttpHeaders;
using switchyard::HttpResponder;
using switchyard::HttpServerRequest;
using Query = std::map<std::string, std::string>;

namespace {

constexpr char kOrigin[] = "https://metaso.cn";
constexpr int64_t kTokenLifeMs = 30 * 60 * 1000;
constexpr char kChallenge[] =
    "<!doctype html><html><body><div id=\"nc_1_slider\">Please slide to verify: captcha</div></body></html>";
const auto& kModes = *new std::set<std::string>{"fast", "concise", "detail", "research"};

std::string Uid(int number) { return absl::StrFormat("65f0c0ffee5eed00%08x", number); }
std::string Sid(int number) {
  return absl::StrFormat("0f1e2d3c4b5a69788796a5b4%08x", static_cast<uint32_t>(number) * 2654435761u);
}

/// The uid of a login that is known; "" for any other.
std::string KnownUid(absl::string_view cookies) {
  std::string uid, sid;
  for (absl::string_view pair : absl::StrSplit(cookies, ';')) {
    pair = absl::StripAsciiWhitespace(pair);
    if (absl::ConsumePrefix(&pair, "uid=")) uid = std::string(pair);
    if (absl::ConsumePrefix(&pair, "sid=")) sid = std::string(pair);
  }
  uint32_t number = 0;
  if (uid.size() != 24 || !absl::SimpleHexAtoi(uid.substr(16), &number)) return "";
  return uid == Uid(static_cast<int>(number)) && sid == Sid(static_cast<int>(number)) ? uid : "";
}

/// A form's rules: '+' is a blank.
std::string Decode(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    int byte = 0;
    if (text[i] == '%' && i + 2 < text.size() && absl::SimpleHexAtoi(text.substr(i + 1, 2), &byte)) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

Query ParseQuery(absl::string_view query) {
  Query out;
  for (const absl::string_view pair : absl::StrSplit(query, '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> halves = absl::StrSplit(pair, absl::MaxSplits('=', 1));
    out[Decode(halves.first)] = Decode(halves.second);
  }
  return out;
}

std::string Text(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string().c_str()) : std::string();
}

std::string Envelope(int64_t code, const std::string& message, json::value data = nullptr) {
  return json::serialize(json::object{{"errCode", code}, {"errMsg", message}, {"data", std::move(data)}});
}

}  // namespace

/// One request under way.
struct Server::Call {
  HttpServerRequest& request;
  HttpResponder& responder;
  std::string uid;  // "" without a login
  json::object body;

  std::string Header(const char* name) const { return std::string(request.headers.Get(name)); }
  asio::awaitable<void> Send(int status, std::string type, std::string text) {
    HttpHeaders headers{{"Content-Type", type}};
    if (status == 302) headers.Add("Location", "/login");
    co_await responder.Send(status, std::move(headers), std::move(text));
  }
};

std::string Server::Credential(int number) const { return absl::StrCat(Uid(number), "-", Sid(number)); }

void Server::Reset() {
  journal_.Reset();
  absl::MutexLock lock(&mutex_);
  sessions_.clear();
  conversations_.clear();
  token_uses_.clear();
  anonymous_.clear();
}

std::string Server::NextId() {
  absl::MutexLock lock(&mutex_);
  return absl::StrCat(next_id_++);
}

asio::awaitable<void> Server::Refuse(Call& call, int64_t code, std::string why) {
  journal_.Refuse(why);
  co_await call.Send(200, "application/json", Envelope(code, why));
}

asio::awaitable<void> Server::Serve(const std::string& path, HttpServerRequest& request, HttpResponder& responder) {
  Call call{request, responder, KnownUid(request.headers.Get("cookie")), {}};
  journal_.Count("requests");
  journal_.Count(path);
  const bool post = request.method == "POST";
  const bool known = (path.empty() || path == "/" || path == "/api/my-info" || path == "/api/searchV2") ? !post
                     : (path == "/api/session" || path == "/api/search/chat")                           ? post
                                                                                                        : false;
  if (!known) {
    journal_.Violate(absl::StrCat("unknown call ", request.method, " ", path));
    co_await call.Send(404, "text/html", "<html>nothing here</html>");
    co_return;
  }
  if (call.Header("User-Agent").empty()) {
    journal_.Violate(path + ": no User-Agent");
    co_await call.Send(400, "application/json", Envelope(400, "User-Agent"));
    co_return;
  }
  if (path.empty() || path == "/") {
    co_await Page(call);
    co_return;
  }
  if (call.uid.empty()) {
    co_await Refuse(call, 401, "未登录");
    co_return;
  }
  if (path == "/api/my-info") {
    co_await MyInfo(call);
    co_return;
  }
  if (call.Header("Origin") != kOrigin) {
    journal_.Violate(path + ": another Origin");
    co_await call.Send(400, "application/json", Envelope(400, "Origin"));
    co_return;
  }
  if (post) {
    json::error_code error;
    json::value body = json::parse(request.body, error);
    if (error || !body.is_object() || !absl::StartsWith(call.Header("Content-Type"), "application/json")) {
      journal_.Violate(path + ": the body is no JSON object");
      co_await call.Send(400, "application/json", Envelope(400, "Content-Type"));
      co_return;
    }
    call.body = std::move(body.get_object());
  }
  if (path == "/api/session") {
    co_await CreateSession(call);
  } else if (path == "/api/searchV2") {
    co_await Search(call);
  } else {
    co_await Chat(call);
  }
}

asio::awaitable<void> Server::Page(Call& call) {
  const std::string fault = journal_.Peek(call.uid).fault();
  if (absl::StartsWith(fault, "page_")) journal_.Take(call.uid, "");
  if (call.Header("Sec-Fetch-Dest") != "document" || call.Header("Upgrade-Insecure-Requests") != "1")
    journal_.Violate("the page was asked for in another way than a browser does");
  // '=' as an entity, as a page may well have it.
  const std::string token = absl::StrReplaceAll(IssueToken(call.uid), {{"=", "&#61;"}});
  const std::string page =
      absl::StrCat("<!doctype html><html><head><meta charset=\"utf-8\"/><meta id=\"meta-token\" content=\"", token,
                   "\"/></head><body>Metaso</body></html>");
  if (fault == "page_captcha") {
    co_await call.Send(200, "text/html", kChallenge);
  } else if (fault == "page_bare") {
    co_await call.Send(200, "text/html", "<!doctype html><html><head></head><body>Metaso</body></html>");
  } else if (fault == "page_429") {
    co_await call.Send(429, "text/html", "");
  } else if (fault == "page_500") {
    co_await call.Send(500, "text/html", "<html>error</html>");
  } else {
    co_await call.Send(200, "text/html;charset=UTF-8", page);
  }
}

bool Server::AnonymousNow(const std::string& uid) {
  absl::MutexLock lock(&mutex_);
  return anonymous_.count(uid) > 0;
}

asio::awaitable<void> Server::MyInfo(Call& call) {
  if (call.Header("Is-Mini-Webview") != "0") journal_.Violate("my-info: no Is-Mini-Webview");
  const std::string fault = journal_.Peek(call.uid).fault();
  if (fault == "expired") {
    co_await Refuse(call, 401, "未登录");
  } else if (fault == "captcha") {
    co_await call.Send(200, "text/html", kChallenge);
  } else if (AnonymousNow(call.uid)) {
    std::string answer = Envelope(0, "success", json::object());
    co_await call.Send(200, "application/json", std::move(answer));
  } else {
    json::object user{{"id", call.uid}, {"nickname", "simulated"}};
    json::object data;
    data["user"] = std::move(user);
    std::string answer = Envelope(0, "success", std::move(data));
    co_await call.Send(200, "application/json", std::move(answer));
  }
}

std::string Server::IssueToken(const std::string& uid) {
  journal_.Count("tokens_issued");
  const std::string inside =
      absl::StrCat(uid.empty() ? "anonymous" : uid, ":", absl::ToUnixMillis(absl::Now()), ":", NextId());
  std::string text = absl::Base64Escape(inside);
  // Every character that a URL would spoil.
  return absl::StrCat("mt+/", text, absl::EndsWith(text, "=") ? "" : "==");
}

std::string Server::TokenFault(const std::string& token, const std::string& uid, bool& first) {
  absl::string_view text = token;
  if (token.empty()) return "no token";
  if (absl::StrContains(token, ' ')) return "the token's plus became a blank";
  std::string inside;
  if (!absl::ConsumePrefix(&text, "mt+/") || !absl::Base64Unescape(absl::StripSuffix(text, "=="), &inside)) {
    if (!absl::Base64Unescape(text, &inside)) return "token invalid";
  }
  const std::vector<std::string> parts = absl::StrSplit(inside, ':');
  int64_t issued = 0;
  if (parts.size() != 3 || parts[0] != uid || !absl::SimpleAtoi(parts[1], &issued)) return "token of another login";
  if (absl::ToUnixMillis(absl::Now()) - issued > kTokenLifeMs) return "token too old";
  absl::MutexLock lock(&mutex_);
  first = token_uses_[token]++ == 0;
  return "";
}

asio::awaitable<bool> Server::RefuseByScript(Call& call, const Script& script) {
  const std::string fault = script.fault();
  if (fault == "expired") {
    co_await Refuse(call, 401, "未登录");
  } else if (fault == "code") {
    co_await Refuse(call, 5099, "系统繁忙");
  } else if (fault == "redirect") {
    co_await call.Send(302, "text/html", "");
  } else if (fault == "captcha") {
    co_await call.Send(200, "text/html", kChallenge);
  } else if (fault == "http_403") {
    co_await call.Send(403, "text/plain", "");
  } else if (fault == "http_429") {
    HttpHeaders headers{{"Content-Type", "application/json"}};
    if (!script.Text("retry_after").empty()) headers.Add("Retry-After", script.Text("retry_after"));
    co_await call.responder.Send(429, std::move(headers), "{}");
  } else if (fault == "http_500") {
    co_await call.Send(500, "text/plain", "oops");
  } else if (fault == "html") {
    co_await call.Send(404, "text/html", "<html>not here</html>");
  } else if (fault == "not_json") {
    co_await call.Send(200, "application/json", "{\"errCode\":");
  } else if (fault == "no_id") {
    json::object data;
    data["id"] = "";
    std::string answer = Envelope(0, "success", std::move(data));
    co_await call.Send(200, "application/json", std::move(answer));
  } else {
    co_return false;
  }
  co_return true;
}

asio::awaitable<bool> Server::RefuseStale(Call& call, bool first) {
  if (first || journal_.Peek(call.uid).fault() != "stale_token") co_return false;
  journal_.Take(call.uid, "");
  co_await Refuse(call, 4003, "token invalid");
  co_return true;
}

asio::awaitable<void> Server::CreateSession(Call& call) {
  const std::string question = Text(call.body, "question"), mode = Text(call.body, "mode");
  const std::string engine = Text(call.body, "engineType");
  if (call.Header("Is-Mini-Webview") != "0") {
    journal_.Violate("session: no Is-Mini-Webview");
    co_await call.Send(400, "application/json", Envelope(400, "Is-Mini-Webview"));
    co_return;
  }
  bool first = false;
  if (const std::string fault = TokenFault(call.Header("Token"), call.uid, first); !fault.empty()) {
    journal_.Violate("session: " + fault);
    co_await Refuse(call, 4003, "token invalid");
    co_return;
  }
  const bool engine_known = call.body.contains("engineType") && (engine.empty() || engine == "scholar");
  if (question.empty() || kModes.count(mode) == 0 || !engine_known || Text(call.body, "scholarSearchDomain") != "all") {
    journal_.Violate("session: a member that the platform does not know");
    co_await Refuse(call, 400, "bad request");
    co_return;
  }
  const bool stale = co_await RefuseStale(call, first);
  if (stale) co_return;
  Script script = journal_.Take(call.uid, question);
  if (script.Text("where") != "search") {
    const bool refused = co_await RefuseByScript(call, script);
    if (refused) co_return;
  }
  const std::string id = NextId();
  {
    absl::MutexLock lock(&mutex_);
    sessions_[id] = Session{call.uid, question, mode, script};
  }
  journal_.Record(json::object{{"prompt", question}, {"mode", mode}, {"engineType", engine}, {"dialect", "a"}});
  json::object data;
  data["id"] = id;
  std::string answer = Envelope(0, "success", std::move(data));
  co_await call.Send(200, "application/json", std::move(answer));
}

std::string Server::SearchFault(const Query& query, const std::string& uid, Script& script) {
  const auto value = [&](const char* name) {
    const auto found = query.find(name);
    return found == query.end() ? std::string() : found->second;
  };
  bool first = false;
  if (const std::string fault = TokenFault(value("token"), uid, first); !fault.empty()) return fault;
  const std::string id = value("sessionId");
  absl::MutexLock lock(&mutex_);
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || found->second.uid != uid) return "no such session";
  Session& session = found->second;
  if (value("question") != session.question) return "another question than the session's";
  if (value("mode") != session.mode) return "another mode than the session's";
  if (value("url") != absl::StrCat(kOrigin, "/search/", id, "?newSearch=true&q=", session.question))
    return "the url does not fit the search";
  for (const auto& [name, wanted] : Query{{"lang", "zh"},
                                          {"enableMix", "true"},
                                          {"scholarSearchDomain", "all"},
                                          {"expectedCurrentSessionSearchCount", "1"},
                                          {"is-mini-webview", "0"}}) {
    if (value(name.c_str()) != wanted) return "another " + name;
  }
  if (std::exchange(session.searched, true)) return "a second search in one session";
  script = session.script;
  return "";
}

asio::awaitable<void> Server::Search(Call& call) {
  const Query query = ParseQuery(call.request.query);
  Script script;
  std::string fault = SearchFault(query, call.uid, script);
  if (fault.empty() && call.Header("Accept") != "text/event-stream") fault = "another Accept";
  if (!fault.empty()) {
    journal_.Violate("search: " + fault);
    co_await Refuse(call, 400, fault);
    co_return;
  }
  if (script.Text("where") == "search") {
    const bool refused = co_await RefuseByScript(call, script);
    if (refused) co_return;
  }
  co_await Answer(call, script, query.at("question"), "", false, "");
}

asio::awaitable<void> Server::Chat(Call& call) {
  bool first = false;
  std::string fault = TokenFault(Text(call.body, "token"), call.uid, first);
  const json::value* messages = call.body.if_contains("messages");
  const bool one = messages != nullptr && messages->is_array() && messages->get_array().size() == 1 &&
                   messages->get_array()[0].is_object();
  const json::object message = one ? messages->get_array()[0].get_object() : json::object();
  const std::string prompt = Text(message, "content"), named = Text(call.body, "conversationId");
  if (prompt.empty() || Text(message, "markdownContent") != prompt || Text(call.body, "displayContent") != prompt)
    fault = "the question is not where it belongs";
  if (!absl::StartsWith(Text(message, "id"), "temp-") || Text(message, "id") != Text(message, "key"))
    fault = "the message's id is not its key";
  for (const char* member : {"engineType", "mode", "filter", "outputStyle"}) {
    if (!call.body.contains(member) || Text(message, member) != Text(call.body, member)) fault = member;
  }
  if (kModes.count(Text(call.body, "mode")) == 0) fault = "mode";
  const json::value* model = call.body.if_contains("model");
  if (model == nullptr) fault = "model";
  if (call.Header("metaso-pc") != "pc" || call.Header("Accept") != "text/event-stream") fault = "headers";
  if (const json::value* stream = call.body.if_contains("stream"); stream == nullptr || *stream != json::value(true))
    fault = "stream";
  if (!fault.empty()) {
    journal_.Violate("chat: " + fault);
    co_await Refuse(call, 400, fault);
    co_return;
  }
  const bool stale = co_await RefuseStale(call, first);
  if (stale) co_return;
  Script script = journal_.Take(call.uid, prompt);
  const bool refused = co_await RefuseByScript(call, script);
  if (refused) co_return;

  std::string id = named;
  const std::string answer = NextId();
  bool unknown = false;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = conversations_.find(named);
    unknown = call.body.contains("conversationId") && (found == conversations_.end() || found->second.uid != call.uid);
    if (!unknown && named.empty()) id = absl::StrCat(next_id_++);
    if (!unknown && !named.empty() && Text(call.body, "parentMessageId") != found->second.answer &&
        Text(call.body, "currentLeafId") != found->second.answer)
      unknown = true;
    if (!unknown) conversations_[id] = Conversation{call.uid, answer};
  }
  const Frames frames(script, true, answer);
  std::string opening;
  if (unknown) {
    journal_.Refuse("conversation");
    opening =
        frames.Object(json::object{{"type", "error"}, {"code", -500}, {"msg", "Unable to find ConversationEntity"}});
    script.values["fault"] = "empty";
  } else {
    const auto init = [&](const char* type, const std::string& value) {
      return frames.Object(json::object{{"type", type}, {"data", json::object{{"id", value}}}});
    };
    opening =
        init("conversation_init", id) + init("user_message_init", NextId()) + init("response_message_init", answer);
  }
  journal_.Record(json::object{{"prompt", prompt},
                               {"mode", Text(call.body, "mode")},
                               {"engineType", Text(call.body, "engineType")},
                               {"model", *model},
                               {"conversation", named},
                               {"dialect", "b"}});
  co_await Answer(call, script, prompt, opening, true, answer);
}

asio::awaitable<void> Server::Answer(Call& call, Script script, std::string prompt, std::string opening, bool chat,
                                     std::string message) {
  const Frames frames(script, chat, message);
  std::vector<std::string> pieces = TextPieces(script, prompt);
  if (script.Number("cite", 0) == 1 && !pieces.empty()) {
    pieces.insert(pieces.begin() + 1, {"[[1", "]]"});
    pieces.push_back("[[2]]");
  }
  if (script.Number("ai_label", 0) == 1) pieces.push_back("<span class=\"ai\">[AI生成]</span>");
  const bool at_once = script.fault() == "rate" || script.fault() == "quota" || script.fault() == "anonymous";
  if (script.fault() == "anonymous") {
    absl::MutexLock lock(&mutex_);
    anonymous_.insert(call.uid);
  }
  if (at_once) pieces.clear();
  if (!at_once && script.fault() != "empty") {
    if (chat) {
      for (const std::string& thought : ThoughtPieces(script)) opening += frames.Thought(thought);
    }
    opening = frames.Object(json::object{{"type", "heartbeat"}}) + opening + frames.Sources();
  }
  journal_.Begin(call.uid);
  ScriptedBody body(call.responder, script);
  HttpHeaders headers{{"Content-Type", "text/event-stream;charset=UTF-8"}};
  bool alive = co_await body.Begin(std::move(headers));
  if (alive) alive = co_await body.Write(opening);
  bool failed = false;
  for (size_t i = 0; alive && !failed && i < pieces.size(); ++i) {
    alive = co_await body.BeforePiece(i);
    failed = body.Now(script.fault(), i) && !frames.Fault(script.fault()).empty();
    std::string bytes = failed ? frames.Fault(script.fault()) : frames.Between() + frames.Text(pieces[i]);
    if (alive) alive = co_await body.Write(std::move(bytes));
  }
  if (alive && at_once) alive = co_await body.Write(frames.Fault(script.fault()));
  if (alive && !failed) alive = co_await body.BeforeEnd(pieces.size());
  std::string closing = frames.Done();
  if (!chat && !at_once && !failed)
    closing.insert(0,
                   frames.Object(json::object{{"type", "recommended-question"}, {"data", json::array{"And then?"}}}));
  if (alive) alive = co_await body.Write(std::move(closing));
  if (alive) co_await body.End();
  if (body.client_gone()) journal_.Count("client_gone");
  journal_.End(call.uid);
}

}  // namespace simulator::metaso
