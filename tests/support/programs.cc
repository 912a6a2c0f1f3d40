#include "tests/support/programs.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/client_context.h"
#include "services/common/rpc/channel.h"
#include "services/common/status/grpc_status.h"
#include "switchyard/chat/v1/chat.grpc.pb.h"

namespace switchyard {

using chat::v1::ChatEvent;
using chat::v1::ChatRequest;

namespace {

/// The path of a Unix socket has about a hundred characters at most; a test's own directory alone may have more.
std::string ShortDirectory() {
  std::string directory = "/tmp/switchyard-XXXXXX";
  return mkdtemp(directory.data()) == nullptr ? FreshDirectory() : directory;
}

}  // namespace

std::string PlatformProgram(const std::string& platform) {
  return absl::StrCat("services/", platform, "/switchyard-", platform);
}

Programs::Programs(const SimulatedPlatforms& platforms, Variables more, OwnVariables own)
    : state_(ShortDirectory()), variables_(std::move(more)), own_(std::move(own)) {
  for (const auto& [name, value] : RelayVariables(platforms, state_)) variables_.emplace(name, value);
  signing_ = Start("services/signing/switchyard-signing");
  signing_port_ = signing_->PortAfter("serving gRPC on 127.0.0.1:");
  variables_["SWITCHYARD_SIGNING__TARGET"] = absl::StrCat("127.0.0.1:", signing_port_);
  session_ = Start("services/session/switchyard-session");
  if (variables_.count("SWITCHYARD_SESSION__LISTEN") > 0) {
    session_port_ = session_->PortAfter("serving gRPC on 127.0.0.1:");
    variables_["SWITCHYARD_SESSION__TARGET"] = absl::StrCat("127.0.0.1:", session_port_);
  } else {
    EXPECT_TRUE(session_->WaitForOutput("serving gRPC on unix:"));
  }
  for (const char* platform : kPlatformNames) providers_[platform] = Start(PlatformProgram(platform));
  for (const char* platform : kPlatformNames) {
    provider_ports_[platform] = providers_[platform]->PortAfter("serving gRPC on 127.0.0.1:");
    variables_[absl::StrCat("SWITCHYARD_PROVIDERS__", absl::AsciiStrToUpper(platform), "__BACKEND")] =
        absl::StrCat("127.0.0.1:", provider_ports_[platform]);
  }
  edge_ = Start("edge/switchyard-edge");
  port_ = edge_->PortAfter("serving HTTP on http://127.0.0.1:");
}

Programs::~Programs() {
  edge_.reset();
  providers_.clear();
  session_.reset();
  signing_.reset();
  std::filesystem::remove_all(state_);
}

std::unique_ptr<Process> Programs::Edge(const Variables& more) { return Start("edge/switchyard-edge", more); }

std::unique_ptr<Process> Programs::Start(const std::string& program, const Variables& more) {
  std::vector<std::string> command = {program, "--env-file", "/dev/null"};
  if (!absl::StrContains(program, "session")) command.insert(command.end(), {"--listen", "127.0.0.1:0"});
  Variables variables = more;
  if (own_) variables.merge(own_(program));
  variables.insert(variables_.begin(), variables_.end());
  return std::make_unique<Process>(command, variables);
}

std::string GrpcAnswer::text() const {
  std::string all;
  for (const ChatEvent& event : events) all += event.text().text();
  return all;
}

std::string GrpcAnswer::reasoning() const {
  std::string all;
  for (const ChatEvent& event : events) all += event.reasoning().text();
  return all;
}

int GrpcAnswer::finished() const {
  int count = 0;
  for (const ChatEvent& event : events) count += event.has_finished();
  return count;
}

ChatRequest GrpcRequest(const std::string& text, const std::string& model) {
  ChatRequest request;
  request.set_model(model);
  auto& message = *request.add_messages();
  message.set_role(chat::v1::ROLE_USER);
  message.add_parts()->set_text(text);
  return request;
}

GrpcAnswer Ask(int port, const ChatRequest& request) {
  auto stub = chat::v1::ChatService::NewStub(MakeChannel(absl::StrCat("127.0.0.1:", port)));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  auto reader = stub->Chat(&context, request);
  GrpcAnswer answer;
  for (ChatEvent event; reader->Read(&event);) answer.events.push_back(event);
  answer.status = FromGrpcStatus(reader->Finish());
  return answer;
}

}  // namespace switchyard
