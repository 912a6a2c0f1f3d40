// DeepSeek's server side, as strict as the protocol page says a simulator should be (section 10), and a ledger of
// everything a client did that the platform would not like.
//
// Faults (script: fault=NAME): cut (connection closed), reset, garbage (a frame that is no JSON), bad_utf8, oversized,
// stall, empty, content_filter, filter_early, incomplete, closed_unfinished, hint_rate, hint_length, hint_other (a word
// that nobody knows), hint_bare (no word), stream_code (an expired token), stream_unknown (a code that nobody knows),
// stream_error (no code), status=WORD; before the answer: expired, muted, banned, device, rate_code, pow, http_429
// (retry_after=N), http_500, waf_202, waf_403, html, not_json.
//
// Uploads, by plan alone: read_polls=N (questions until a file has been read; 1), read=WORD (what becomes of it).
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "boost/asio/awaitable.hpp"
#include "boost/json/value.hpp"
#include "services/common/http/http_server.h"
#include "tests/simulator/deepseek/answer.h"
#include "tests/simulator/platform.h"
#include "tests/simulator/script.h"

namespace simulator::deepseek {

class Server final : public Platform {
 public:
  struct Options {
    int64_t difficulty = 144000;
    // A token that begins with this belongs to an account; any other is unknown.
    std::string token_prefix = "sim-";
    int max_running = 1;  // generations at once on one account
  };
  explicit Server(Options options) : options_(options) {}

  /// A request under /api/v0, path as on the platform.
  boost::asio::awaitable<void> Serve(const std::string& path, switchyard::HttpServerRequest& request,
                                     switchyard::HttpResponder& responder) override;

  std::string name() const override { return "deepseek"; }
  std::string Credential(int number) const override;

  FaultsByDialect Faults() const override;
  /// Counters, open conversations and violations.
  boost::json::object State() const override;
  void Reset() override;
  /// The next `times` completions of `account` (empty: of any) follow `script`, before what their prompts say.
  void Plan(const std::string& account, Script script, int times) override;

 private:
  struct Session {
    std::string token;
    int64_t messages = 0;
    int64_t tokens = 0;
    bool running = false;
    bool stop = false;
    int64_t answer = 0;             // id of the last answer
    std::string text;               // of the last answer, as far as sent
    std::vector<std::string> rest;  // of an incomplete one
    bool incomplete = false;
    Script script;
  };
  struct Challenge {
    std::string token, salt, challenge, target_path;
    int64_t expire_at_ms = 0;
    bool used = false;
  };
  struct File {
    std::string token, name, status, end;
    size_t size = 0;
    bool image = false;
    int polls = 0;  // left
  };
  struct Planned {
    std::string account;
    Script script;
    int times = 0;
  };
  struct Call;

  boost::asio::awaitable<void> Dispatch(Call& call);
  boost::asio::awaitable<void> Complete(Call& call);
  boost::asio::awaitable<void> Continue(Call& call);
  boost::asio::awaitable<void> Upload(Call& call);
  boost::asio::awaitable<void> FetchFiles(Call& call);
  boost::asio::awaitable<bool> RefuseByScript(Call& call, const Script& script);
  boost::asio::awaitable<void> Stream(Call& call, std::string session, AnswerPlan plan, std::string opening_text,
                                      std::vector<std::string> pieces, bool continued);

  std::string CreateSession(const std::string& token);
  std::string CreateChallenge(const std::string& token, const std::string& target_path);
  bool CheckProof(const Call& call, const std::string& path);
  Script TakePlan(const std::string& token);
  Script PeekPlan(const std::string& token) const;
  static boost::json::object Describe(const std::string& id, const File& file);
  void Violate(const std::string& what);
  bool StopAsked(const std::string& session) const;
  void EndGeneration(const std::string& session, const std::string& token, const std::string& text,
                     std::vector<std::string> rest, bool incomplete);

  const Options options_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Session> sessions_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Challenge> challenges_ ABSL_GUARDED_BY(mutex_);  // by signature
  std::map<std::string, File> files_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int> running_ ABSL_GUARDED_BY(mutex_);  // by token
  std::map<std::string, int64_t> counts_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> violations_ ABSL_GUARDED_BY(mutex_);
  std::deque<Planned> planned_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> peers_ ABSL_GUARDED_BY(mutex_);     // who asked, by the turn's tag
  std::vector<boost::json::value> completions_ ABSL_GUARDED_BY(mutex_);  // bodies, the newest last
};

}  // namespace simulator::deepseek
