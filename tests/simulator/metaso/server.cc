#include "tests/simulator/metaso/server.h"

#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "boost/json/parse.hpp"
#include "tests/simulator/metaso/call.h"
#include "tests/simulator/metaso/login.h"

namespace simulator::metaso {

namespace asio = boost::asio;
namespace json = boost::json;
using switchyard::HttpHeaders;
using switchyard::HttpResponder;
using switchyard::HttpServerRequest;

namespace {

constexpr int64_t kTokenLifeMs = 30 * 60 * 1000;
constexpr char kChallenge[] =
    "<!doctype html><html><body><div id=\"nc_1_slider\">Please slide to verify: captcha</div></body></html>";

}  // namespace

FaultsByDialect Server::Faults() const {
  const std::set<std::string> both = {
      "cut",         "reset",         "stall",     "empty",    "garbage",  "bad_utf8",  "oversized", "error",
      "word",        "error_unknown", "envelope",  "rate",     "quota",    "anonymous", "expired",   "code",
      "redirect",    "captcha",       "http_403",  "http_429", "http_500", "html",      "not_json",  "no_id",
      "stale_token", "page_captcha",  "page_bare", "page_429", "page_500"};
  return {{"a", both}, {"b", both}};
}

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

}  // namespace simulator::metaso
