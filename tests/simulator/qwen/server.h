// Qwen's server side, as strict as the protocol page says a simulator should be: dialect A ("dialog", section 3.1), and
// the site's newer call (section 3.2).
//
// Script: split, chunk_ms, first_ms, chunks, stamp as everywhere; word=finish (the other end word), crlf=1, comments=1
// (comments, empty events and heartbeats), placeholder=1 ("Thinking" before there is an answer), half=1 (snapshots that
// end in half a character), shrink=1 (a shorter snapshot in between), incremental=1, xsrf=new (the answer sets a new
// XSRF token).
//
// Faults (script: fault=NAME), in the stream: cut, reset, stall, garbage (two frames that are none), bad_utf8,
// oversized, empty, content_filter, filter_early, error (an unknown error code), rate (RateLimited), expired
// (NOT_LOGIN), retired (the call to upgrade); before it: ticket (401), http_401, http_403, http_429, http_500, html,
// captcha, captcha_html, redirect, not_json, gateway (404, as the newer call's gateway has it).
//
// Uploads, by plan alone: look_polls=N (questions until a document has been looked through; 1), look=fail (and
// refused).
//
// Thread-safe.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "boost/json/object.hpp"
#include "services/common/http/http_server.h"
#include "tests/simulator/platform.h"

namespace simulator::qwen {

class Server final : public Platform {
 public:
  std::string name() const override { return "qwen"; }
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
  struct Session {
    std::string account;
    std::string last;  // message
  };
  struct Object {
    std::string account;
    std::string type;  // of the file; empty until it has been put there
    int64_t size = 0;
    std::string url = {};  // once it was asked for
    int polls = 0;         // left
    bool looked_through = false;
  };
  struct Call;

  boost::asio::awaitable<void> Converse(Call& call);
  boost::asio::awaitable<void> Chat2(Call& call);
  boost::asio::awaitable<void> Chat2Stream(Call& call, const Script& script, std::string session, std::string prompt);
  boost::asio::awaitable<void> DeleteBatch(Call& call);
  boost::asio::awaitable<void> List(Call& call);
  boost::asio::awaitable<void> Delete(Call& call);
  boost::asio::awaitable<void> UploadToken(Call& call);
  boost::asio::awaitable<void> Store(Call& call);
  boost::asio::awaitable<void> Link(Call& call);
  boost::asio::awaitable<void> LookThrough(Call& call);
  std::string ObjectsFault(const Call& call);
  boost::asio::awaitable<bool> RefuseByScript(Call& call, const Script& script);
  boost::asio::awaitable<void> Stream(Call& call, const Script& script, std::string session, std::string message,
                                      std::string prompt);
  std::string HeaderFault(const Call& call) const;
  std::string BodyFault(const boost::json::object& body);
  std::string XsrfFault(const Call& call);
  std::string NextId();

  Journal journal_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Session> sessions_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> leaves_ ABSL_GUARDED_BY(mutex_);  // folder -> account
  std::map<std::string, Object> objects_ ABSL_GUARDED_BY(mutex_);      // by folder and name
  std::set<std::string> request_ids_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> xsrf_ ABSL_GUARDED_BY(mutex_);  // by account, once it was replaced
  int64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
};

}  // namespace simulator::qwen
