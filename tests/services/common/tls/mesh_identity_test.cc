#include "services/common/tls/mesh_identity.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "services/common/rpc/channel.h"
#include "services/common/rpc/server_host.h"
#include "switchyard/session/v1/session.grpc.pb.h"
#include "tests/support/certificates.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

using session::v1::SessionService;

TEST(MeshRules, WhoMayCallWhat) {
  const auto rules = MeshRules({"billing"});
  struct Row {
    const char* caller;
    const char* path;
    bool may;
  };
  for (const Row& row : {
           Row{"switchyard-edge", "/switchyard.chat.v1.ChatService/Chat", true},
           Row{"billing", "/switchyard.chat.v1.ChatService/ListModels", true},
           Row{"switchyard-qwen", "/switchyard.chat.v1.ChatService/Chat", false},
           Row{"switchyard-session", "/switchyard.chat.v1.ChatService/Chat", false},
           Row{"switchyard-qwen", "/switchyard.signing.v1.SigningService/Sign", true},
           Row{"switchyard-session", "/switchyard.signing.v1.SigningService/Sign", true},
           Row{"switchyard-edge", "/switchyard.signing.v1.SigningService/Sign", false},
           Row{"switchyard-minimax", "/switchyard.session.v1.SessionService/Lease", true},
           Row{"switchyard-edge", "/switchyard.session.v1.SessionService/Lease", false},
           Row{"billing", "/switchyard.session.v1.SessionService/Lease", false},
           Row{"switchyard-edge", "/switchyard.session.v1.SessionService/ListAccounts", true},
           Row{"switchyard-accounts", "/switchyard.session.v1.SessionService/CheckAccount", true},
           Row{"switchyard-qwen", "/switchyard.session.v1.SessionService/CheckAccount", false},
           Row{"switchyard-edge", "/switchyard.session.v1.SessionService/LeaseX", false},
           Row{"anybody", "/grpc.health.v1.Health/Check", true},
           Row{"switchyard-edge", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", false},
           Row{"*", "/switchyard.chat.v1.ChatService/Chat", false},
       }) {
    EXPECT_EQ(MayCall(rules, row.path, {row.caller}), row.may) << row.caller << " " << row.path;
  }
  EXPECT_FALSE(MayCall(rules, "/switchyard.chat.v1.ChatService/Chat", {}));
}

class Accounts final : public SessionService::CallbackService {
 public:
  grpc::ServerUnaryReactor* ListAccounts(grpc::CallbackServerContext* context, const session::v1::ListAccountsRequest*,
                                         session::v1::ListAccountsResponse*) override {
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

/// The files of one program, and its identity.
class Member {
 public:
  Member(const TestAuthority& authority, const std::string& alternative, const std::string& trusted)
      : paths_{absl::StrCat(directory_, "/crt"), absl::StrCat(directory_, "/key"), absl::StrCat(directory_, "/ca")} {
    Put(authority.Issue(alternative), trusted);
    auto identity = MeshIdentity::Open(paths_, SystemClock::Get());
    EXPECT_TRUE(identity.ok()) << identity.status();
    identity_ = *std::move(identity);
  }

  void Put(const TestAuthority::Pem& pem, const std::string& trusted) {
    std::ofstream(paths_.certificate, std::ios::binary) << pem.certificate;
    std::ofstream(paths_.key, std::ios::binary) << pem.key;
    std::ofstream(paths_.authority, std::ios::binary) << trusted;
  }
  const MeshIdentity* identity() const { return identity_.get(); }

 private:
  const std::string directory_ = FreshDirectory();
  const CertificatePaths paths_;
  std::unique_ptr<MeshIdentity> identity_;
};

constexpr char kServer[] = "DNS:localhost,IP:127.0.0.1,URI:spiffe://test/switchyard-session";
constexpr char kEdge[] = "URI:spiffe://test/ns/x/sa/switchyard-edge";

class MeshTest : public testing::Test {
 protected:
  MeshTest() : server_(authority_, kServer, authority_.certificate()) {
    auto host = ServerHost::Start(
        {.listen = "127.0.0.1:0", .reflection = false, .identity = server_.identity(), .rules = MeshRules({})},
        {&accounts_});
    EXPECT_TRUE(host.ok()) << host.status();
    host_ = *std::move(host);
  }

  grpc::Status List(std::shared_ptr<grpc::Channel> channel) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    session::v1::ListAccountsResponse response;
    return SessionService::NewStub(std::move(channel))->ListAccounts(&context, {}, &response);
  }
  grpc::Status ListAs(const Member& member) { return List(MakeChannel(host_->address(), member.identity())); }

  const TestAuthority authority_, stranger_;
  Member server_;
  Accounts accounts_;
  std::unique_ptr<ServerHost> host_;
};

TEST_F(MeshTest, TheRightCallerIsServed) {
  const grpc::Status status = ListAs(Member(authority_, kEdge, authority_.certificate()));
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(MeshTest, TheWrongCallerIsRefused) {
  const grpc::Status status =
      ListAs(Member(authority_, "URI:spiffe://test/switchyard-signing", authority_.certificate()));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << status.error_message();
  const grpc::Status nameless = ListAs(Member(authority_, "DNS:switchyard-edge", authority_.certificate()));
  EXPECT_EQ(nameless.error_code(), grpc::StatusCode::PERMISSION_DENIED) << nameless.error_message();
}

TEST_F(MeshTest, StrangersDoNotConnect) {
  const grpc::Status other_authority = ListAs(Member(stranger_, kEdge, authority_.certificate()));
  EXPECT_EQ(other_authority.error_code(), grpc::StatusCode::UNAVAILABLE) << other_authority.error_message();
  const grpc::Status untrusting = ListAs(Member(authority_, kEdge, stranger_.certificate()));
  EXPECT_EQ(untrusting.error_code(), grpc::StatusCode::UNAVAILABLE) << untrusting.error_message();
  const grpc::Status clear = List(grpc::CreateChannel(host_->address(), grpc::InsecureChannelCredentials()));
  EXPECT_EQ(clear.error_code(), grpc::StatusCode::UNAVAILABLE) << clear.error_message();
  grpc::SslCredentialsOptions no_certificate;
  no_certificate.pem_root_certs = authority_.certificate();
  const grpc::Status nobody = List(grpc::CreateChannel(host_->address(), grpc::SslCredentials(no_certificate)));
  EXPECT_EQ(nobody.error_code(), grpc::StatusCode::UNAVAILABLE) << nobody.error_message();
}

TEST_F(MeshTest, AServerOfAnotherNameIsNotTrusted) {
  Member other(authority_, "DNS:elsewhere.example,URI:spiffe://test/switchyard-session", authority_.certificate());
  auto host = ServerHost::Start(
      {.listen = "127.0.0.1:0", .reflection = false, .identity = other.identity(), .rules = MeshRules({})},
      {&accounts_});
  ASSERT_TRUE(host.ok());
  Member edge(authority_, kEdge, authority_.certificate());
  EXPECT_EQ(List(MakeChannel((*host)->address(), edge.identity())).error_code(), grpc::StatusCode::UNAVAILABLE);
}

// New connections are made with the newer certificate, and no call fails while it changes.
TEST_F(MeshTest, CertificatesChangeUnderLoad) {
  const TestAuthority next;
  const std::string both = authority_.certificate() + next.certificate();
  Member edge(authority_, kEdge, both);
  server_.Put(next.Issue(kServer), both);
  // A client that trusts the newer authority alone gets through once the server shows its newer certificate.
  Member modern(next, kEdge, next.certificate());
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  bool through = false;
  int calls = 0;
  while (!through && std::chrono::steady_clock::now() < until) {
    const grpc::Status old = ListAs(edge);
    EXPECT_TRUE(old.ok()) << old.error_message();
    ++calls;
    through = ListAs(modern).ok();
  }
  EXPECT_TRUE(through);
  EXPECT_GT(calls, 0);
  EXPECT_TRUE(ListAs(edge).ok());
}

}  // namespace
}  // namespace switchyard
