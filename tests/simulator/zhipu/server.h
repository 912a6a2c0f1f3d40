// Zhipu's server side, as strict as the protocol page says a simulator should be (section 10).
//
// Knobs (script): mode=delta (frames hold what is new; otherwise all so far), terminal=parts (the last frame repeats
// the text), event=1, space=0, crlf=1, comments=1 (comments and frames without parts between the frames).
//
// Faults (script: fault=NAME): in the stream cut, reset, stall, empty, nothing (no byte), garbage, bad_utf8, oversized,
// content_filter (the platform steps in and ends), filter_finish (and ends properly), filter_early, error, last_error,
// error_unknown (a code that nobody knows); in place of it expired, risk (40012), sign (40014), param, http_429,
// http_500, html, not_json; of the exchange, by plan alone: refresh_dead, refresh_guest, refresh_500, refresh_stall and
// refresh_cut (the token is replaced, and the reply never comes), refresh_hold (it is replaced, and the reply comes
// when a plan says release=1).
//
// Uploads are answered by an object and by a list in turn; fault=upload, by plan alone, refuses one.
//
// By plan, for all that follows: rotation=off|lenient|strict (whether an exchange replaces the refresh token, and
// whether that kills the old one), access_s=N (life of access tokens), delete=404 (the newer call is not there).
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "boost/asio/awaitable.hpp"
#include "boost/json/object.hpp"
#include "services/common/http/http_server.h"
#include "tests/simulator/platform.h"
#include "tests/simulator/script.h"

namespace simulator::zhipu {

class Server final : public Platform {
 public:
  std::string name() const override { return "zhipu"; }
  /// A refresh token.
  std::string Credential(int number) const override;
  boost::asio::awaitable<void> Serve(const std::string& path, switchyard::HttpServerRequest& request,
                                     switchyard::HttpResponder& responder) override;
  FaultsByDialect Faults() const override;
  boost::json::object State() const override { return journal_.State(); }
  void Reset() override;
  void Plan(const std::string& account, Script script, int times) override;

 private:
  struct Call;
  struct Conversation {
    std::string uid, assistant;
  };
  struct File {
    std::string uid, assistant, name, url;
    int64_t size = 0;
    bool image = false;
  };

  boost::asio::awaitable<void> Exchange(Call& call);
  boost::asio::awaitable<void> Renew(Call& call);
  boost::asio::awaitable<void> UserInfo(Call& call);
  boost::asio::awaitable<void> Stream(Call& call);
  boost::asio::awaitable<void> Answer(switchyard::HttpResponder& responder, Script script, std::string conversation,
                                      std::string prompt, bool thinking, bool search);
  boost::asio::awaitable<void> Stop(Call& call);
  boost::asio::awaitable<void> Upload(Call& call);
  boost::asio::awaitable<void> Delete(Call& call);
  boost::asio::awaitable<bool> RefuseByScript(Call& call, const Script& script);
  boost::asio::awaitable<bool> CheckRequest(Call& call);
  /// "" or the member that is not as it should be.
  static std::string Misfit(const boost::json::object& body);
  bool Released();
  /// The same of the blocks behind the text.
  std::string FilesFault(const Call& call, const boost::json::array& content);
  std::string NextId();
  /// Whether the refresh token of `generation` is good, by the rotation that was planned:
  ///   off      any is, and stays so
  ///   lenient  any is, and is replaced
  ///   strict   the newest alone
  ///   grace    the newest, and the one before for as long as nothing that came with the newest was used: its reply may
  ///            have been lost. Anything else was lost by the client: a violation.
  bool RefreshIsGood(const std::string& uid, int64_t generation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Stopped(const std::string& part);

  Journal journal_;
  absl::Mutex mutex_;
  std::string rotation_ ABSL_GUARDED_BY(mutex_) = "lenient";
  int64_t access_s_ ABSL_GUARDED_BY(mutex_) = 86400;
  int64_t exchange_ms_ ABSL_GUARDED_BY(mutex_) = 0;  // how long an exchange takes
  bool no_bulk_delete_ ABSL_GUARDED_BY(mutex_) = false;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<std::string, int64_t> generations_ ABSL_GUARDED_BY(mutex_);  // newest refresh token, by uid
  std::map<std::string, int64_t> used_ ABSL_GUARDED_BY(mutex_);         // the newest whose access token was used
  std::map<int64_t, int64_t> came_with_ ABSL_GUARDED_BY(mutex_);        // refresh token by access token
  std::map<std::string, int> exchanging_ ABSL_GUARDED_BY(mutex_);       // exchanges under way, by uid
  std::map<std::string, Conversation> conversations_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, File> files_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> nonces_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> stopped_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace simulator::zhipu
