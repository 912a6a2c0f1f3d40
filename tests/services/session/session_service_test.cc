// The service through its client, over an in-process channel and a store of its own: leases, the ledger, states,
// restarts.
#include "services/session/session_service.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/use_future.hpp"
#include "services/common/async/runtime.h"
#include "services/common/config/config.h"
#include "services/common/http/http_client.h"
#include "services/common/rpc/channel.h"
#include "services/common/rpc/server_host.h"
#include "services/common/status/reason.h"
#include "services/session/client/outcome.h"
#include "services/session/client/session_client.h"
#include "services/session/session_host.h"
#include "tests/support/process.h"
#include "tests/support/upstream_double.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using session::v1::Acquire;
using ProtoAccount = session::v1::Account;
using Lease = std::unique_ptr<LeaseHandle>;

constexpr char kToken[] = "sim-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

class SessionServiceTest : public ::testing::Test {
 protected:
  SessionServiceTest() : directory_(FreshDirectory()), http_(*MakeHttpClient({})) {
    // The defaults of every platform, as a program has them.
    config_ = *LoadConfig({}, {});
    config_.accounts.clear();
    config_.state_dir = directory_;
    config_.session.store = absl::StrCat(directory_, "/session.db");
    ProviderConfig& deepseek = config_.providers["deepseek"];
    deepseek.spacing = absl::ZeroDuration();
    deepseek.queue_depth = 1;
  }
  ~SessionServiceTest() override {
    Stop();
    std::filesystem::remove_all(directory_);
  }

  void AddAccount(const std::string& label, const std::string& token = kToken) {
    config_.accounts.push_back({"deepseek", label, Secret(token + label)});
  }

  void Start() {
    runtime_ = std::make_unique<Runtime>(Runtime::Options{.threads = 2});
    auto host = SessionHost::Start(config_, *runtime_, *http_, signing_);
    ASSERT_TRUE(host.ok()) << host.status();
    host_ = *std::move(host);
    auto server = ServerHost::Start({}, {&host_->service()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    client_ = std::make_unique<SessionClient>(server_->InProcessChannel());
  }
  void Stop() {
    if (server_) server_->Shutdown(absl::Seconds(2));
    if (runtime_) runtime_->Stop();
    http_->CloseIdle();
    client_.reset();
    server_.reset();
    host_.reset();
    runtime_.reset();
  }
  void Restart() {
    Stop();
    Start();
  }

  /// Runs a coroutine of a caller to its end.
  void Run(std::function<asio::awaitable<void>(Scope&)> body) {
    auto task = [&]() -> asio::awaitable<void> {
      Scope scope(co_await asio::this_coro::executor, std::chrono::steady_clock::now() + std::chrono::seconds(20));
      co_await body(scope);
    };
    asio::co_spawn(runtime_->Next(), task, asio::use_future).get();
  }

  static Acquire Wish(const std::string& account = "") {
    Acquire acquire;
    acquire.set_purpose(Acquire::PURPOSE_CHAT);
    acquire.set_platform("deepseek");
    acquire.set_caller("caller");
    acquire.set_account(account);
    return acquire;
  }
  static Acquire CleanUp() {
    Acquire acquire = Wish();
    acquire.set_purpose(Acquire::PURPOSE_CLEAN_UP);
    return acquire;
  }
  asio::awaitable<absl::StatusOr<Lease>> Take(Scope& scope, Acquire acquire = Wish()) {
    co_return co_await client_->Acquire(scope, CallContext(), std::move(acquire));
  }

  /// Takes a lease, says what came of it, and gives it back.
  void Report(const absl::Status& outcome, const std::string& account = "") {
    Run([&](Scope& scope) -> asio::awaitable<void> {
      auto lease = co_await Take(scope, Wish(account));
      EXPECT_TRUE(lease.ok()) << lease.status();
      if (!lease.ok()) co_return;
      (*lease)->Report(OutcomeOf(outcome));
      co_await (*lease)->Release();
    });
  }
  absl::Status TakeError(Acquire acquire = Wish()) {
    absl::Status error;
    Run([&](Scope& scope) -> asio::awaitable<void> {
      auto lease = co_await Take(scope, acquire);
      error = lease.status();
      if (lease.ok()) co_await (*lease)->Release();
    });
    return error;
  }
  ProtoAccount Listed(const std::string& label = "deepseek") {
    ProtoAccount found;
    Run([&](Scope& scope) -> asio::awaitable<void> {
      auto listed = co_await client_->ListAccounts(scope, CallContext(), "");
      EXPECT_TRUE(listed.ok()) << listed.status();
      if (!listed.ok()) co_return;
      for (const ProtoAccount& account : listed->accounts()) {
        if (account.label() == label) found = account;
      }
    });
    return found;
  }

  std::string directory_;
  Config config_;
  std::unique_ptr<HttpClient> http_;
  SigningClient signing_{MakeChannel("unix:/nonexistent")};  // no platform here signs
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<SessionHost> host_;
  std::unique_ptr<ServerHost> server_;
  std::unique_ptr<SessionClient> client_;
};

TEST_F(SessionServiceTest, AnAccountIsLentAndComesBack) {
  AddAccount("deepseek");
  Start();
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await Take(scope);
    EXPECT_TRUE(lease.ok()) << lease.status();
    if (!lease.ok()) co_return;
    EXPECT_EQ((*lease)->account(), "deepseek");
    EXPECT_EQ((*lease)->token().Reveal(), std::string(kToken) + "deepseek");
    co_await (*lease)->Release();
  });
  EXPECT_EQ(Listed().in_flight(), 0);
  EXPECT_EQ(Listed().state(), ProtoAccount::STATE_READY);
  EXPECT_TRUE(TakeError().ok());
}

TEST_F(SessionServiceTest, AHandleThatIsDroppedFreesItsAccount) {
  AddAccount("deepseek");
  Start();
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await Take(scope);
    EXPECT_TRUE(lease.ok());
  });
  EXPECT_TRUE(TakeError().ok());
}

TEST_F(SessionServiceTest, TheSecondWaitsAndTheThirdIsTurnedAway) {
  AddAccount("deepseek");
  Start();
  std::future<absl::Status> second;
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto first = co_await Take(scope);
    EXPECT_TRUE(first.ok());
    const auto wait = [this]() -> asio::awaitable<absl::Status> {
      Scope own(co_await asio::this_coro::executor, std::chrono::steady_clock::now() + std::chrono::seconds(20));
      auto lease = co_await Take(own);
      if (!lease.ok()) co_return lease.status();
      co_await (*lease)->Release();
      co_return absl::OkStatus();
    };
    second = asio::co_spawn(runtime_->Next(), wait, asio::use_future);
    for (;;) {
      auto listed = co_await client_->ListAccounts(scope, CallContext(), "deepseek");
      if (!listed.ok() || listed->accounts(0).queued() == 1) break;
    }
    auto third = co_await Take(scope);
    EXPECT_EQ(ReasonOf(third.status()), Reason::REASON_ACCOUNT_BUSY) << third.status();
    EXPECT_TRUE(DetailOf(third.status()).has_retry_after());
    co_await (*first)->Release();
  });
  EXPECT_TRUE(second.get().ok());
}

TEST_F(SessionServiceTest, WhatCannotBeLentIsNamed) {
  Start();
  EXPECT_EQ(ReasonOf(TakeError()), Reason::REASON_CREDENTIAL_MISSING);
  EXPECT_TRUE(absl::StrContains(TakeError().message(), "DEEPSEEK_TOKEN"));
  Acquire unknown = Wish();
  unknown.set_platform("nobody");
  EXPECT_EQ(TakeError(unknown).code(), absl::StatusCode::kInvalidArgument);
  AddAccount("deepseek");
  Restart();
  EXPECT_EQ(ReasonOf(TakeError(Wish("deepseek-7"))), Reason::REASON_CREDENTIAL_MISSING);
  EXPECT_EQ(TakeError(CleanUp()).code(), absl::StatusCode::kNotFound);
}

TEST_F(SessionServiceTest, TheOneUnusedForLongestIsTaken) {
  for (const char* label : {"deepseek", "deepseek-2", "deepseek-3"}) AddAccount(label);
  Start();
  std::vector<std::string> used;
  Run([&](Scope& scope) -> asio::awaitable<void> {
    for (int i = 0; i < 6; ++i) {
      auto lease = co_await Take(scope);
      EXPECT_TRUE(lease.ok());
      if (!lease.ok()) co_return;
      used.push_back((*lease)->account());
      co_await (*lease)->Release();
    }
  });
  ASSERT_EQ(used.size(), 6u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(used[i], used[i + 3]);
    EXPECT_NE(used[i], used[(i + 1) % 3]);
  }
}

TEST_F(SessionServiceTest, AnExpiredAccountStaysSoUntilItsValueChanges) {
  AddAccount("deepseek");
  Start();
  Report(MakeError(Reason::REASON_CREDENTIAL_EXPIRED, "x"));
  EXPECT_EQ(Listed().state(), ProtoAccount::STATE_EXPIRED);
  EXPECT_NE(Listed().advice(), "");
  EXPECT_EQ(ReasonOf(TakeError()), Reason::REASON_CREDENTIAL_EXPIRED);
  Restart();
  EXPECT_EQ(ReasonOf(TakeError()), Reason::REASON_CREDENTIAL_EXPIRED);
  config_.accounts.clear();
  AddAccount("deepseek", "sim-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
  Restart();
  EXPECT_TRUE(TakeError().ok());
}

TEST_F(SessionServiceTest, AMuteAndALimitSayHowLong) {
  AddAccount("deepseek");
  AddAccount("deepseek-2");
  Start();
  const absl::Time until = absl::Now() + absl::Hours(2);
  Report(MakeError(Reason::REASON_ACCOUNT_MUTED, "x", {.until = until}), "deepseek");
  EXPECT_EQ(Listed().state(), ProtoAccount::STATE_MUTED);
  EXPECT_EQ(Listed().until().seconds(), absl::ToUnixSeconds(until));
  EXPECT_TRUE(TakeError().ok()) << "the other account is well";
  Report(MakeError(Reason::REASON_RATE_LIMITED, "x", {.retry_after = absl::Seconds(90)}), "deepseek-2");
  // Of the two, the limited one is well again first.
  const absl::Status refused = TakeError();
  EXPECT_EQ(ReasonOf(refused), Reason::REASON_RATE_LIMITED);
  EXPECT_GT(DetailOf(refused).retry_after().seconds(), 80);
  EXPECT_LE(DetailOf(refused).retry_after().seconds(), 90);
  Restart();
  EXPECT_EQ(Listed().state(), ProtoAccount::STATE_MUTED) << "a mute outlives the process";
}

TEST_F(SessionServiceTest, OtherHoldersAreToldOfAWithdrawal) {
  config_.providers["deepseek"].max_in_flight_per_account = 2;
  AddAccount("deepseek");
  Start();
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto one = co_await Take(scope);
    auto other = co_await Take(scope);
    EXPECT_TRUE(one.ok() && other.ok());
    if (!one.ok() || !other.ok()) co_return;
    (*one)->Report(OutcomeOf(MakeError(Reason::REASON_CREDENTIAL_EXPIRED, "x")));
    co_await (*one)->Release();
    const absl::Status recorded = co_await (*other)->RecordConversation(scope, "c1");
    EXPECT_EQ(ReasonOf(recorded), Reason::REASON_CREDENTIAL_EXPIRED) << recorded;
    co_await (*other)->Release();
  });
}

TEST_F(SessionServiceTest, WhatIsLeftOverIsHandedOutForDeletionAlsoAfterARestart) {
  AddAccount("deepseek");
  Start();
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await Take(scope);
    EXPECT_TRUE(lease.ok());
    if (!lease.ok()) co_return;
    for (const char* ref : {"left", "deleted", "kept"}) {
      const absl::Status recorded = co_await (*lease)->RecordConversation(scope, ref);
      EXPECT_TRUE(recorded.ok()) << recorded;
    }
    (*lease)->ConversationDeleted("deleted");
    auto id = co_await (*lease)->KeepConversation(scope, "kept", "kept@2");
    EXPECT_TRUE(id.ok()) << id.status();
    co_await (*lease)->Release();
  });
  EXPECT_EQ(Listed().pending_conversations(), 1);
  Restart();
  EXPECT_EQ(Listed().pending_conversations(), 1);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await Take(scope, CleanUp());
    EXPECT_TRUE(lease.ok()) << lease.status();
    if (!lease.ok()) co_return;
    EXPECT_EQ((*lease)->pending_conversations(), std::vector<std::string>{"left"});
    EXPECT_EQ((*lease)->token().Reveal(), std::string(kToken) + "deepseek");
    (*lease)->ConversationDeleted("left");
    co_await (*lease)->Release();
  });
  EXPECT_EQ(TakeError(CleanUp()).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Listed().pending_conversations(), 0);
}

TEST_F(SessionServiceTest, AKeptConversationIsContinuedByItsCallerAlone) {
  AddAccount("deepseek");
  AddAccount("deepseek-2");
  Start();
  std::string id, account;
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await Take(scope, Wish("deepseek-2"));
    EXPECT_TRUE(lease.ok());
    if (!lease.ok()) co_return;
    co_await (*lease)->RecordConversation(scope, "c1");
    auto kept = co_await (*lease)->KeepConversation(scope, "c1", "c1@2");
    EXPECT_TRUE(kept.ok()) << kept.status();
    if (kept.ok()) id = *kept;
    co_await (*lease)->Release();
  });
  Restart();
  Acquire again = Wish();
  again.set_conversation_id(id);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await Take(scope, again);
    EXPECT_TRUE(lease.ok()) << lease.status();
    if (!lease.ok()) co_return;
    EXPECT_EQ((*lease)->account(), "deepseek-2");
    EXPECT_EQ((*lease)->conversation_ref(), "c1@2");
    co_await (*lease)->Release();
  });
  Acquire stranger = again;
  stranger.set_caller("somebody else");
  EXPECT_EQ(DetailOf(TakeError(stranger)).field(), "conversation_id");
  Acquire elsewhere = again;
  elsewhere.set_account("deepseek");
  EXPECT_EQ(DetailOf(TakeError(elsewhere)).field(), "conversation_id");
  Acquire forged = again;
  forged.set_conversation_id(id.substr(0, id.size() - 2) + "AA");
  EXPECT_EQ(DetailOf(TakeError(forged)).field(), "conversation_id");
}

TEST_F(SessionServiceTest, ACallersOwnTokenIsNoAccountOfOurs) {
  Start();
  Acquire own = Wish();
  own.set_caller_token(std::string(kToken) + "own");
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await Take(scope, own);
    EXPECT_TRUE(lease.ok()) << lease.status();
    if (!lease.ok()) co_return;
    EXPECT_EQ((*lease)->token().Reveal(), std::string(kToken) + "own");
    EXPECT_FALSE(absl::StrContains((*lease)->account(), kToken));
    auto listed = co_await client_->ListAccounts(scope, CallContext(), "");
    EXPECT_EQ(listed.ok() ? listed->accounts_size() : -1, 0);
    co_await (*lease)->Release();
  });
  own.set_caller_token("not a token");
  EXPECT_EQ(TakeError(own).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(absl::StrContains(TakeError(own).message(), "not a token"));
}

TEST_F(SessionServiceTest, ACheckAsksThePlatformAndSetsTheState) {
  std::string body =
      R"({"code":0,"msg":"","data":{"biz_code":0,"biz_msg":"","biz_data":{"id":"u","chat":{"is_muted":0,"mute_until":null}}}})";
  UpstreamDouble platform([&](UpstreamDouble::Peer& peer) {
    if (peer.ReadRequest().empty()) return;
    peer.Send(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: ",
                           body.size(), "\r\n\r\n", body));
  });
  config_.providers["deepseek"].base_url = absl::StrCat("http://localhost:", platform.port());
  AddAccount("deepseek");
  Start();
  session::v1::CheckAccountResponse checked;
  const auto check = [&](const std::string& label) {
    absl::Status status;
    Run([&](Scope& scope) -> asio::awaitable<void> {
      auto answer = co_await client_->CheckAccount(scope, CallContext(), label);
      status = answer.status();
      if (answer.ok()) checked = *std::move(answer);
    });
    return status;
  };
  EXPECT_TRUE(check("deepseek").ok());
  EXPECT_TRUE(checked.checked());
  EXPECT_EQ(checked.account().state(), ProtoAccount::STATE_READY);
  const std::string sent = platform.requests().at(0);
  EXPECT_TRUE(absl::StartsWith(sent, "GET /api/v0/users/current HTTP/1.1\r\n")) << sent;
  EXPECT_TRUE(absl::StrContains(sent, absl::StrCat("Authorization: Bearer ", kToken, "deepseek\r\n")));
  EXPECT_TRUE(absl::StrContains(
      sent, absl::StrCat("x-client-version: ", config_.providers["deepseek"].Option("client_version"), "\r\n")));

  body = R"x({"code":40003,"msg":"Authorization Failed (invalid token)","data":null})x";
  EXPECT_TRUE(check("deepseek").ok());
  EXPECT_TRUE(checked.checked());
  EXPECT_EQ(checked.account().state(), ProtoAccount::STATE_EXPIRED);
  EXPECT_EQ(checked.detail().reason(), Reason::REASON_CREDENTIAL_EXPIRED);

  body = "not JSON";
  EXPECT_TRUE(check("deepseek").ok());
  EXPECT_FALSE(checked.checked());
  EXPECT_EQ(checked.account().state(), ProtoAccount::STATE_EXPIRED)
      << "what was not understood says nothing about the account";
  EXPECT_EQ(check("nobody").code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace switchyard
