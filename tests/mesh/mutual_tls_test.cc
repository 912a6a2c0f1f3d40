// The programs with certificates of their own: they serve as ever, and nobody else gets a word in, on any port.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <map>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/create_channel.h"
#include "services/common/rpc/channel.h"
#include "services/common/tls/mesh_identity.h"
#include "switchyard/chat/v1/chat.grpc.pb.h"
#include "switchyard/session/v1/session.grpc.pb.h"
#include "switchyard/signing/v1/signing.grpc.pb.h"
#include "tests/support/certificates.h"
#include "tests/support/process.h"
#include "tests/support/programs.h"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

using grpc::StatusCode;

/// Certificates on disk, one set a program.
class Issuer {
 public:
  /// Writes a set for the program, or another in its place.
  CertificatePaths Issue(const std::string& name) {
    auto& directory = directories_[name];
    if (directory.empty()) directory = FreshDirectory();
    const CertificatePaths paths{directory + "/crt", directory + "/key", directory + "/ca"};
    const auto pem = authority_.Issue(absl::StrCat("DNS:localhost,IP:127.0.0.1,URI:spiffe://test/", name));
    std::ofstream(paths.certificate, std::ios::binary) << pem.certificate;
    std::ofstream(paths.key, std::ios::binary) << pem.key;
    std::ofstream(paths.authority, std::ios::binary) << authority_.certificate();
    return paths;
  }
  std::unique_ptr<MeshIdentity> Identity(const std::string& name) {
    auto identity = MeshIdentity::Open(Issue(name), SystemClock::Get());
    EXPECT_TRUE(identity.ok()) << identity.status();
    return *std::move(identity);
  }
  void IssueAllAgain() {
    for (const auto& [name, directory] : directories_) Issue(name);
  }

 private:
  const TestAuthority authority_;
  std::map<std::string, std::string> directories_;
};

class MutualTls : public testing::Test {
 protected:
  MutualTls()
      : programs_(platforms_,
                  {{"SWITCHYARD_SESSION__LISTEN", "127.0.0.1:0"}, {"SWITCHYARD_TLS__CHAT_CALLERS", "billing"}},
                  [this](const std::string& program) {
                    const CertificatePaths paths = issuer_.Issue(program.substr(program.rfind('/') + 1));
                    return Variables{{"SWITCHYARD_TLS__CERTIFICATE", paths.certificate},
                                     {"SWITCHYARD_TLS__KEY", paths.key},
                                     {"SWITCHYARD_TLS__AUTHORITY", paths.authority}};
                  }) {}

  static void Bound(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }
  static StatusCode AskProvider(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    Bound(context);
    auto reader = chat::v1::ChatService::NewStub(channel)->Chat(&context, GrpcRequest("[[sim: text=Red]]", "qwen"));
    for (chat::v1::ChatEvent event; reader->Read(&event);) {
    }
    return reader->Finish().error_code();
  }
  static StatusCode ListAccounts(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    Bound(context);
    session::v1::ListAccountsResponse response;
    return session::v1::SessionService::NewStub(channel)->ListAccounts(&context, {}, &response).error_code();
  }
  static StatusCode Lease(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    Bound(context);
    auto stream = session::v1::SessionService::NewStub(channel)->Lease(&context);
    stream->WritesDone();
    for (session::v1::LeaseEvent event; stream->Read(&event);) {
    }
    return stream->Finish().error_code();
  }
  static StatusCode Sign(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    Bound(context);
    auto stream = signing::v1::SigningService::NewStub(channel)->Sign(&context);
    stream->WritesDone();
    for (signing::v1::SignResponse response; stream->Read(&response);) {
    }
    return stream->Finish().error_code();
  }
  static std::string At(int port) { return absl::StrCat("127.0.0.1:", port); }

  SimulatedPlatforms platforms_;
  Issuer issuer_;
  Programs programs_;
};

TEST_F(MutualTls, OnlyWhoMayCallIsServed) {
  for (const char* model : {"deepseek-chat", "kimi", "qwen", "zhipu", "minimax"})
    EXPECT_EQ(Chat(programs_.port(), "[[sim: text=Red,+green]]", R"(,"reasoning_format":"hidden")", model).text(),
              "Red, green")
        << model;

  const auto billing = issuer_.Identity("billing");
  const auto edge = issuer_.Identity("switchyard-edge");
  const auto qwen = issuer_.Identity("switchyard-qwen");
  const int provider = programs_.provider_port("qwen");
  EXPECT_EQ(AskProvider(MakeChannel(At(provider), billing.get())), StatusCode::OK) << "it is on the list";
  EXPECT_EQ(AskProvider(MakeChannel(At(provider), qwen.get())), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(Sign(MakeChannel(At(programs_.signing_port()), qwen.get())), StatusCode::OK);
  EXPECT_EQ(Sign(MakeChannel(At(programs_.signing_port()), edge.get())), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(ListAccounts(MakeChannel(At(programs_.session_port()), edge.get())), StatusCode::OK);
  EXPECT_EQ(Lease(MakeChannel(At(programs_.session_port()), edge.get())), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(ListAccounts(MakeChannel(At(programs_.session_port()), billing.get())), StatusCode::PERMISSION_DENIED);
}

TEST_F(MutualTls, StrangersGetNowhereOnAnyPort) {
  Issuer elsewhere;
  const auto stranger = elsewhere.Identity("switchyard-edge");
  for (const int port : {programs_.provider_port("qwen"), programs_.session_port(), programs_.signing_port()}) {
    SCOPED_TRACE(port);
    for (const auto& channel : {MakeChannel(At(port), stranger.get()), MakeChannel(At(port))}) {
      EXPECT_EQ(AskProvider(channel), StatusCode::UNAVAILABLE);
      EXPECT_EQ(ListAccounts(channel), StatusCode::UNAVAILABLE);
      EXPECT_EQ(Sign(channel), StatusCode::UNAVAILABLE);
    }
  }
}

TEST_F(MutualTls, CertificatesAreReplacedUnderLoad) {
  ASSERT_EQ(Chat(programs_.port(), "[[sim: text=Red]]", "", "qwen").status, 200);
  issuer_.IssueAllAgain();
  // Every program says so when it has taken its newer set up; no chat fails meanwhile.
  int chats = 0;
  EXPECT_TRUE(Eventually([&] {
    EXPECT_EQ(Chat(programs_.port(), "[[sim: text=Red]]", "", "qwen").status, 200);
    ++chats;
    return absl::StrContains(programs_.provider("qwen").output(), "certificates_replaced") &&
           absl::StrContains(programs_.edge().output(), "certificates_replaced");
  }));
  EXPECT_GT(chats, 0);
  EXPECT_EQ(AskProvider(MakeChannel(At(programs_.provider_port("qwen")), issuer_.Identity("billing").get())),
            StatusCode::OK);
}

}  // namespace
}  // namespace switchyard
