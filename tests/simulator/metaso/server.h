// Metaso's server side, as strict as the protocol page says a simulator should be (section 3.5), for both dialects: the
// session with its search, and the chat in one call.
//
// Knobs (script): cite=1 (marks "[[1]]" in the text, the first split over two events), ai_label=1 (the site's label
// behind the text), space=1 ("data: "), crlf=1, comments=1 (heartbeats, comments and empty events between the events).
//
// Faults (script: fault=NAME): in the stream cut, reset, stall, empty, garbage, bad_utf8, oversized, error (an error
// event), error_unknown (one of a code that nobody knows), word (a word in brackets that nobody knows), envelope (an
// envelope as an event), rate, quota, anonymous (rate, and my-info knows nobody); in place of it, at the session or,
// with where=search, at the search: expired, code (an unknown error), redirect, captcha (HTTP 200), http_403, http_429,
// http_500, html, not_json, no_id; stale_token (a page's token that was used before is refused); by plan alone, in
// place of the page: page_captcha, page_bare (no token in it), page_429, page_500.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "boost/asio/awaitable.hpp"
#include "boost/json/object.hpp"
#include "services/common/http/http_server.h"
#include "tests/simulator/platform.h"
#include "tests/simulator/script.h"

namespace simulator::metaso {

class Server final : public Platform {
 public:
  std::string name() const override { return "metaso"; }
  /// "uid-sid"; the platform knows every account that this gives.
  std::string Credential(int number) const override;
  boost::asio::awaitable<void> Serve(const std::string& path, switchyard::HttpServerRequest& request,
                                     switchyard::HttpResponder& responder) override;
  FaultsByDialect Faults() const override;
  boost::json::object State() const override { return journal_.State(); }
  void Reset() override;
  void Plan(const std::string& account, Script script, int times) override { journal_.Plan(account, script, times); }

 private:
  struct Session {
    std::string uid, question, mode;
    Script script;
    bool searched = false;
  };
  struct Conversation {
    std::string uid;
    std::string answer;  // id of the last one
  };
  struct Call;

  boost::asio::awaitable<void> Page(Call& call);
  boost::asio::awaitable<void> MyInfo(Call& call);
  boost::asio::awaitable<void> CreateSession(Call& call);
  boost::asio::awaitable<void> Search(Call& call);
  boost::asio::awaitable<void> Chat(Call& call);
  boost::asio::awaitable<void> Answer(Call& call, Script script, std::string prompt, std::string opening, bool chat,
                                      std::string message);
  boost::asio::awaitable<bool> RefuseStale(Call& call, bool first);
  boost::asio::awaitable<bool> RefuseByScript(Call& call, const Script& script);
  boost::asio::awaitable<void> Refuse(Call& call, int64_t code, std::string why);

  std::string IssueToken(const std::string& uid);
  /// "" or what is wrong with it. @param first whether it was never used before
  std::string TokenFault(const std::string& token, const std::string& uid, bool& first);
  std::string SearchFault(const std::map<std::string, std::string>& query, const std::string& uid, Script& script);
  std::string NextId();
  bool AnonymousNow(const std::string& uid);

  Journal journal_;
  absl::Mutex mutex_;
  int64_t next_id_ ABSL_GUARDED_BY(mutex_) = 8700000000000000100;
  std::map<std::string, Session> sessions_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Conversation> conversations_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int> token_uses_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> anonymous_ ABSL_GUARDED_BY(mutex_);  // logins that the platform has silently forgotten
};

}  // namespace simulator::metaso
