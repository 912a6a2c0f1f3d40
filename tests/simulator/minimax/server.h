// MiniMax Agent's server side, both dialects: strict about signatures, times, tokens and bodies.
//
// Beyond what every platform's script knows:
//   growth=N            pieces of text that a poll brings (default: all in three polls; with chunks=, one)
//   polls=N             polls before anything is there (default 0)
//   messages=N          the answer in so many messages (default 1)
//   order=asc           the oldest message first
//   ids=text            ids as strings
//   wrap=1              details inside "data"
//   status=none         details do not say whether the chat has finished
//   deletes=N           deletions that are refused because the chat is said to run
//   fault=cut|reset|stall|poll_500|poll_html|poll_error|poll_expired
//                       of polls from number `at` on, `times=N` of them (default: all)
//   fault=http_429|http_500|html|challenge|not_json|garbage|oversized|expired|quota|rate|busy|error|signature
//                       of the message that is sent
//   fault=empty         it finishes without a text;  bad_utf8: its last character is cut in every poll but the last
//
// Of the agent dialect: dialect=cumulative|increments  space=1  done=1  comments=1  finish=length
//   fault=cut|reset|stall|in_stream   of the stream, at `at`;  in_stream_unknown (a code that nobody knows),
//         in_stream_garbage, in_stream_oversized, in_stream_utf8;  conflict|sandbox  of the message
//
// A chat that nobody polls for a second ends by itself.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tests/simulator/platform.h"

namespace simulator::minimax {

class Server final : public Platform {
 public:
  std::string name() const override { return "minimax"; }
  std::string Credential(int number) const override;
  boost::asio::awaitable<void> Serve(const std::string& path, switchyard::HttpServerRequest& request,
                                     switchyard::HttpResponder& responder) override;
  FaultsByDialect Faults() const override;
  boost::json::object State() const override;
  void Reset() override;
  void Plan(const std::string& account, Script script, int times) override {
    journal_.Plan(account, std::move(script), times);
  }

 private:
  struct Call;
  struct Chat {
    std::string user;
    Script script;
    bool text_ids = false;
    boost::json::array history;  // messages of earlier turns
    boost::json::array told;     // all messages as they were last told, the oldest first
    int64_t question = 0;        // id of the newest user message
    std::string prompt;
    std::vector<std::string> pieces, thoughts;
    int polls = 0;
    bool running = false;
    bool ended = false;  // the whole answer was told
    int refused_deletes = 0;
    absl::Time polled;
  };

  boost::asio::awaitable<void> Dispatch(Call& call);
  boost::asio::awaitable<void> Send(Call& call);
  boost::asio::awaitable<void> Poll(Call& call);
  boost::asio::awaitable<void> Delete(Call& call);
  boost::asio::awaitable<void> Agent(Call& call);
  boost::asio::awaitable<void> Say(Call& call, const std::string& session);
  /// Answers as the script's fault of a message wants it, if it is one.
  boost::asio::awaitable<bool> Refused(Call& call, const Script& script);
  boost::asio::awaitable<void> UserInfo(Call& call);
  boost::asio::awaitable<void> Renew(Call& call);

  /// Empty, or why the call is refused: what the page's list of checks says, in its order.
  std::string Misfit(const Call& call) const;
  void CheckDevice(const Call& call);
  std::string MisfitOfMessage(const Call& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Chat* Find(const Call& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  boost::json::object DetailOf(int64_t id, Chat& chat) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndForgotten() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndAnswer(Chat& chat) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Journal journal_;
  mutable absl::Mutex mutex_;
  mutable std::map<int64_t, Chat> chats_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> devices_ ABSL_GUARDED_BY(mutex_);   // uuid and device id by user
  std::map<std::string, std::string> sessions_ ABSL_GUARDED_BY(mutex_);  // of the agent dialect: the user of each
  int64_t next_id_ ABSL_GUARDED_BY(mutex_) = 360000000000200;
};

struct Refusal {
  std::string fault;
  int status;
  std::string type;
  std::string body;
};
/// What a message is answered with for a fault; nothing if it is none of those.
std::optional<Refusal> RefusalFor(const std::string& fault);

}  // namespace simulator::minimax
