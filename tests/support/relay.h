// The relay and the simulated platforms as processes, for tests that go through everything.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "boost/json/value.hpp"
#include "tests/support/http_probe.h"
#include "tests/support/process.h"

namespace switchyard {

using Variables = std::map<std::string, std::string>;

/// The simulator, on a port of its own.
class SimulatedPlatforms {
 public:
  SimulatedPlatforms();

  int port() const { return port_; }
  std::string url(const std::string& platform = "deepseek") const;
  /// {"KIMI_TOKEN": …}: simulated account `number` of every platform.
  Variables Credentials(int number = 1) const;
  boost::json::object State(const std::string& platform = "deepseek") const;
  int64_t Count(const std::string& name, const std::string& platform = "deepseek") const;
  /// What a client did that the platform would not like, as text; empty if nothing.
  std::string Violations(const std::string& platform = "deepseek") const;
  /// What a script's `fault=` may name in a dialect.
  std::vector<std::string> Faults(const std::string& platform, const std::string& dialect) const;
  int64_t OpenConversations(const std::string& platform = "deepseek") const;
  /// The next `times` completions follow `script`.
  void Plan(const std::string& script, int times = 1, const std::string& account = "",
            const std::string& platform = "deepseek") const;

 private:
  Process process_;
  int port_;
};

/// What every relay here is started with: the simulated platforms, one account each, no pause between turns, a state of
/// its own.
Variables RelayVariables(const SimulatedPlatforms& platforms, const std::string& state_dir);

/// The all-in-one.
class Relay {
 public:
  explicit Relay(const SimulatedPlatforms& platforms, Variables more = {}, std::string state_dir = "");

  int port() const { return port_; }
  int grpc_port() const { return grpc_port_; }
  Process& process() { return *process_; }
  const std::string& state_dir() const { return state_dir_; }

 private:
  std::string state_dir_;
  std::unique_ptr<Process> process_;
  int port_ = 0;
  int grpc_port_ = 0;
};

/// The body of a chat request with one user message. @param more further members: R"(,"stream":true)"
std::string ChatBody(const std::string& text, const std::string& more = "", const std::string& model = "deepseek-chat");

/// A streamed answer put together again.
struct Streamed {
  int status = 0;
  std::string text;
  std::string reasoning;
  std::string refusal;
  std::string finish_reason;
  boost::json::value error;  // of the last event, null if none
  boost::json::value usage;
  boost::json::value annotations;
  bool done = false;   // [DONE] came
  bool whole = false;  // HTTP's own end came
  int roles = 0;       // chunks that carry a role
  int chunks = 0;
  std::map<std::string, std::string> headers;
  std::string body;
};
Streamed ReadStream(const HttpReply& reply);

Streamed Stream(int port, const std::string& text, const std::string& more = "",
                const std::string& model = "deepseek-chat");
/// A whole answer; its JSON, or that of the error.
struct Whole {
  int status = 0;
  boost::json::value json;
  std::map<std::string, std::string> headers;
  std::string text() const;
  std::string finish_reason() const;
  std::string error(const std::string& member) const;
};
Whole Chat(int port, const std::string& text, const std::string& more = "", const std::string& model = "deepseek-chat");
Whole ReadWhole(const HttpReply& reply);

}  // namespace switchyard
