#include "tests/simulator/qwen/server.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "boost/json/array.hpp"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "tests/simulator/multipart.h"
#include "tests/simulator/qwen/frames.h"
#include "tests/simulator/stamp.h"

namespace simulator::qwen {

namespace asio = boost::asio;
namespace json = boost::json;
using switchyard::HttpHeaders;
using switchyard::HttpResponder;
using switchyard::HttpServerRequest;

namespace {

constexpr char kUploadToken[] = "/dialog/uploadToken";
constexpr char kDownloadLink[] = "/dialog/downloadLink";
constexpr char kDownloadLinks[] = "/dialog/downloadLink/batch";
constexpr char kSecurityResult[] = "/dialog/secResult/batch";
constexpr char kTicket[] = "simtk*";
constexpr char kRetired[] = "你正在使用较早版本，为了获得更好的对话体验，请升级至最新版。";
constexpr char kThinkingModel[] = "Qwen3-Max-Thinking-Preview";
const char* const kModels[] = {"",          "Qwen",         "Qwen3-Max",    kThinkingModel, "Qwen3-Flash",
                               "Qwen-Long", "Qwen3.5-Plus", "Qwen3.6-Plus", "Qwen3-Coder",  "Qwen-VL-Max"};

std::string CookieValue(absl::string_view header, absl::string_view name) {
  for (absl::string_view pair : absl::StrSplit(header, "; ")) {
    if (absl::ConsumePrefix(&pair, name) && absl::ConsumePrefix(&pair, "=")) return std::string(pair);
  }
  return "";
}

std::string Decoded(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size() &&
                        absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 1])) &&
                        absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 2]));
    out += escape ? static_cast<char>(std::strtol(text.substr(i + 1, 2).c_str(), nullptr, 16)) : text[i];
    if (escape) i += 2;
  }
  return out;
}

std::string Xsrf(int number) { return absl::StrFormat("x%04d%%2Bsim%%3D", number); }

/// "" unless the ticket is one that Credential() gives.
std::string AccountOf(const std::string& ticket) {
  absl::string_view rest = ticket;
  if (!absl::ConsumePrefix(&rest, kTicket) || rest.size() < 4) return "";
  const int number = std::atoi(std::string(rest.substr(0, 4)).c_str());
  return number > 0 && ticket == absl::StrFormat("%s%04d_ABCdef", kTicket, number) ? absl::StrCat("qwen-", number) : "";
}

std::string Envelope(int status, const std::string& code, const std::string& said, json::value data = nullptr) {
  json::object out;
  out["data"] = std::move(data);
  out["errorCode"] = code.empty() ? json::value(nullptr) : json::value(code);
  out["errorMsg"] = said;
  out["failed"] = !code.empty();
  out["httpCode"] = status;
  out["success"] = code.empty();
  out["traceId"] = "0a1b2c3d4e5f";
  return json::serialize(out);
}

bool IsHex32(const std::string& text) {
  return text.size() == 32 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

std::string Text(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string().c_str(), value->get_string().size())
                                                : std::string();
}

}  // namespace

struct Server::Call {
  HttpServerRequest& request;
  HttpResponder& responder;
  std::string path;
  std::string account;
  json::object body;

  asio::awaitable<void> Send(int status, std::string type, std::string text) {
    HttpHeaders headers{{"Content-Type", type}};
    co_await responder.Send(status, std::move(headers), std::move(text));
  }
  asio::awaitable<void> Frame(std::string bytes) {
    co_await Send(200, "text/event-stream;charset=UTF-8", std::move(bytes));
  }
};

FaultsByDialect Server::Faults() const {
  const std::set<std::string> both = {
      "cut",          "reset",        "stall",    "garbage",  "bad_utf8", "oversized", "empty",    "content_filter",
      "filter_early", "error",        "ticket",   "http_401", "http_403", "http_429",  "http_500", "html",
      "captcha",      "captcha_html", "redirect", "not_json", "gateway"};
  std::set<std::string> older = both;
  older.insert({"rate", "expired", "retired"});
  return {{"a", older}, {"b", both}};
}

std::string Server::Credential(int number) const {
  return absl::StrCat("UM_distinctid=sim; tongyi_sso_ticket=", absl::StrFormat("%s%04d_ABCdef", kTicket, number),
                      "; XSRF-TOKEN=", Xsrf(number), "; cna=Sim9");
}

void Server::Reset() {
  journal_.Reset();
  absl::MutexLock lock(&mutex_);
  sessions_.clear();
  leaves_.clear();
  objects_.clear();
  request_ids_.clear();
  xsrf_.clear();
}

std::string Server::NextId() {
  absl::MutexLock lock(&mutex_);
  return absl::StrFormat("%032x", next_id_++);
}

std::string Server::HeaderFault(const Call& call) const {
  for (const char* name : {"User-Agent", "Content-Type", "Accept", "X-Platform", "Origin", "Referer"}) {
    if (call.request.headers.Get(name).empty()) return absl::StrCat("no ", name);
  }
  for (auto field = call.request.headers.begin(); field != call.request.headers.end(); ++field) {
    const auto same = [&](const auto& other) { return absl::EqualsIgnoreCase(other.first, field->first); };
    if (std::any_of(std::next(field), call.request.headers.end(), same)) return absl::StrCat("twice: ", field->first);
  }
  if (call.request.headers.Get("X-Platform") != "pc_tongyi") return "another X-Platform";
  if (call.request.headers.Get("Origin") != "https://www.qianwen.com") return "another Origin";
  if (call.request.headers.Get("Referer") != "https://www.qianwen.com/") return "another Referer";
  const bool stream = call.request.headers.Get("Accept") == "text/event-stream";
  if (stream != (call.path == "/dialog/conversation" || call.path == "/api/v2/chat")) return "the wrong Accept";
  return absl::StartsWith(call.request.headers.Get("Content-Type"), "application/json") ? "" : "the wrong Content-Type";
}

std::string Server::XsrfFault(const Call& call) {
  const std::string cookie = CookieValue(call.request.headers.Get("Cookie"), "XSRF-TOKEN");
  if (!cookie.empty() && call.request.headers.Get("X-Xsrf-Token") != Decoded(cookie)) return "XSRF header and cookie";
  absl::MutexLock lock(&mutex_);
  const auto replaced = xsrf_.find(call.account);
  return replaced != xsrf_.end() && replaced->second != cookie ? "an XSRF token that was replaced" : "";
}

asio::awaitable<void> Server::Serve(const std::string& path, HttpServerRequest& request, HttpResponder& responder) {
  Call call{request, responder, path, "", {}};
  journal_.Count("requests");
  journal_.Count(path);
  if (path == "/oss/") {
    co_await Store(call);
    co_return;
  }
  const bool known = path == "/dialog/conversation" || path == "/dialog/session/delete" ||
                     path == "/dialog/session/list" || path == kUploadToken || path == kDownloadLink ||
                     path == kDownloadLinks || path == kSecurityResult;
  const bool newer = path == "/api/v2/chat" || path == "/api/v1/session/delete/batch";
  if (!(known || newer) || request.method != "POST" || request.query.empty() == newer) {
    journal_.Violate(absl::StrCat("unknown call ", request.method, " ", path));
    co_await call.Send(404, "application/json", Envelope(404, "NOT_FOUND", "no such call"));
    co_return;
  }
  if (const std::string fault = HeaderFault(call); !fault.empty()) {
    journal_.Violate(absl::StrCat(path, ": ", fault));
    co_await call.Send(400, "application/json", Envelope(400, "BAD_REQUEST", fault));
    co_return;
  }
  call.account = AccountOf(CookieValue(request.headers.Get("Cookie"), "tongyi_sso_ticket"));
  if (call.account.empty()) {
    journal_.Refuse("ticket");
    co_await call.Send(401, "application/json", Envelope(401, "LOGIN_TICKET_INVALID", "未登录"));
    co_return;
  }
  if (const std::string fault = XsrfFault(call); !fault.empty()) {
    journal_.Violate(absl::StrCat(path, ": ", fault));
    co_await call.Send(403, "application/json", Envelope(403, "CSRF_INVALID", fault));
    co_return;
  }
  json::error_code error;
  json::value body = json::parse(request.body, error);
  if (error || !body.is_object()) {
    journal_.Violate(path + ": the body is no JSON object");
    co_await call.Send(400, "application/json", Envelope(400, "BAD_REQUEST", "body"));
    co_return;
  }
  call.body = std::move(body.get_object());
  if (path == "/dialog/conversation") {
    co_await Converse(call);
  } else if (path == "/api/v2/chat") {
    co_await Chat2(call);
  } else if (path == "/api/v1/session/delete/batch") {
    co_await DeleteBatch(call);
  } else if (path == kUploadToken) {
    co_await UploadToken(call);
  } else if (path == kDownloadLink || path == kDownloadLinks) {
    co_await Link(call);
  } else if (path == kSecurityResult) {
    co_await LookThrough(call);
  } else if (path == "/dialog/session/list") {
    co_await List(call);
  } else {
    co_await Delete(call);
  }
}

asio::awaitable<void> Server::UploadToken(Call& call) {
  if (!call.body.empty()) journal_.Violate("uploadToken: a body that is not empty");
  const std::string dir = "dialog/" + NextId() + "/";
  {
    absl::MutexLock lock(&mutex_);
    leaves_[dir] = call.account;
  }
  json::object data{
      {"accessId", "id-" + dir}, {"policy", "policy-" + dir}, {"signature", "signature-" + dir}, {"dir", dir}};
  co_await call.Send(200, "application/json", Envelope(200, "", "", std::move(data)));
}

/// The object store: a house of its own, that knows leave and no cookie.
asio::awaitable<void> Server::Store(Call& call) {
  std::string why;
  const std::vector<FormPart> form = ReadForm(call.request, why);
  const char* const names[] = {"OSSAccessKeyId", "policy", "signature", "key", "dir", "success_action_status", "file"};
  if (why.empty() && form.size() != std::size(names)) why = "the number of fields";
  for (size_t i = 0; why.empty() && i < std::size(names); ++i) {
    if (form[i].name != names[i] || form[i].is_file != (i + 1 == std::size(names))) why = names[i];
  }
  if (call.request.headers.Find("Cookie")) why = "a cookie that is none of its business";
  if (call.request.headers.Get("X-Requested-With") != "XMLHttpRequest") why = "X-Requested-With";
  if (why.empty()) why = FileFault(form.back());
  if (why.empty()) {
    const std::string& dir = form[4].bytes;
    absl::MutexLock lock(&mutex_);
    const auto leave = leaves_.find(dir);
    if (leave == leaves_.end() || form[0].bytes != "id-" + dir || form[1].bytes != "policy-" + dir ||
        form[2].bytes != "signature-" + dir || form[3].bytes != dir + form[6].filename || form[5].bytes != "200") {
      why = "leave";
    } else {
      Object& object = objects_[form[3].bytes];
      object.account = leave->second;
      object.type = form[6].type;
      object.size = static_cast<int64_t>(form[6].bytes.size());
    }
  }
  if (!why.empty()) journal_.Violate("object store: " + why);
  co_await call.Send(why.empty() ? 200 : 403, "application/xml", why.empty() ? "" : "<Error/>");
}

asio::awaitable<void> Server::Link(Call& call) {
  const bool image = call.path == kDownloadLink;
  std::string name = Text(call.body, "fileKey");
  if (const json::value* names = call.body.if_contains("fileKeys");
      !image && names != nullptr && names->is_array() && names->get_array().size() == 1)
    name = names->get_array()[0].as_string().c_str();
  const Script script = journal_.Peek(call.account);
  const std::string url = "https://objects.example/" + NextId();
  bool good = Text(call.body, "fileType") == (image ? "image" : "file");
  {
    absl::MutexLock lock(&mutex_);
    const auto object = objects_.find(Text(call.body, "dir") + name);
    good = good && object != objects_.end() && object->second.account == call.account &&
           IsImageType(object->second.type) == image;
    if (good) {
      object->second.url = url;
      object->second.polls = script.Number("look_polls", 1);
    }
  }
  if (!good) journal_.Violate(call.path + ": no such object");
  json::object data;
  if (image) {
    data["url"] = good ? url : "";
  } else {
    json::object result;
    result[good ? "url" : "errorMsg"] = good ? url : "no such object";
    data["results"] = json::array{json::value(std::move(result))};
  }
  co_await call.Send(200, "application/json", Envelope(200, "", "", std::move(data)));
}

asio::awaitable<void> Server::LookThrough(Call& call) {
  const json::value* urls = call.body.if_contains("urls");
  const std::string url = urls != nullptr && urls->is_array() && urls->get_array().size() == 1
                              ? std::string(urls->get_array()[0].as_string().c_str())
                              : std::string();
  const bool fails = journal_.Peek(call.account).Text("look") == "fail";
  if (fails) journal_.Take(call.account, "");
  bool known = false, end = false;
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [key, object] : objects_) {
      if (url.empty() || object.url != url || object.account != call.account) continue;
      known = true;
      end = --object.polls <= 0;
      object.looked_through = end && !fails;
    }
  }
  if (!known) journal_.Violate("a question about a document that does not exist");
  json::object status;
  status["status"] = fails ? 0 : 1;
  status["errorMsg"] = fails ? "unsafe" : "";
  json::object data;
  data["pollEndFlag"] = end;
  data["statusList"] = json::array{json::value(std::move(status))};
  co_await call.Send(200, "application/json", Envelope(200, "", "", std::move(data)));
}

std::string Server::ObjectsFault(const Call& call) {
  const json::array& contents = call.body.at("contents").as_array();
  const json::value* params = call.body.if_contains("params");
  if ((contents.size() > 1) != (params != nullptr)) return "params";
  if (params != nullptr && (!params->is_object() || Text(params->get_object(), "fileUploadBatchId").size() != 36))
    return "params.fileUploadBatchId";
  absl::MutexLock lock(&mutex_);
  for (size_t i = 1; i < contents.size(); ++i) {
    const json::object* item = contents[i].if_object();
    if (item == nullptr || Text(*item, "role") != "user") return "role";
    const bool image = Text(*item, "contentType") == "image";
    if (!image && Text(*item, "contentType") != "file") return "contentType";
    bool good = false;
    for (const auto& [key, object] : objects_) {
      if (object.url != Text(*item, "content") || object.account != call.account) continue;
      good = image ? IsImageType(object.type) && !item->contains("ext")
                   : object.looked_through && item->contains("ext") &&
                         item->at("ext") == json::value(json::object{{"fileSize", object.size}});
    }
    if (!good) return "an object that is not there or not as it is described";
  }
  return "";
}

asio::awaitable<void> Server::List(Call& call) {
  const std::string fault = journal_.Peek(call.account).fault();
  if (fault == "expired" || fault == "ticket") {
    journal_.Refuse("expired");
    co_await call.Send(200, "application/json", Envelope(401, "NOT_LOGIN", "未登录"));
    co_return;
  }
  co_await call.Send(200, "application/json", Envelope(200, "", "", json::array()));
}

asio::awaitable<void> Server::Delete(Call& call) {
  const std::string session = Text(call.body, "sessionId");
  bool known = false;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = sessions_.find(session);
    known = found != sessions_.end() && found->second.account == call.account;
    if (known) sessions_.erase(found);
  }
  if (!known) {
    journal_.Violate("a session deleted that does not exist");
    co_await call.Send(200, "application/json", Envelope(200, "SESSION_NO_EXIST", "会话不存在"));
    co_return;
  }
  journal_.Closed(session);
  journal_.Count("deleted");
  co_await call.Send(200, "application/json", Envelope(200, "", "", true));
}

std::string Server::BodyFault(const json::object& body) {
  for (const char* name :
       {"action", "mode", "userAction", "requestId", "sessionId", "sessionType", "parentMsgId", "model"}) {
    const json::value* value = body.if_contains(name);
    if (value == nullptr || !value->is_string()) return name;
  }
  if (Text(body, "action") != "next" || Text(body, "mode") != "chat" || Text(body, "userAction") != "chat" ||
      Text(body, "sessionType") != "text_chat")
    return "another kind of action";
  const std::string model = Text(body, "model");
  if (std::find(std::begin(kModels), std::end(kModels), model) == std::end(kModels)) return "model " + model;
  const json::value* contents = body.if_contains("contents");
  if (contents == nullptr || !contents->is_array() || contents->get_array().empty()) return "contents";
  const json::object* first = contents->get_array()[0].if_object();
  if (first == nullptr || Text(*first, "contentType") != "text" || Text(*first, "role") != "user" ||
      Text(*first, "content").empty())
    return "contents[0]";
  const std::string id = Text(body, "requestId");
  if (!IsHex32(id)) return "requestId";
  absl::MutexLock lock(&mutex_);
  return request_ids_.insert(id).second ? "" : "a requestId that was used before";
}

asio::awaitable<bool> Server::RefuseByScript(Call& call, const Script& script) {
  const std::string fault = script.fault();
  const std::string json_type = "application/json";
  if (fault == "expired") {
    const Frames frames(script, "", "", "");
    co_await call.Frame(frames.Error("NOT_LOGIN", "未登录"));
  } else if (fault == "rate") {
    const Frames frames(script, "", "", "");
    co_await call.Frame(frames.Error("RateLimited", "请求过于频繁"));
  } else if (fault == "ticket") {
    co_await call.Send(401, json_type, Envelope(401, "LOGIN TICKET INVALID", "未登录"));
  } else if (fault == "gateway") {
    co_await call.Send(404, "text/plain", "404");
  } else if (fault == "http_401") {
    co_await call.Send(401, "text/plain", "");
  } else if (fault == "http_403") {
    co_await call.Send(403, json_type, Envelope(403, "FORBIDDEN", "forbidden"));
  } else if (fault == "http_429") {
    HttpHeaders headers{{"Content-Type", json_type}};
    if (!script.Text("retry_after").empty()) headers.Add("Retry-After", script.Text("retry_after"));
    co_await call.responder.Send(429, std::move(headers), "{}");
  } else if (fault == "http_500") {
    co_await call.Send(500, "text/plain", "oops");
  } else if (fault == "html") {
    co_await call.Send(200, "text/html", "<html>login</html>");
  } else if (fault == "captcha") {
    co_await call.Send(200, json_type,
                       R"({"ret":["FAIL_SYS_USER_VALIDATE","RGV587_ERROR::SM::busy"],"data":{"url":"https://x"}})");
  } else if (fault == "captcha_html") {
    co_await call.Send(200, "text/html", "<html><script>var aliyun_waf=1</script></html>");
  } else if (fault == "redirect") {
    HttpHeaders headers{{"Location", "https://passport.qianwen.com/login"}};
    co_await call.responder.Send(302, std::move(headers), "");
  } else if (fault == "not_json") {
    co_await call.Send(200, json_type, "{\"success\":");
  } else {
    co_return false;
  }
  journal_.Refuse(fault);
  co_return true;
}

asio::awaitable<void> Server::Converse(Call& call) {
  std::string fault = BodyFault(call.body);
  if (fault.empty()) fault = ObjectsFault(call);
  if (!fault.empty()) {
    journal_.Violate("conversation: " + fault);
    co_await call.Send(400, "application/json", Envelope(400, "BAD_REQUEST", fault));
    co_return;
  }
  const std::string prompt = Text(call.body.at("contents").as_array()[0].as_object(), "content");
  json::object record{{"prompt", prompt}, {"dialect", "a"}};
  for (const char* name : {"model", "sessionId", "parentMsgId"}) record[name] = Text(call.body, name);
  record["contents"] = call.body.at("contents").as_array().size();
  journal_.Record(json::value(std::move(record)));
  const Script script = journal_.Take(call.account, prompt);
  const bool refused = co_await RefuseByScript(call, script);
  if (refused) co_return;

  std::string session = Text(call.body, "sessionId");
  const std::string parent = Text(call.body, "parentMsgId");
  const std::string message = NextId();
  const bool fresh = session.empty();
  if (fresh) session = NextId();
  bool fits = false;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = sessions_.find(session);
    fits = fresh ? parent == "0" || parent.empty()
                 : found != sessions_.end() && found->second.account == call.account && found->second.last == parent;
    if (fits) sessions_[session] = {call.account, message};
  }
  if (!fits) {
    journal_.Violate("a turn in a session that is not there, or behind another message");
    const Frames frames(script, "", "", "");
    co_await call.Frame(frames.Error("SESSION_NO_EXIST", "会话不存在"));
    co_return;
  }
  if (fresh) journal_.Opened(session);
  journal_.Begin(call.account);
  co_await Stream(call, script, session, message, prompt);
  journal_.End(call.account);
}

asio::awaitable<void> Server::Stream(Call& call, const Script& script, std::string session, std::string message,
                                     std::string prompt) {
  const Frames frames(script, session, message, NextId());
  const std::string fault = script.fault();
  std::vector<std::string> pieces = TextPieces(script, prompt);
  if (fault == "retired") pieces = {std::string(kRetired, 30), std::string(kRetired + 30)};
  std::vector<std::string> thoughts;
  if (Text(call.body, "model") == kThinkingModel && fault != "retired") thoughts = ThoughtPieces(script);
  HttpHeaders headers{{"Content-Type", "text/event-stream;charset=UTF-8"}};
  if (script.Text("xsrf") == "new") {
    const std::string token = absl::StrCat("new", message.substr(24), "%2B");
    headers.Add("Set-Cookie", absl::StrCat("XSRF-TOKEN=", token, "; Path=/; Secure"));
    absl::MutexLock lock(&mutex_);
    xsrf_[call.account] = token;
  }
  ScriptedBody body(call.responder, script);
  bool alive = co_await body.Begin(std::move(headers));
  std::string text, thought;
  if (alive && script.Number("placeholder", 1) == 1) alive = co_await body.Write(frames.Running("Thinking", ""));
  for (size_t i = 0; alive && i < thoughts.size(); ++i) {
    thought += thoughts[i];
    alive = co_await body.Write(frames.Between() + frames.Running("Thinking", thought));
  }
  bool filtered = fault == "filter_early";
  for (size_t i = 0; alive && !filtered && i <= pieces.size(); ++i) {
    std::string out = frames.Between();
    if (body.Now("content_filter", i)) {
      filtered = true;
      break;
    }
    if (body.Now("garbage", i)) out += frames.Raw("{\"contents\":[") + frames.Raw("<nothing>");
    if (body.Now("bad_utf8", i)) out += frames.Raw("{\"msgStatus\":\"generating\",\"contents\":[],\"x\":\"\xFF\xFE\"}");
    if (body.Now("oversized", i)) out += frames.Raw("{\"x\":\"" + std::string(2 * 1024 * 1024, 'x') + "\"}");
    if (body.Now("error", i)) out += frames.Error("SYSTEM_BUSY", "系统繁忙");
    if (i == pieces.size()) {
      alive = co_await body.BeforeEnd(i);
      if (alive && !out.empty()) alive = co_await body.Write(std::move(out));
      break;
    }
    alive = co_await body.BeforePiece(i);
    if (!alive) break;
    if (script.Number("stamp", 0) == 1) pieces[i] = Stamp();
    if (script.Number("shrink", 0) == 1 && i == 1) out += frames.Running("", thought);
    text += pieces[i];
    if (script.Number("half", 0) == 1 && i + 1 < pieces.size()) {
      out += frames.Running(text + "\xEF\xBF\xBD", thought);
    } else if (script.Number("incremental", 0) == 1) {
      out += frames.Delta(pieces[i]);
    } else {
      out += frames.Running(text, thought);
    }
    alive = co_await body.Write(std::move(out));
  }
  if (alive) alive = co_await body.Write(frames.Last(text, thought, !filtered) + frames.Done());
  if (alive) co_await body.End();
  if (body.client_gone()) journal_.Count("client_gone");
}

namespace {

std::string QueryValue(const std::string& query, absl::string_view name) {
  for (absl::string_view pair : absl::StrSplit(query, '&')) {
    if (absl::ConsumePrefix(&pair, name) && absl::ConsumePrefix(&pair, "=")) return std::string(pair);
  }
  return "";
}

std::string Chat2Fault(const HttpServerRequest& request, const json::object& body) {
  const std::string device = QueryValue(request.query, "ut");
  if (device.size() != 36 || request.headers.Get("X-DeviceId") != device) return "device";
  for (const char* pair : {"biz_id=ai_qwen", "chat_client=h5", "device=pc", "fr=pc", "pr=qwen"}) {
    if (!absl::StrContains(absl::StrCat("&", request.query, "&"), absl::StrCat("&", pair, "&"))) return pair;
  }
  const std::string nonce = QueryValue(request.query, "nonce");
  if (nonce.size() < 8 || nonce.size() > 12 || QueryValue(request.query, "timestamp").size() != 13) return "nonce";
  if (!IsHex32(Text(body, "req_id")) || !IsHex32(Text(body, "session_id"))) return "ids";
  for (const auto& [name, value] :
       {std::pair{"parent_req_id", "0"}, std::pair{"scene_param", "first_turn"}, std::pair{"scene", "chat"},
        std::pair{"sub_scene", "chat"}, std::pair{"from", "default"}, std::pair{"chat_client", "h5"},
        std::pair{"protocol_version", "v2"}, std::pair{"biz_id", "ai_qwen"}}) {
    if (Text(body, name) != value) return name;
  }
  const std::string model = Text(body, "model");
  if (std::find(std::begin(kModels), std::end(kModels), model) == std::end(kModels)) return "model " + model;
  const json::value* messages = body.if_contains("messages");
  if (messages == nullptr || !messages->is_array() || messages->get_array().size() != 1) return "messages";
  const json::object* message = messages->get_array()[0].if_object();
  return message == nullptr || Text(*message, "content").empty() || Text(*message, "mime_type") != "text/plain"
             ? "messages[0]"
             : "";
}

}  // namespace

asio::awaitable<void> Server::DeleteBatch(Call& call) {
  const json::value* ids = call.body.if_contains("session_ids");
  const bool shaped = ids != nullptr && ids->is_array() && ids->get_array().size() == 1;
  if (!shaped) journal_.Violate("a deletion of nothing");
  // A session that was refused before it began may be deleted, too.
  if (shaped) journal_.Closed(std::string(ids->get_array()[0].as_string().c_str()));
  journal_.Count("deleted");
  co_await call.Send(200, "application/json", R"({"success":true,"code":0,"msg":""})");
}

asio::awaitable<void> Server::Chat2(Call& call) {
  std::string fault = Chat2Fault(call.request, call.body);
  const std::string id = Text(call.body, "req_id");
  {
    absl::MutexLock lock(&mutex_);
    if (fault.empty() && !request_ids_.insert(id).second) fault = "a req_id that was used before";
  }
  if (!fault.empty()) {
    journal_.Violate("chat: " + fault);
    co_await call.Send(400, "application/json", Envelope(400, "BAD_REQUEST", fault));
    co_return;
  }
  const std::string prompt = Text(call.body.at("messages").as_array()[0].as_object(), "content");
  json::object record{{"prompt", prompt}, {"dialect", "b"}};
  for (const char* name : {"model", "deep_search"}) record[name] = Text(call.body, name);
  journal_.Record(json::value(std::move(record)));
  const Script script = journal_.Take(call.account, prompt);
  const bool refused = co_await RefuseByScript(call, script);
  if (refused) co_return;
  const std::string session = Text(call.body, "session_id");
  journal_.Opened(session);
  journal_.Begin(call.account);
  co_await Chat2Stream(call, script, session, prompt);
  journal_.End(call.account);
}

asio::awaitable<void> Server::Chat2Stream(Call& call, const Script& script, std::string session, std::string prompt) {
  const bool newest = script.Text("parts") == "new";
  const std::string id = Text(call.body, "req_id");
  int64_t number = 0;
  const auto frame = [&](const std::string& text, const std::string& thought, bool blocked) {
    json::object load{{"type", newest ? "bar_thinking" : "deep_think"}};
    load["content"] = json::object{{newest ? "body" : "think_content", thought}};
    json::object meta{{"multi_load", json::array{std::move(load)}}};
    json::array parts;
    json::object answer{{"mime_type", "multi_load/iframe"}, {"status", "processing"}};
    if (newest) {
      parts.push_back(json::object{{"mime_type", "bar/workflow"}, {"meta_data", std::move(meta)}});
      json::object own{{"content", text}};
      answer["meta_data"] = json::object{{"multi_load", json::array{std::move(own)}}};
    } else {
      answer["content"] = thought.empty() ? text : "[(deep_think)]" + text;
      answer["meta_data"] = std::move(meta);
    }
    parts.push_back(std::move(answer));
    json::object data{{"messages", std::move(parts)}, {"status", "processing"}};
    json::object out{{"success", true}, {"error_code", 0}};
    out["communication"] = json::object{{"reqid", id}, {"resid", number++}, {"sessionid", session}};
    out["data"] = std::move(data);
    if (blocked) out["audit_info"] = json::object{{"problem_code", "blocked"}};
    return "event:message\ndata:" + json::serialize(out) + "\n\n";
  };
  std::vector<std::string> pieces = TextPieces(script, prompt);
  std::vector<std::string> thoughts;
  if (Text(call.body, "model") == kThinkingModel) thoughts = ThoughtPieces(script);
  HttpHeaders headers{{"Content-Type", "text/event-stream;charset=UTF-8"}};
  ScriptedBody body(call.responder, script);
  bool alive = co_await body.Begin(std::move(headers));
  std::string text, thought;
  for (size_t i = 0; alive && i < thoughts.size(); ++i) {
    thought += thoughts[i];
    alive = co_await body.Write(frame("", thought, false));
  }
  bool filtered = script.fault() == "filter_early";
  for (size_t i = 0; alive && !filtered && i < pieces.size(); ++i) {
    alive = co_await body.BeforePiece(i);
    filtered = body.Now("content_filter", i);
    if (!alive || filtered) break;
    text += pieces[i];
    std::string out = frame(text, thought, false);
    if (body.Now("garbage", i)) out = "event:message\ndata:{\"data\":\n\nevent:message\ndata:<nothing>\n\n";
    if (body.Now("bad_utf8", i)) out += "event:message\ndata:{\"success\":true,\"x\":\"\xFF\xFE\"}\n\n";
    if (body.Now("oversized", i)) out = "event:message\ndata:{\"x\":\"" + std::string(2 * 1024 * 1024, 'x') + "\"}\n\n";
    if (body.Now("error", i))
      out = "event:message\ndata:{\"success\":false,\"error_code\":599,\"error_msg\":\"something new\"}\n\n";
    alive = co_await body.Write(std::move(out));
  }
  if (alive && !filtered) alive = co_await body.BeforeEnd(pieces.size());
  std::string end = filtered ? frame(text, thought, true)
                    : newest ? std::string("event:message\ndata:{\"data\":{\"sse_end\":\"1\"},\"success\":true}\n\n")
                             : std::string("event:complete\ndata:true\n\n");
  if (alive) alive = co_await body.Write(std::move(end));
  if (alive) co_await body.End();
  if (body.client_gone()) journal_.Count("client_gone");
}

}  // namespace simulator::qwen
