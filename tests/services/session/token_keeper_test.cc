// Tokens that are got for credentials: through the service and its client, over a store of its own, with a platform
// that rotates credentials and forgets the old ones.
#include "services/session/token_keeper.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/use_future.hpp"
#include "services/common/async/runtime.h"
#include "services/common/async/sleep.h"
#include "services/common/config/config.h"
#include "services/common/http/http_client.h"
#include "services/common/rpc/channel.h"
#include "services/common/rpc/server_host.h"
#include "services/common/status/reason.h"
#include "services/session/client/session_client.h"
#include "services/session/session_host.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using session::v1::Acquire;
using ProtoAccount = session::v1::Account;
using Lease = std::unique_ptr<LeaseHandle>;

/// What the other side knows: which credentials it takes, and what it has given out.
struct FakePlatform {
  absl::Mutex mutex;
  std::set<std::string> credentials;
  int refreshes = 0;
  bool rotates = true;
  bool strict = true;                                          // an old credential dies at once
  bool silent = false;                                         // acts, and never answers
  absl::Status error;                                          // instead of acting
  absl::Duration life = absl::Hours(1);                        // of a token
  absl::Duration took = absl::Milliseconds(30);                // before it answers
  std::vector<std::map<std::string, std::string>> identities;  // as passed to Refresh()
};

class FakeRefresher final : public Refresher {
 public:
  FakeRefresher(FakePlatform& platform, const RefresherTools& tools) : platform_(platform), tools_(tools) {}

  absl::StatusOr<NormalCredential> Normalise(const Secret& configured) const override {
    NormalCredential normal{configured};
    if (absl::StartsWith(configured.Reveal(), "token-")) {
      // Renews itself, and says when it ends.
      normal.expires = tools_.clock.Now() + platform_.life;
    } else {
      normal.exchanged = true;
    }
    return normal;
  }
  Identity MakeIdentity(const Secret&) const override { return {{"device", tools_.random.NextHex(16)}}; }
  RefreshPolicy policy() const override {
    return {.lead = absl::Minutes(5), .rotates = platform_.rotates, .renews_token = true};
  }
  asio::awaitable<absl::Status> Check(Scope&, Secret, Identity) const override { co_return absl::OkStatus(); }

  asio::awaitable<absl::StatusOr<FreshToken>> Refresh(Scope& scope, Secret credential,
                                                      Identity identity) const override {
    int number = 0;
    bool known = false;
    bool silent = false;
    FreshToken fresh;
    {
      absl::MutexLock lock(&platform_.mutex);
      number = ++platform_.refreshes;
      platform_.identities.push_back(identity);
      if (!platform_.error.ok()) co_return platform_.error;
      known = platform_.credentials.count(credential.Reveal()) > 0;
      silent = platform_.silent;
      fresh.token = Secret(absl::StrCat("fresh-", number));
      fresh.expires = tools_.clock.Now() + platform_.life;
      if (known && platform_.rotates) {
        const std::string next = absl::StrCat("credential-", number);
        if (platform_.strict) platform_.credentials.erase(credential.Reveal());
        platform_.credentials.insert(next);
        fresh.rotated = Secret(next);
      }
    }
    if (silent) co_await Sleep(scope, absl::Hours(1));
    if (silent) co_return scope.status();
    co_await Sleep(scope, platform_.took);
    if (!known) co_return MakeError(Reason::REASON_CREDENTIAL_EXPIRED, "the platform does not take the credential");
    co_return fresh;
  }

 private:
  FakePlatform& platform_;
  const RefresherTools tools_;
};

class TokenKeeperTest : public ::testing::Test {
 protected:
  TokenKeeperTest() : directory_(FreshDirectory()), http_(*MakeHttpClient({})) {
    config_ = *LoadConfig({}, {});
    config_.state_dir = directory_;
    config_.session.store = absl::StrCat(directory_, "/session.db");
    config_.providers["zhipu"].spacing = absl::ZeroDuration();
    config_.providers["zhipu"].queue_depth = 1000;
    config_.providers["zhipu"].max_in_flight_per_account = 1000;
    platform_.credentials = {"first"};
    SetAccount("first");
  }
  ~TokenKeeperTest() override {
    Stop();
    std::filesystem::remove_all(directory_);
  }

  void SetAccount(const std::string& credential) { config_.accounts = {{"zhipu", "zhipu", Secret(credential)}}; }

  void Start() {
    runtime_ = std::make_unique<Runtime>(Runtime::Options{.threads = 2});
    SessionHostOptions options;
    options.make_refresher = [this](const std::string& platform, const ProviderConfig&, const RefresherTools& tools) {
      return platform == "zhipu" ? std::make_unique<FakeRefresher>(platform_, tools) : nullptr;
    };
    auto host = SessionHost::Start(config_, *runtime_, *http_, signing_, options);
    ASSERT_TRUE(host.ok()) << host.status();
    host_ = *std::move(host);
    auto server = ServerHost::Start({}, {&host_->service()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    client_ = std::make_unique<SessionClient>(server_->InProcessChannel());
  }
  /// Waits for nothing that is under way: what a process that is killed leaves behind.
  void Stop() {
    if (server_) server_->Shutdown(absl::ZeroDuration());
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

  std::future<absl::StatusOr<std::string>> Begin(absl::Duration limit = absl::Seconds(20)) {
    auto task = [this, limit]() -> asio::awaitable<absl::StatusOr<std::string>> {
      Scope scope(co_await asio::this_coro::executor,
                  std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(limit));
      auto lease = co_await Take(scope);
      if (!lease.ok()) co_return lease.status();
      const std::string token = (*lease)->token().Reveal();
      co_await (*lease)->Release();
      co_return token;
    };
    return asio::co_spawn(runtime_->Next(), std::move(task), asio::use_future);
  }
  absl::StatusOr<std::string> TakeToken() { return Begin().get(); }

  asio::awaitable<absl::StatusOr<Lease>> Take(Scope& scope) {
    Acquire acquire;
    acquire.set_purpose(Acquire::PURPOSE_CHAT);
    acquire.set_platform("zhipu");
    acquire.set_caller("caller");
    co_return co_await client_->Acquire(scope, CallContext(), std::move(acquire));
  }

  ProtoAccount::State State() {
    ProtoAccount::State state = ProtoAccount::STATE_UNSPECIFIED;
    auto task = [&]() -> asio::awaitable<void> {
      Scope scope(co_await asio::this_coro::executor, std::chrono::steady_clock::now() + std::chrono::seconds(20));
      auto listed = co_await client_->ListAccounts(scope, CallContext(), "");
      if (listed.ok() && listed->accounts_size() == 1) state = listed->accounts(0).state();
    };
    asio::co_spawn(runtime_->Next(), task, asio::use_future).get();
    return state;
  }
  int refreshes() {
    absl::MutexLock lock(&platform_.mutex);
    return platform_.refreshes;
  }

  std::string directory_;
  FakePlatform platform_;
  Config config_;
  std::unique_ptr<HttpClient> http_;
  SigningClient signing_{MakeChannel("unix:/nonexistent")};  // nothing here signs
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<SessionHost> host_;
  std::unique_ptr<ServerHost> server_;
  std::unique_ptr<SessionClient> client_;
};

TEST_F(TokenKeeperTest, ManyTurnsAreOneExchange) {
  Start();
  std::vector<std::future<absl::StatusOr<std::string>>> turns;
  for (int i = 0; i < 200; ++i) turns.push_back(Begin());
  for (auto& turn : turns) {
    const auto token = turn.get();
    ASSERT_TRUE(token.ok()) << token.status();
    EXPECT_EQ(*token, "fresh-1");
  }
  EXPECT_EQ(refreshes(), 1);
}

TEST_F(TokenKeeperTest, ATokenIsReplacedAheadOfItsEnd) {
  platform_.life = absl::Minutes(2);  // less than the lead
  Start();
  EXPECT_EQ(*TakeToken(), "fresh-1");
  EXPECT_EQ(*TakeToken(), "fresh-2");
}

TEST_F(TokenKeeperTest, TokenAndCredentialOutliveTheProcess) {
  Start();
  EXPECT_EQ(*TakeToken(), "fresh-1");
  Restart();
  EXPECT_EQ(*TakeToken(), "fresh-1");
  EXPECT_EQ(refreshes(), 1);
  platform_.life = absl::Seconds(1);
}

TEST_F(TokenKeeperTest, TheRotatedCredentialIsUsedNextAndBeatsItsAncestor) {
  platform_.life = absl::Minutes(2);
  Start();
  EXPECT_EQ(*TakeToken(), "fresh-1");
  Restart();  // .env still says "first", which the platform has forgotten
  EXPECT_EQ(*TakeToken(), "fresh-2");
  EXPECT_EQ(State(), ProtoAccount::STATE_READY);
}

TEST_F(TokenKeeperTest, AChangedValueIsANewLogin) {
  Start();
  EXPECT_EQ(*TakeToken(), "fresh-1");
  SetAccount("second");
  platform_.credentials.insert("second");
  Restart();
  EXPECT_EQ(*TakeToken(), "fresh-2");
}

TEST_F(TokenKeeperTest, TheIdentityIsMadeOnce) {
  platform_.life = absl::Minutes(2);
  Start();
  ASSERT_TRUE(TakeToken().ok());
  Restart();
  ASSERT_TRUE(TakeToken().ok());
  ASSERT_EQ(platform_.identities.size(), 2u);
  EXPECT_EQ(platform_.identities[0].at("device").size(), 16u);
  EXPECT_EQ(platform_.identities[0], platform_.identities[1]);
}

// The platform has rotated and the answer never came: the process is killed meanwhile.
TEST_F(TokenKeeperTest, KilledBetweenRotationAndReply) {
  platform_.silent = true;
  Start();
  auto turn = Begin();
  ASSERT_TRUE(Eventually([&] { return refreshes() == 1; }));
  Stop();  // the turn goes with its process; nobody hears of it
  platform_.silent = false;
  Start();
  const auto refused = TakeToken();  // the credential that is left has died
  EXPECT_EQ(ReasonOf(refused.status()), Reason::REASON_CREDENTIAL_EXPIRED) << refused.status();
  EXPECT_EQ(State(), ProtoAccount::STATE_NEEDS_LOGIN);
  Restart();
  EXPECT_EQ(State(), ProtoAccount::STATE_NEEDS_LOGIN) << "forgotten by the next process";
  SetAccount("second");
  platform_.credentials.insert("second");
  Restart();
  EXPECT_TRUE(TakeToken().ok()) << "a new login ends it";
}

// The same on a platform that lets the old credential live: the account works on.
TEST_F(TokenKeeperTest, KilledBetweenALenientRotationAndReply) {
  platform_.silent = true;
  platform_.strict = false;
  Start();
  auto turn = Begin();
  ASSERT_TRUE(Eventually([&] { return refreshes() == 1; }));
  Stop();  // the turn goes with its process; nobody hears of it
  platform_.silent = false;
  Start();
  EXPECT_TRUE(TakeToken().ok());
  EXPECT_EQ(State(), ProtoAccount::STATE_READY);
}

TEST_F(TokenKeeperTest, ARefusedCredentialWithNothingInDoubtHasExpired) {
  SetAccount("unknown");
  Start();
  EXPECT_EQ(ReasonOf(TakeToken().status()), Reason::REASON_CREDENTIAL_EXPIRED);
  EXPECT_EQ(State(), ProtoAccount::STATE_EXPIRED);
  EXPECT_EQ(refreshes(), 1);
  EXPECT_EQ(ReasonOf(TakeToken().status()), Reason::REASON_CREDENTIAL_EXPIRED);
  EXPECT_EQ(refreshes(), 1) << "a refusal is final";
}

TEST_F(TokenKeeperTest, TheCredentialBeforeTheLastOneIsASecondCandidate) {
  platform_.life = absl::Minutes(2);
  platform_.strict = false;
  Start();
  EXPECT_EQ(*TakeToken(), "fresh-1");
  platform_.credentials = {"first"};  // the platform has thought better of its rotation
  EXPECT_EQ(*TakeToken(), "fresh-3");
  EXPECT_EQ(State(), ProtoAccount::STATE_READY);
}

TEST_F(TokenKeeperTest, TroubleOnTheWaySaysNothingAboutTheAccount) {
  platform_.error = MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, "the platform is away");
  Start();
  EXPECT_EQ(ReasonOf(TakeToken().status()), Reason::REASON_UPSTREAM_UNAVAILABLE);
  EXPECT_EQ(State(), ProtoAccount::STATE_READY);
  platform_.error = absl::OkStatus();
  EXPECT_TRUE(TakeToken().ok());
}

TEST_F(TokenKeeperTest, ALimitCoolsTheAccountDown) {
  platform_.error = MakeError(Reason::REASON_RATE_LIMITED, "too fast", {.retry_after = absl::Seconds(30)});
  Start();
  EXPECT_EQ(ReasonOf(TakeToken().status()), Reason::REASON_RATE_LIMITED);
  EXPECT_EQ(State(), ProtoAccount::STATE_COOLING_DOWN);
}

TEST_F(TokenKeeperTest, ACallerWhoLeavesDoesNotAbortTheExchange) {
  platform_.took = absl::Milliseconds(300);
  Start();
  EXPECT_FALSE(Begin(absl::Milliseconds(60)).get().ok());
  EXPECT_EQ(*TakeToken(), "fresh-1");
  EXPECT_EQ(refreshes(), 1);
}

TEST_F(TokenKeeperTest, ARefusedTokenIsReplacedForEveryHolder) {
  Start();
  auto task = [&]() -> asio::awaitable<void> {
    Scope scope(co_await asio::this_coro::executor, std::chrono::steady_clock::now() + std::chrono::seconds(20));
    auto one = co_await Take(scope);
    auto other = co_await Take(scope);
    EXPECT_TRUE(one.ok() && other.ok());
    if (!one.ok() || !other.ok()) co_return;
    const absl::Status renewed = co_await (*one)->RefreshToken(scope);
    EXPECT_TRUE(renewed.ok()) << renewed;
    EXPECT_EQ((*one)->token().Reveal(), "fresh-2");
    const absl::Status again = co_await (*other)->RefreshToken(scope);
    EXPECT_TRUE(again.ok()) << again;
    EXPECT_EQ((*other)->token().Reveal(), "fresh-2") << "a second exchange for a token that had been replaced";
    co_await (*one)->Release();
    co_await (*other)->Release();
  };
  asio::co_spawn(runtime_->Next(), task, asio::use_future).get();
  EXPECT_EQ(refreshes(), 2);
}

TEST_F(TokenKeeperTest, ATokenThatRenewsItselfIsLentMeanwhile) {
  platform_.rotates = false;
  platform_.life = absl::Minutes(2);  // configured, and ending soon
  platform_.credentials = {"token-configured"};
  SetAccount("token-configured");
  Start();
  platform_.life = absl::Hours(24);
  EXPECT_EQ(*TakeToken(), "token-configured") << "good for now";
  ASSERT_TRUE(Eventually([&] { return *TakeToken() == "fresh-1"; }));
  Restart();
  EXPECT_EQ(*TakeToken(), "fresh-1");
  EXPECT_EQ(refreshes(), 1);
}

TEST_F(TokenKeeperTest, ATokenThatHadEndedBeforeTheStartHasExpired) {
  platform_.life = -absl::Minutes(1);
  SetAccount("token-configured");
  Start();
  EXPECT_EQ(State(), ProtoAccount::STATE_EXPIRED);
  EXPECT_EQ(ReasonOf(TakeToken().status()), Reason::REASON_CREDENTIAL_EXPIRED);
}

}  // namespace
}  // namespace switchyard
