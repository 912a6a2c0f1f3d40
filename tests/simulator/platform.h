// What the simulated platforms have in common: how they are reached and steered, and the book that each keeps of what
// its clients did.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "boost/asio/awaitable.hpp"
#include "boost/json/value.hpp"
#include "services/common/http/http_server.h"
#include "tests/simulator/script.h"

namespace simulator {

/// Everything a test wants to know afterwards, and what it told the platform beforehand. Thread-safe.
class Journal {
 public:
  void Count(const std::string& name, int64_t by = 1);
  /// A client did what the platform would not like. Tests expect none.
  void Violate(const std::string& what);
  /// A request was refused; counted by reason. Not a violation by itself: an expired token is refused, too.
  void Refuse(const std::string& why);

  /// A conversation that the client has to delete.
  void Opened(const std::string& id);
  void Closed(const std::string& id);

  /// The parameters of a chat request, as received; the newest 64 are kept.
  void Record(boost::json::value request);

  /// Where the turn that `script` tags (`tag=`) was asked for; no effect without a tag. A later try replaces an
  /// earlier.
  void Asked(const Script& script, const std::string& remote_address);

  /// An answer of `account` is under way. @return how many there are now, this one included
  int Begin(const std::string& account);
  void End(const std::string& account);

  /// The next `times` turns of `account` (empty: of any) follow `script`, before what their prompts say.
  void Plan(const std::string& account, Script script, int times);
  /// What the next turn of `account` is to do, by plan and prompt, the plan first; uses the plan up.
  Script Take(const std::string& account, const std::string& prompt);
  /// The plan that Take() would use, left as it is: for calls beside the turn, like a validity check.
  Script Peek(const std::string& account) const;

  /// {"open_conversations", "running", "counts", "refusals", "violations", "completions", "peers"}
  boost::json::object State() const;
  void Reset();

 private:
  struct Planned {
    std::string account;
    Script script;
    int times = 0;
  };
  mutable absl::Mutex mutex_;
  std::map<std::string, int64_t> counts_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int64_t> refusals_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> violations_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> open_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int> running_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> peers_ ABSL_GUARDED_BY(mutex_);  // by tag
  std::deque<boost::json::value> requests_ ABSL_GUARDED_BY(mutex_);
  std::deque<Planned> planned_ ABSL_GUARDED_BY(mutex_);
};

/// What `fault=` of a script may name, by the dialect of the protocol as the relay's configuration calls it. Nothing
/// else is played, and tests play all of it.
using FaultsByDialect = std::map<std::string, std::set<std::string>>;

/// One platform's server side. Thread-safe.
class Platform {
 public:
  virtual ~Platform() = default;

  /// The first part of every path: "kimi".
  virtual std::string name() const = 0;
  /// The value of <NAME>_TOKEN for simulated account `number`, 1 and up, as its owner would paste it.
  virtual std::string Credential(int number) const = 0;

  /// A request, its path as on the platform: without the name in front.
  virtual boost::asio::awaitable<void> Serve(const std::string& path, switchyard::HttpServerRequest& request,
                                             switchyard::HttpResponder& responder) = 0;

  virtual FaultsByDialect Faults() const = 0;
  virtual boost::json::object State() const = 0;
  virtual void Reset() = 0;
  virtual void Plan(const std::string& account, Script script, int times) = 0;
};

/// The answer's text that the script asks for, in pieces: `text=`, `chunks=`, or a sentence that quotes the prompt.
/// Empty for fault=empty.
std::vector<std::string> TextPieces(const Script& script, const std::string& prompt);
/// The same of the reasoning: `think=`, a piece a word.
std::vector<std::string> ThoughtPieces(const Script& script);

/// A streamed body as the script wants it: paused (first_ms, chunk_ms), split (split), and ended before its time
/// (fault=cut, reset or stall, after `at` pieces).
///
///   ScriptedBody body(responder, script);
///   bool alive = co_await body.Begin(std::move(headers));
///   for (size_t i = 0; alive && i < pieces.size(); ++i) {
///     alive = co_await body.BeforePiece(i);
///     if (alive) alive = co_await body.Write(EventOf(pieces[i]));
///   }
///   if (alive) alive = co_await body.BeforeEnd(pieces.size());
///   if (alive) co_await body.End();
///   if (body.client_gone()) journal.Count("client_gone");
class ScriptedBody {
 public:
  ScriptedBody(switchyard::HttpResponder& responder, const Script& script) : responder_(responder), script_(script) {}

  boost::asio::awaitable<bool> Begin(switchyard::HttpHeaders headers);
  /// Pauses; @return false if the stream is over: the client left, or the script cut it.
  boost::asio::awaitable<bool> BeforePiece(size_t index);
  /// For a cut behind the last piece.
  boost::asio::awaitable<bool> BeforeEnd(size_t pieces);
  boost::asio::awaitable<bool> Write(std::string bytes);
  boost::asio::awaitable<void> End();

  bool client_gone() const { return gone_; }
  /// Whether `fault` is to happen before piece `index`.
  bool Now(const std::string& fault, size_t index) const;

 private:
  boost::asio::awaitable<bool> Cut(size_t index);

  switchyard::HttpResponder& responder_;
  const Script script_;
  bool gone_ = false;
};

}  // namespace simulator
