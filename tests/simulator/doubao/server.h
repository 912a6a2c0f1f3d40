// Doubao's server side, as strict as the protocol page says a simulator should be (section 3.4).
//
// Both dialects: /chat/completion and /samantha/chat/completion. Its accounts are the session ids that begin with
// "d0ba".
//
// Script, besides what every platform knows: crlf=1 (CRLF line ends), oneline=1 (an event on one line), blocks=1 (no
// CHUNK_DELTA), numeric=1 (ids as numbers), search=1, image=1, comments=1,
// silence_ms=N (heartbeats alone for so long, every 200 ms, before the first piece).
// Faults: cut, reset, stall, unfinished (a proper end of the body without SSE_REPLY_END), empty, garbage, bad_utf8,
// oversized, late_error (710020702 inside the answer), late_unknown (a code that nobody knows inside it); before the
// answer: expired, user_invalid, guest, rate, shark (710022002), captcha, punished, region, error (710020702), unknown
// (a code that nobody knows), http_401, http_403, http_429, http_500, html, not_json, redirect.
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
#include "boost/json/value.hpp"
#include "services/common/http/http_server.h"
#include "tests/simulator/doubao/answer.h"
#include "tests/simulator/platform.h"

namespace simulator::doubao {

class Server final : public Platform {
 public:
  std::string name() const override { return "doubao"; }
  std::string Credential(int number) const override;
  boost::asio::awaitable<void> Serve(const std::string& path, switchyard::HttpServerRequest& request,
                                     switchyard::HttpResponder& responder) override;
  FaultsByDialect Faults() const override;
  boost::json::object State() const override { return journal_.State(); }
  void Reset() override;
  void Plan(const std::string& account, Script script, int times) override {
    journal_.Plan(account, std::move(script), times);
  }

 private:
  struct Conversation {
    std::string account;
    std::string section;
    int64_t last_index = 0;
  };
  struct Call;

  boost::asio::awaitable<void> Complete(Call& call);
  boost::asio::awaitable<bool> RefuseByScript(Call& call, const Script& script);
  boost::asio::awaitable<void> CompleteOlder(Call& call);
  boost::asio::awaitable<void> Answer(Call& call, const Script& script, std::string prompt, bool thinking, bool older);
  boost::asio::awaitable<void> Stream(Call& call, const Script& script, const std::string& prompt,
                                      AnswerScript& answer);
  boost::asio::awaitable<void> Delete(Call& call);
  boost::asio::awaitable<void> Check(Call& call);
  boost::asio::awaitable<bool> RefuseAccount(Call& call);

  /// What is wrong with how the request stands to others before it.
  std::string WrongHistory(const Call& call);
  /// Registers the turn; the ids of its answer.
  AnswerPlan OpenTurn(const Call& call);
  std::string NextId() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Journal journal_;
  mutable absl::Mutex mutex_;
  // Above 2^53, where a double goes wrong.
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 7412345678901234501;
  std::map<std::string, Conversation> conversations_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> devices_ ABSL_GUARDED_BY(mutex_);  // by account
  std::set<std::string> used_ ABSL_GUARDED_BY(mutex_);                  // keys and message ids
};

}  // namespace simulator::doubao
