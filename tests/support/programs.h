// The services as programs of their own, and a gRPC client straight at a provider.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "switchyard/chat/v1/chat.pb.h"
#include "tests/support/process.h"
#include "tests/support/relay.h"

namespace switchyard {

inline constexpr const char* kPlatformNames[] = {"deepseek", "kimi", "metaso", "doubao", "qwen", "zhipu", "minimax"};

/// "services/kimi/switchyard-kimi".
std::string PlatformProgram(const std::string& platform);

/// Signing, session, a provider for each platform, and the edge, each a process. Use with PROGRAM_DATA of relay.bzl.
class Programs {
 public:
  /// Variables of one program alone, by its path.
  using OwnVariables = std::function<Variables(const std::string& program)>;
  explicit Programs(const SimulatedPlatforms& platforms, Variables more = {}, OwnVariables own = {});
  ~Programs();

  int port() const { return port_; }
  int provider_port(const std::string& platform) const { return provider_ports_.at(platform); }
  Process& provider(const std::string& platform) { return *providers_.at(platform); }
  int signing_port() const { return signing_port_; }
  /// Where session serves; 0 on its Unix socket, unless SWITCHYARD_SESSION__LISTEN says otherwise.
  int session_port() const { return session_port_; }
  Process& edge() { return *edge_; }
  Process& session() { return *session_; }
  Process& signing() { return *signing_; }
  /// A further edge before the same providers.
  std::unique_ptr<Process> Edge(const Variables& more);

 private:
  std::unique_ptr<Process> Start(const std::string& program, const Variables& more = {});

  std::string state_;
  Variables variables_;
  OwnVariables own_;
  std::unique_ptr<Process> session_, signing_, edge_;
  std::map<std::string, std::unique_ptr<Process>> providers_;
  std::map<std::string, int> provider_ports_;
  int port_ = 0, signing_port_ = 0, session_port_ = 0;
};

struct GrpcAnswer {
  std::vector<chat::v1::ChatEvent> events;
  absl::Status status;
  std::string text() const;
  std::string reasoning() const;
  int finished() const;  // how many events say so
};

/// A request of one user message.
chat::v1::ChatRequest GrpcRequest(const std::string& text, const std::string& model = "deepseek-chat");
GrpcAnswer Ask(int port, const chat::v1::ChatRequest& request);

}  // namespace switchyard
