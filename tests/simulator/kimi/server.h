// Kimi's server side, as strict as the protocol notes' section 10 says.
//
// Knobs (script): pauses and pieces as everywhere; compress=1 (gzip frames, announced), compress=2 (not announced),
// snapshots=1 (growing `set` snapshots), blocks=1 (several text blocks), route=flags | stage (the older forms of
// thinking), end=close (no end frame behind `done`), comments=1 (heartbeats between the events), streams=N (how many an
// account may have at once); by plan: token_life=N (seconds, of the access tokens that are issued), rotation=strict (a
// refresh token is good once), which stays.
//
// The same chat is served on a WebSocket, too: the token in the handshake, one envelope in the first message, whatever
// would be a write of the body as a message. There, compress=N, and what refuses by HTTP status, go by plan alone, and
// happen at the handshake.
//
// Faults: in the stream cut, reset, stall, empty, garbage (an unknown flag), not_json, bad_utf8, oversized (a length),
// late_error (behind `done`), content_filter (an exception behind the first pieces), filter_early; in place of it
// expired, banned, forbidden, rate, quota, error, no_form, not_found; http_429, http_500, html, captcha; of a WebSocket
// close (code=N). Of an upload, by plan alone, upload_refused and upload_quota. Of the exchange of tokens, by plan:
// refresh_401, refresh_stall and refresh_cut (behind the rotation).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "tests/simulator/kimi/token.h"
#include "tests/simulator/platform.h"

namespace simulator::kimi {

class Server final : public Platform {
 public:
  std::string name() const override { return "kimi"; }
  /// A refresh token.
  std::string Credential(int number) const override;
  boost::asio::awaitable<void> Serve(const std::string& path, switchyard::HttpServerRequest& request,
                                     switchyard::HttpResponder& responder) override;
  FaultsByDialect Faults() const override {
    return {{"connect", {"cut",      "reset",     "stall",      "empty",          "garbage",      "not_json",
                         "bad_utf8", "oversized", "late_error", "content_filter", "filter_early", "expired",
                         "banned",   "forbidden", "rate",       "quota",          "error",        "no_form",
                         "http_429", "http_500",  "html",       "captcha",        "refresh_401",  "not_found"}},
            {"websocket", {"close"}},
            {"exchange", {"refresh_stall", "refresh_cut"}},
            {"uploads", {"upload_refused", "upload_quota"}}};
  }
  boost::json::object State() const override { return journal_.State(); }
  void Reset() override;
  void Plan(const std::string& account, Script script, int times) override;

 private:
  struct Conversation {
    std::string account;
    std::string last_answer;
  };
  struct Call;

  boost::asio::awaitable<void> Refresh(Call& call);
  boost::asio::awaitable<void> Upload(Call& call);
  boost::asio::awaitable<void> Delete(Call& call);
  boost::asio::awaitable<void> Chat(Call& call);
  boost::asio::awaitable<void> ChatBySocket(Call& call);
  boost::asio::awaitable<void> Turn(Call& call);
  boost::asio::awaitable<void> Answer(Call& call, const Script& script, boost::json::object body, std::string prompt);
  boost::asio::awaitable<bool> RefuseByScript(Call& call, const Script& script);
  /// Empty, or the Connect code of the refusal; `why` for the journal.
  std::string Misfit(const Call& call, const boost::json::object& body, std::string& prompt, std::string& why);
  std::string NextId();

  Journal journal_;
  absl::Mutex mutex_;
  int64_t next_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Conversation> chats_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> files_ ABSL_GUARDED_BY(mutex_);  // whose
  std::map<std::string, int> generation_ ABSL_GUARDED_BY(mutex_);     // of the refresh token, by account
  bool strict_ ABSL_GUARDED_BY(mutex_) = false;                       // only its newest is good
};

}  // namespace simulator::kimi
