// A turn: the session and its search, or the chat in one call; and the answer to either.
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/simulator/metaso/call.h"
#include "tests/simulator/metaso/login.h"
#include "tests/simulator/metaso/server.h"
#include "tests/simulator/metaso/stream.h"

namespace simulator::metaso {

namespace asio = boost::asio;
namespace json = boost::json;
using switchyard::HttpHeaders;
using Query = std::map<std::string, std::string>;

namespace {

const auto& kModes = *new std::set<std::string>{"fast", "concise", "detail", "research"};

}  // namespace

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
