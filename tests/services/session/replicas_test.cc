// Two replicas of the session service, and a client that goes round them, over a real etcd.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/use_future.hpp"
#include "grpcpp/create_channel.h"
#include "services/common/async/runtime.h"
#include "services/common/async/sleep.h"
#include "services/common/config/config.h"
#include "services/common/http/http_client.h"
#include "services/common/metrics/metrics.h"
#include "services/common/provider/account_use.h"
#include "services/common/rpc/channel.h"
#include "services/common/rpc/server_host.h"
#include "services/common/status/reason.h"
#include "services/session/client/outcome.h"
#include "services/session/client/session_client.h"
#include "services/session/session_host.h"
#include "tests/support/certificates.h"
#include "tests/support/etcd.h"
#include "tests/support/gate.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using session::v1::Acquire;
using session::v1::ReportOutcome;
using ProtoAccount = session::v1::Account;
using Handle = std::unique_ptr<LeaseHandle>;

// What a replica holds outlives it by this.
constexpr absl::Duration kLife = absl::Seconds(3);

/// A platform that rotates credentials and forgets the old ones at once.
struct Platform {
  absl::Mutex mutex;
  std::set<std::string> credentials = {"first"};
  int refreshes = 0;
  bool held = false;  // calls that come now are not answered until they are `released`, whatever becomes of the caller
  bool released = false;  // those
  int arrived = 0;        // while held
  absl::Duration took = absl::Milliseconds(100);
};

class Rotating final : public Refresher {
 public:
  Rotating(Platform& platform, const RefresherTools& tools) : platform_(platform), tools_(tools) {}

  absl::StatusOr<NormalCredential> Normalise(const Secret& configured) const override {
    NormalCredential normal{configured};
    normal.exchanged = true;
    return normal;
  }
  Identity MakeIdentity(const Secret&) const override { return {{"device", tools_.random.NextHex(16)}}; }
  RefreshPolicy policy() const override { return {.lead = absl::Minutes(5), .rotates = true}; }
  asio::awaitable<absl::Status> Check(Scope&, Secret, Identity) const override { co_return absl::OkStatus(); }
  asio::awaitable<absl::StatusOr<FreshToken>> Refresh(Scope& scope, Secret credential, Identity) const override {
    FreshToken fresh;
    bool known = false;
    Scope whole(scope.executor());
    const auto waits = [this] {
      absl::MutexLock lock(&platform_.mutex);
      return !platform_.released;
    };
    bool held = false;
    {
      absl::MutexLock lock(&platform_.mutex);
      held = platform_.held;
      if (held) ++platform_.arrived;
    }
    while (held && waits()) co_await Sleep(whole, absl::Milliseconds(5));
    {
      absl::MutexLock lock(&platform_.mutex);
      const int number = ++platform_.refreshes;
      known = platform_.credentials.erase(credential.Reveal()) > 0;
      fresh.token = Secret(absl::StrCat("token-", number));
      fresh.expires = tools_.clock.Now() + absl::Hours(1);
      fresh.rotated = Secret(absl::StrCat("credential-", number));
      if (!credential.Reveal().empty() && credential.Reveal()[0] == 's') fresh.token = Secret("the second login's");
      if (known) platform_.credentials.insert(fresh.rotated->Reveal());
    }
    co_await Sleep(scope, platform_.took);
    if (!known) co_return MakeError(Reason::REASON_CREDENTIAL_EXPIRED, "the platform does not take the credential");
    co_return fresh;
  }

 private:
  Platform& platform_;
  const RefresherTools tools_;
};

/// A platform whose credential is the token.
class Plain final : public Refresher {
 public:
  absl::StatusOr<NormalCredential> Normalise(const Secret& configured) const override {
    if (configured.Reveal() == "mistyped") return absl::InvalidArgumentError("this is no token");
    return NormalCredential{configured};
  }
  asio::awaitable<absl::Status> Check(Scope&, Secret, Identity) const override { co_return absl::OkStatus(); }
};

class Replica {
 public:
  Replica(Config config, Platform& platform, HttpClient& http, SigningClient& signing,
          const std::string& listen = "127.0.0.1:0") {
    runtime_ = std::make_unique<Runtime>(Runtime::Options{.threads = 2});
    SessionHostOptions options;
    options.life = kLife;
    options.make_refresher = [&platform](const std::string& name, const ProviderConfig&,
                                         const RefresherTools& tools) -> std::unique_ptr<Refresher> {
      if (name == "kimi") return std::make_unique<Rotating>(platform, tools);
      if (name == "deepseek") return std::make_unique<Plain>();
      return nullptr;
    };
    auto host = SessionHost::StartPatiently(config, *runtime_, http, signing, options);
    EXPECT_TRUE(host.ok()) << host.status();
    if (!host.ok()) return;
    host_ = *std::move(host);
    auto server = ServerHost::Start({.listen = listen}, {&host_->service()});
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  /// As a process that dies: nobody is told, and what it holds stays in the store.
  ~Replica() {
    if (server_) server_->Shutdown(absl::ZeroDuration());
    runtime_->Stop();
    server_.reset();
    host_.reset();
  }
  std::string address() const { return server_->address(); }
  SessionService& service() { return host_->service(); }

 private:
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<SessionHost> host_;
  std::unique_ptr<ServerHost> server_;
};

class ReplicasTest : public ::testing::Test {
 protected:
  ReplicasTest() : http_(*MakeHttpClient({})), runtime_(Runtime::Options{.threads = 2}) {
    config_ = *LoadConfig({}, {});
    config_.session.store_key = Secret(std::string(64, 'a'));
    for (const char* platform : {"deepseek", "kimi"}) config_.providers[platform].spacing = absl::ZeroDuration();
    config_.accounts = {{"deepseek", "deepseek", Secret("token")}, {"kimi", "kimi", Secret("first")}};
  }
  ~ReplicasTest() override {
    replicas_.clear();
    runtime_.Stop();
    http_->CloseIdle();
  }

  void Start(int replicas, int members = 1) {
    etcd_ = std::make_unique<EtcdCluster>(members);
    config_.session.store = etcd_->Url("test");
    for (int i = 0; i < replicas; ++i) Add();
  }
  void Add() { replicas_.push_back(std::make_unique<Replica>(config_, platform_, *http_, signing_)); }

  /// A client of one replica, or of all that there are.
  SessionClient& Client(int replica = -1) {
    std::vector<std::string> addresses;
    for (size_t i = 0; i < replicas_.size(); ++i) {
      if (replicas_[i] && (replica < 0 || static_cast<int>(i) == replica)) addresses.push_back(replicas_[i]->address());
    }
    const std::string target = absl::StrCat("ipv4:", absl::StrJoin(addresses, ","));
    auto& client = clients_[target];
    if (!client) {
      grpc::ChannelArguments arguments = ChannelSettings();
      arguments.SetServiceConfigJSON(
          R"({"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":""}})");
      client = std::make_unique<SessionClient>(
          grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments));
    }
    return *client;
  }

  void Run(std::function<asio::awaitable<void>(Scope&)> body) {
    auto task = [&]() -> asio::awaitable<void> {
      Scope scope(co_await asio::this_coro::executor, std::chrono::steady_clock::now() + std::chrono::seconds(30));
      co_await body(scope);
    };
    asio::co_spawn(runtime_.Next(), task, asio::use_future).get();
  }

  static Acquire Wish(const std::string& platform = "deepseek") {
    Acquire acquire;
    acquire.set_purpose(Acquire::PURPOSE_CHAT);
    acquire.set_platform(platform);
    acquire.set_caller("caller");
    return acquire;
  }
  asio::awaitable<absl::StatusOr<Handle>> Take(Scope& scope, SessionClient& client, Acquire acquire = Wish()) {
    co_return co_await client.Acquire(scope, CallContext(), std::move(acquire));
  }
  /// A lease that is taken, given back, and what came of it.
  std::future<absl::StatusOr<std::string>> Borrow(SessionClient& client, const std::string& platform = "deepseek") {
    auto task = [this, &client, platform]() -> asio::awaitable<absl::StatusOr<std::string>> {
      Scope scope(co_await asio::this_coro::executor, std::chrono::steady_clock::now() + std::chrono::seconds(20));
      auto lease = co_await Take(scope, client, Wish(platform));
      if (!lease.ok()) co_return lease.status();
      const std::string token = (*lease)->token().Reveal();
      co_await (*lease)->Release();
      co_return token;
    };
    return asio::co_spawn(runtime_.Next(), std::move(task), asio::use_future);
  }
  ProtoAccount Listed(int replica, const std::string& label = "deepseek") {
    ProtoAccount found;
    SessionClient& client = Client(replica);
    Run([&](Scope& scope) -> asio::awaitable<void> {
      auto listed = co_await client.ListAccounts(scope, CallContext(), "");
      EXPECT_TRUE(listed.ok()) << listed.status();
      if (!listed.ok()) co_return;
      for (const ProtoAccount& account : listed->accounts()) {
        if (account.label() == label) found = account;
      }
    });
    return found;
  }
  /// Whether the account's lease is at this replica.
  bool Holds(int replica) { return replicas_[replica]->service().held() > 0; }
  static bool IsReady(std::future<absl::StatusOr<std::string>>& future) {
    return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }

  std::vector<std::future<absl::StatusOr<std::string>>> others_;
  Platform platform_;
  Config config_;
  std::unique_ptr<HttpClient> http_;
  SigningClient signing_{MakeChannel("unix:/nonexistent")};  // nothing here signs
  Runtime runtime_;
  std::unique_ptr<EtcdCluster> etcd_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::map<std::string, std::unique_ptr<SessionClient>> clients_;
};

TEST_F(ReplicasTest, AnAccountIsLentOnceAcrossThem) {
  Start(2);
  std::future<absl::StatusOr<std::string>> other;
  SessionClient& second = Client(1);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await Take(scope, Client(0));
    EXPECT_TRUE(lease.ok()) << lease.status();
    if (!lease.ok()) co_return;
    other = Borrow(second);
    // It waits there, and is known to be in flight.
    for (int seen = 0; seen < 2;) {
      auto listed = co_await second.ListAccounts(scope, CallContext(), "deepseek");
      if (!listed.ok()) break;
      seen = listed->accounts(0).queued() + listed->accounts(0).in_flight();
    }
    EXPECT_FALSE(IsReady(other));
    co_await (*lease)->Release();
  });
  const auto token = other.get();
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(*token, "token");
  EXPECT_TRUE(Eventually([&] { return Listed(0).in_flight() == 0; }));
}

TEST_F(ReplicasTest, ManyWishesAtBothAreNeverServedAtOnce) {
  config_.providers["deepseek"].queue_depth = 100;
  Start(2);
  std::atomic<int> in_use{0}, most{0}, served{0};
  std::vector<std::future<void>> turns;
  for (int i = 0; i < 40; ++i) {
    SessionClient& client = Client(i % 2);
    auto turn = [this, &client, &in_use, &most, &served]() -> asio::awaitable<void> {
      Scope scope(co_await asio::this_coro::executor, std::chrono::steady_clock::now() + std::chrono::seconds(30));
      auto lease = co_await Take(scope, client);
      EXPECT_TRUE(lease.ok()) << lease.status();
      if (!lease.ok()) co_return;
      const int now = ++in_use;
      most = std::max(most.load(), now);
      co_await Sleep(scope, absl::Milliseconds(2));
      --in_use;
      ++served;
      co_await (*lease)->Release();
    };
    turns.push_back(asio::co_spawn(runtime_.Next(), std::move(turn), asio::use_future));
  }
  for (auto& turn : turns) turn.get();
  EXPECT_EQ(served, 40);
  EXPECT_EQ(most, 1);
}

TEST_F(ReplicasTest, ALeaseGoesOnWhenItsReplicaDies) {
  Start(2);
  SessionClient& both = Client();
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await Take(scope, both);
    EXPECT_TRUE(lease.ok()) << lease.status();
    if (!lease.ok()) co_return;
    bool lost = false;
    (*lease)->OnLost([&lost](const absl::Status&) { lost = true; });
    const absl::Status recorded = co_await (*lease)->RecordConversation(scope, "ref-1");
    EXPECT_TRUE(recorded.ok()) << recorded;
    const bool first = Holds(0);
    replicas_[first ? 0 : 1].reset();
    const int left = first ? 1 : 0;
    // What is reported meanwhile is not lost, and neither is what was.
    const absl::Status again = co_await (*lease)->RecordConversation(scope, "ref-2");
    EXPECT_TRUE(again.ok()) << again;
    EXPECT_FALSE(lost);
    (*lease)->ConversationDeleted("ref-2");
    auto other = Borrow(Client(left));
    co_await Sleep(scope, kLife + absl::Seconds(1));  // the dead one's lease has ended
    EXPECT_FALSE(IsReady(other)) << "the account was lent twice";
    co_await (*lease)->Release();
    co_await Sleep(scope, absl::Milliseconds(1));
    EXPECT_FALSE(lost);
    others_.push_back(std::move(other));
  });
  EXPECT_TRUE(others_.front().get().ok());
  const int left = replicas_[0] ? 0 : 1;
  EXPECT_TRUE(Eventually([&] { return Listed(left).pending_conversations() == 1; }))
      << "what was opened and not deleted before the move";
}

TEST_F(ReplicasTest, ALeaseThatCannotGoOnIsLost) {
  Start(1);
  SessionClient& only = Client();
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await Take(scope, only);
    EXPECT_TRUE(lease.ok()) << lease.status();
    if (!lease.ok()) co_return;
    absl::Status lost;
    (*lease)->OnLost([&lost](const absl::Status& why) { lost = why; });
    replicas_[0].reset();
    const auto begun = std::chrono::steady_clock::now();
    while (lost.ok() && !scope.ended()) co_await Sleep(scope, absl::Milliseconds(10));
    EXPECT_EQ(ReasonOf(lost), Reason::REASON_NO_BACKEND) << lost;
    EXPECT_LT(std::chrono::steady_clock::now() - begun, absl::ToChronoNanoseconds(kLife)) << "another could have it";
  });
}

/// Counts what it is asked to undo.
class Undoing final : public Provider {
 public:
  absl::string_view platform() const override { return "deepseek"; }
  asio::awaitable<absl::StatusOr<FinishReason>> Run(Turn&) override { co_return absl::UnimplementedError(""); }
  asio::awaitable<absl::Status> StopGeneration(Scope&, const Account&, const std::string&) override {
    ++stopped;
    co_return absl::OkStatus();
  }
  asio::awaitable<absl::Status> DeleteConversation(Scope&, const Account&, const std::string&) override {
    ++deleted;
    co_return absl::OkStatus();
  }
  int stopped = 0, deleted = 0;
};

TEST_F(ReplicasTest, WhoHasLostItsLeaseStopsAndLeavesTheDeletingToOthers) {
  Start(1);
  SessionClient& only = Client();
  Undoing provider;
  Run([&](Scope& scope) -> asio::awaitable<void> {
    AccountUse use(scope.executor(), provider);
    bool lost = false;
    const auto told = [&lost](const absl::Status&) { lost = true; };
    const absl::Status acquired = co_await use.Acquire(scope, only, CallContext(), Wish(), told);
    EXPECT_TRUE(acquired.ok()) << acquired;
    if (!acquired.ok()) co_return;
    use.conversations = {"ref"};
    use.generation = "generation";
    replicas_[0].reset();
    while (!lost && !scope.ended()) co_await Sleep(scope, absl::Milliseconds(10));
    EXPECT_TRUE(lost);
    co_await use.CleanUp(false);
  });
  EXPECT_EQ(provider.stopped, 1);
  EXPECT_EQ(provider.deleted, 0) << "another replica hands out what the ledger says";
}

TEST_F(ReplicasTest, AReplicaThatStopsHandsItsLeasesOver) {
  Start(2);
  SessionClient& both = Client();
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await Take(scope, both);
    EXPECT_TRUE(lease.ok()) << lease.status();
    if (!lease.ok()) co_return;
    const int first = Holds(0) ? 0 : 1;
    // Not before it knows of the other one: without one there is nobody to hand over to.
    while (!Holds(1 - first) && !scope.ended()) {
      replicas_[first]->service().HandOver();
      co_await Sleep(scope, absl::Milliseconds(10));
    }
    EXPECT_FALSE(scope.ended()) << "the lease did not move";
    co_await (*lease)->Release();
  });
  EXPECT_TRUE(Borrow(both).get().ok()) << "who asks the one that stops is served by the other";
}

TEST_F(ReplicasTest, WhatAReplicaThatStopsHasJustClaimedComesBack) {
  platform_.took = absl::Seconds(1);
  Start(2);
  SessionClient& first = Client(0);
  SessionClient& second = Client(1);
  std::future<absl::StatusOr<std::string>> asked;
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await Take(scope, second);
    EXPECT_TRUE(lease.ok()) << lease.status();
    if (!lease.ok()) co_return;
    // The first one knows of the other, to which it hands over.
    for (int seen = 0; seen == 0 && !scope.ended();) {
      auto listed = co_await first.ListAccounts(scope, CallContext(), "deepseek");
      if (!listed.ok()) break;
      seen = listed->accounts(0).in_flight();
    }
    asked = Borrow(first, "kimi");
    co_await (*lease)->Release();
  });
  const auto exchanging = [this] {
    absl::MutexLock lock(&platform_.mutex);
    return platform_.refreshes == 1;
  };
  ASSERT_TRUE(Eventually(exchanging));
  ASSERT_TRUE(Holds(0));
  replicas_[0]->service().HandOver();
  EXPECT_EQ(DetailOf(asked.get().status()).cause(), "session_moved");
  EXPECT_TRUE(Eventually([this] { return !Holds(0); })) << "the account is nobody's, and lent to nobody";
  EXPECT_TRUE(Borrow(second, "kimi").get().ok());
}

TEST_F(ReplicasTest, AReplicaThatIsCutOffFromTheStoreLetsItsHoldersGoOnElsewhere) {
  config_.providers["deepseek"].max_in_flight_per_account = 2;
  etcd_ = std::make_unique<EtcdCluster>();
  const std::string& endpoint = etcd_->endpoints().front();
  Gate gate(std::atoi(endpoint.c_str() + endpoint.rfind(':') + 1));
  config_.session.store = absl::StrCat("etcd://127.0.0.1:", gate.port(), "/test");
  Add();
  config_.session.store = etcd_->Url("test");
  Add();
  SessionClient& first = Client(0);
  SessionClient& both = Client();
  Run([&](Scope& scope) -> asio::awaitable<void> {
    std::vector<Handle> leases;
    // Calls go round those replicas that are connected: at first that may be one.
    while (replicas_[0]->service().held() == 0 && !scope.ended()) {
      if (leases.size() == 2) {
        for (auto& lease : leases) co_await lease->Release();
        leases.clear();
      }
      auto lease = co_await Take(scope, both);
      EXPECT_TRUE(lease.ok()) << lease.status();
      if (!lease.ok()) co_return;
      leases.push_back(*std::move(lease));
    }
    EXPECT_EQ(replicas_[0]->service().held(), 1);
    bool lost = false;
    for (auto& lease : leases) lease->OnLost([&lost](const absl::Status&) { lost = true; });
    gate.Shut();
    const int all = static_cast<int>(leases.size());
    while (replicas_[1]->service().held() < all && !scope.ended()) co_await Sleep(scope, absl::Milliseconds(10));
    EXPECT_FALSE(scope.ended()) << "its holders were not told";
    EXPECT_FALSE(lost);
    auto refused = co_await Take(scope, first);
    EXPECT_EQ(DetailOf(refused.status()).cause(), "session_moved") << refused.status();
    gate.Open();
    while (replicas_[0]->service().held() > 0 && !scope.ended()) co_await Sleep(scope, absl::Milliseconds(10));
    for (auto& lease : leases) co_await lease->Release();
    EXPECT_FALSE(lost);
  });
  EXPECT_TRUE(Eventually([&] { return Borrow(first).get().ok(); }));
}

TEST_F(ReplicasTest, OverSqliteALeaseOutlivesARestartOfItsService) {
  // The path of a Unix socket has about a hundred characters at most.
  std::string directory = "/tmp/switchyard-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string listen = absl::StrCat("unix:", directory, "/s");
  config_.session.store = directory + "/session.db";
  const auto start = [&] {
    replicas_.push_back(std::make_unique<Replica>(config_, platform_, *http_, signing_, listen));
  };
  start();
  SessionClient client(MakeChannel(listen));
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await Take(scope, client);
    EXPECT_TRUE(lease.ok()) << lease.status();
    if (!lease.ok()) co_return;
    bool lost = false;
    (*lease)->OnLost([&lost](const absl::Status&) { lost = true; });
    const absl::Status recorded = co_await (*lease)->RecordConversation(scope, "before");
    EXPECT_TRUE(recorded.ok()) << recorded;
    replicas_.clear();
    co_await Sleep(scope, absl::Milliseconds(300));
    start();
    const absl::Status again = co_await (*lease)->RecordConversation(scope, "after");
    EXPECT_TRUE(again.ok()) << again;
    auto listed = co_await client.ListAccounts(scope, CallContext(), "deepseek");
    EXPECT_TRUE(listed.ok()) << listed.status();
    if (listed.ok()) {
      EXPECT_EQ(listed->accounts(0).in_flight(), 1);
      EXPECT_EQ(listed->accounts(0).pending_conversations(), 0) << "what is in use would be deleted";
    }
    EXPECT_FALSE(lost);
    (*lease)->ConversationDeleted("before");
    co_await (*lease)->Release();
    listed = co_await client.ListAccounts(scope, CallContext(), "deepseek");
    EXPECT_TRUE(listed.ok() && listed->accounts(0).pending_conversations() == 1) << listed.status();
  });
  replicas_.clear();
  std::filesystem::remove_all(directory);
}

TEST_F(ReplicasTest, AHolderThatVanishesBlocksItsAccountForAWhileOnly) {
  Start(2);
  std::future<absl::StatusOr<std::string>> other;
  const auto begun = std::chrono::steady_clock::now();
  {
    Runtime own(Runtime::Options{.threads = 1});
    auto task = [this]() -> asio::awaitable<Handle> {
      Scope scope(co_await asio::this_coro::executor, std::chrono::steady_clock::now() + std::chrono::seconds(20));
      auto lease = co_await Take(scope, Client(0));
      EXPECT_TRUE(lease.ok()) << lease.status();
      co_return lease.ok() ? *std::move(lease) : nullptr;
    };
    // The loop that has the stream goes away without a word.
    auto lease = asio::co_spawn(own.Next(), task, asio::use_future).get();
    own.Stop();
    lease.release();  // NOLINT: its loop is gone
  }
  EXPECT_TRUE(Borrow(Client(1)).get().ok());
  EXPECT_GE(std::chrono::steady_clock::now() - begun, absl::ToChronoNanoseconds(kLife / 2)) << "it could have gone on";
}

TEST_F(ReplicasTest, ATokenIsExchangedOnceForBoth) {
  config_.providers["kimi"].max_in_flight_per_account = 10;
  Start(2);
  std::vector<std::future<absl::StatusOr<std::string>>> asked;
  for (int i = 0; i < 8; ++i) asked.push_back(Borrow(Client(i % 2), "kimi"));
  for (auto& one : asked) {
    const auto token = one.get();
    ASSERT_TRUE(token.ok()) << token.status();
    EXPECT_EQ(*token, "token-1");
  }
  absl::MutexLock lock(&platform_.mutex);
  EXPECT_EQ(platform_.refreshes, 1);
}

TEST_F(ReplicasTest, ARefusedTokenIsReplacedForTheOthersToo) {
  config_.providers["kimi"].max_in_flight_per_account = 2;
  Start(2);
  SessionClient& first = Client(0);
  SessionClient& second = Client(1);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto one = co_await Take(scope, first, Wish("kimi"));
    auto two = co_await Take(scope, second, Wish("kimi"));
    EXPECT_TRUE(one.ok() && two.ok()) << one.status() << two.status();
    if (!one.ok() || !two.ok()) co_return;
    EXPECT_EQ((*one)->token(), (*two)->token());
    EXPECT_EQ((*one)->identity(), (*two)->identity()) << "two devices for one account";
    const absl::Status renewed = co_await (*one)->RefreshToken(scope);
    EXPECT_TRUE(renewed.ok()) << renewed;
    EXPECT_EQ((*one)->token().Reveal(), "token-2");
    const absl::Status told = co_await (*two)->RefreshToken(scope);
    EXPECT_TRUE(told.ok()) << told;
    EXPECT_EQ((*two)->token().Reveal(), "token-2") << "exchanged again instead of being told";
    co_await (*one)->Release();
    co_await (*two)->Release();
  });
  EXPECT_EQ(Borrow(second, "kimi").get().value_or(""), "token-2");
}

TEST_F(ReplicasTest, ACoolDownIsKeptByTheOtherAndABanTellsItsHolders) {
  config_.providers["deepseek"].max_in_flight_per_account = 2;
  Start(2);
  SessionClient& first = Client(0);
  SessionClient& second = Client(1);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto one = co_await Take(scope, first);
    auto two = co_await Take(scope, second);
    EXPECT_TRUE(one.ok() && two.ok()) << one.status() << two.status();
    if (!one.ok() || !two.ok()) co_return;
    ReportOutcome limited;
    limited.set_outcome(ReportOutcome::OUTCOME_RATE_LIMITED);
    limited.mutable_retry_after()->set_seconds(300);
    (*one)->Report(limited);
    ProtoAccount::State seen = ProtoAccount::STATE_READY;
    while (seen != ProtoAccount::STATE_COOLING_DOWN && !scope.ended()) {
      auto listed = co_await second.ListAccounts(scope, CallContext(), "deepseek");
      if (listed.ok()) seen = listed->accounts(0).state();
    }
    EXPECT_EQ(seen, ProtoAccount::STATE_COOLING_DOWN);
    ReportOutcome banned;
    banned.set_outcome(ReportOutcome::OUTCOME_BANNED);
    (*one)->Report(banned);
    while (seen != ProtoAccount::STATE_BANNED && !scope.ended()) {
      auto listed = co_await second.ListAccounts(scope, CallContext(), "deepseek");
      if (listed.ok()) seen = listed->accounts(0).state();
    }
    const absl::Status told = co_await (*two)->RefreshToken(scope);
    EXPECT_EQ(ReasonOf(told), Reason::REASON_ACCOUNT_BANNED) << told;
    co_await (*one)->Release();
    co_await (*two)->Release();
  });
  EXPECT_EQ(ReasonOf(Borrow(second).get().status()), Reason::REASON_ACCOUNT_BANNED);
}

TEST_F(ReplicasTest, WhatADeadReplicasHolderHasLeftIsCleanedUpByOne) {
  Start(2);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await Take(scope, Client(0));
    EXPECT_TRUE(lease.ok()) << lease.status();
    if (!lease.ok()) co_return;
    const absl::Status recorded = co_await (*lease)->RecordConversation(scope, "left-over");
    EXPECT_TRUE(recorded.ok()) << recorded;
    EXPECT_EQ(Listed(1).pending_conversations(), 0) << "it is in use";
    co_await (*lease)->Release();
  });
  ASSERT_TRUE(Eventually([&] { return Listed(1).pending_conversations() == 1; }));
  Acquire clean_up = Wish();
  clean_up.set_purpose(Acquire::PURPOSE_CLEAN_UP);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto one = co_await Take(scope, Client(1), clean_up);
    EXPECT_TRUE(one.ok()) << one.status();
    if (!one.ok()) co_return;
    EXPECT_EQ((*one)->pending_conversations(), std::vector<std::string>{"left-over"});
    auto two = co_await Take(scope, Client(0), clean_up);
    EXPECT_EQ(two.status().code(), absl::StatusCode::kNotFound) << "handed out twice";
    (*one)->ConversationDeleted("left-over");
    co_await (*one)->Release();
  });
  EXPECT_TRUE(Eventually([&] { return Listed(0).pending_conversations() == 0; }));
}

TEST_F(ReplicasTest, TheLeaderMayDieAndTurnsGoOn) {
  Start(2, 3);
  SessionClient& both = Client();
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await Take(scope, both);
    EXPECT_TRUE(lease.ok()) << lease.status();
    if (!lease.ok()) co_return;
    bool lost = false;
    (*lease)->OnLost([&lost](const absl::Status&) { lost = true; });
    const int leader = etcd_->Leader();
    EXPECT_GE(leader, 0);
    etcd_->Kill(std::max(leader, 0));
    const absl::Status recorded = co_await (*lease)->RecordConversation(scope, "ref");
    EXPECT_TRUE(recorded.ok()) << recorded;
    (*lease)->ConversationDeleted("ref");
    EXPECT_FALSE(lost);
    co_await (*lease)->Release();
  });
  EXPECT_TRUE(Borrow(both).get().ok());
}

TEST_F(ReplicasTest, WithoutTheStoreNothingIsLentAndAfterwardsAllIs) {
  Start(2);
  SessionClient& both = Client();
  EXPECT_TRUE(Borrow(both).get().ok());
  etcd_->Kill(0);
  const auto refused = Borrow(both).get();
  EXPECT_EQ(ReasonOf(refused.status()), Reason::REASON_NO_BACKEND) << refused.status();
  etcd_->Start(0);
  etcd_->WaitReady(0);
  EXPECT_TRUE(Eventually([&] { return Borrow(both).get().ok(); }));
}

TEST_F(ReplicasTest, AReplicaThatStartsBeforeItsStoreWaitsForIt) {
  Start(0);
  etcd_->Kill(0);
  Metrics::Get().StoreContact().Set(1);
  auto starting = std::async(std::launch::async, [this] { Add(); });
  EXPECT_TRUE(Eventually([] { return Metrics::Get().StoreContact().Value() == 0; }));
  etcd_->Start(0);
  starting.get();
  EXPECT_TRUE(Eventually([this] { return Borrow(Client(0)).get().ok(); }));
  EXPECT_EQ(Metrics::Get().StoreContact().Value(), 1);
}

TEST_F(ReplicasTest, AStartThatWaitsEndsWhenItIsTold) {
  Start(0);
  etcd_->Kill(0);
  std::atomic<bool> stop{false};
  SessionHostOptions options;
  options.stop = [&stop] { return stop.load(); };
  Runtime runtime(Runtime::Options{.threads = 1});
  auto starting = std::async(std::launch::async, [&] {
    return SessionHost::StartPatiently(config_, runtime, *http_, signing_, options).status();
  });
  EXPECT_EQ(starting.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
  stop = true;
  EXPECT_EQ(starting.wait_for(std::chrono::seconds(1)), std::future_status::ready);
  EXPECT_EQ(starting.get().code(), absl::StatusCode::kCancelled);
  runtime.Stop();
}

TEST_F(ReplicasTest, CertificatesForEtcdMayBeReplacedWhileItRuns) {
  std::string directory = FreshDirectory();
  const auto issue = [&directory](const TestAuthority& authority) {
    const auto pem = authority.Issue("DNS:localhost,IP:127.0.0.1");
    std::ofstream(directory + "/ca.pem") << authority.certificate();
    std::ofstream(directory + "/cert.pem") << pem.certificate;
    std::ofstream(directory + "/key.pem") << pem.key;
  };
  const TestAuthority first, second;
  issue(first);
  const EtcdFiles files{directory + "/ca.pem", directory + "/cert.pem", directory + "/key.pem"};
  etcd_ = std::make_unique<EtcdCluster>(1, files);
  config_.session.store = etcd_->Url("test");
  config_.session.etcd_ca = files.authority;
  config_.session.etcd_certificate = files.certificate;
  config_.session.etcd_key = files.key;
  Add();
  EXPECT_TRUE(Borrow(Client(0)).get().ok());
  issue(second);
  etcd_->Kill(0);
  etcd_->Start(0);
  etcd_->WaitReady(0);
  EXPECT_TRUE(Eventually([this] { return Borrow(Client(0)).get().ok(); }))
      << "it shows and trusts what was read at start";
  replicas_.clear();
  std::filesystem::remove_all(directory);
}

TEST_F(ReplicasTest, ANewerConfiguredValueWinsEverywhereAndAnOlderReplicaFollows) {
  Start(1);
  EXPECT_EQ(Borrow(Client(0)).get().value_or(""), "token");
  config_.accounts[0].credential = Secret("newer");
  Add();
  EXPECT_EQ(Borrow(Client(1)).get().value_or(""), "newer");
  EXPECT_TRUE(Eventually([&] { return Borrow(Client(0)).get().value_or("") == "newer"; }));
  config_.accounts[0].credential = Secret("token");
  Add();  // restarted with the older value
  EXPECT_EQ(Borrow(Client(2)).get().value_or(""), "newer") << "they would take turns for ever";
}

TEST_F(ReplicasTest, AnExchangeUnderWayDoesNotOverwriteANewLogin) {
  platform_.held = true;
  Start(1);
  auto asked = Borrow(Client(0), "kimi");
  ASSERT_TRUE(Eventually([this] {
    absl::MutexLock lock(&platform_.mutex);
    return platform_.arrived == 1;
  }));
  config_.accounts[1].credential = Secret("second");
  {
    absl::MutexLock lock(&platform_.mutex);
    platform_.credentials.insert("second");
  }
  Add();  // the owner has pasted another login, and this replica is started with it
  ASSERT_TRUE(Eventually([this] { return Listed(0, "kimi").state() == ProtoAccount::STATE_READY; }));
  {
    absl::MutexLock lock(&platform_.mutex);
    platform_.held = false;
    platform_.released = true;
  }
  // Whoever waited may get an error; what must not be is that the former login comes back.
  asked.wait();
  EXPECT_EQ(Borrow(Client(1), "kimi").get().value_or(""), "the second login's");
  EXPECT_EQ(Borrow(Client(0), "kimi").get().value_or(""), "the second login's");
}

TEST_F(ReplicasTest, WhoComesSecondWithADeadCredentialDoesNotCondemnTheAccount) {
  config_.providers["kimi"].max_in_flight_per_account = 2;
  platform_.held = true;
  Start(2);
  auto asked = Borrow(Client(0), "kimi");
  ASSERT_TRUE(Eventually([this] {
    absl::MutexLock lock(&platform_.mutex);
    return platform_.arrived == 1;
  }));
  // As a process that is stopped before its request leaves: its lease ends, and another exchanges the credential.
  const std::string keys = etcd_->Control("get --prefix --keys-only /test/locks");
  ASSERT_NE(keys.find("kimi"), std::string::npos) << keys;
  etcd_->Control("del --prefix /test/locks");
  {
    absl::MutexLock lock(&platform_.mutex);
    platform_.held = false;
  }
  EXPECT_TRUE(Borrow(Client(1), "kimi").get().ok());
  {
    absl::MutexLock lock(&platform_.mutex);
    platform_.released = true;
  }
  asked.wait();
  EXPECT_EQ(Listed(0, "kimi").state(), ProtoAccount::STATE_READY);
  EXPECT_EQ(Listed(1, "kimi").state(), ProtoAccount::STATE_READY);
  EXPECT_TRUE(Borrow(Client(0), "kimi").get().ok());
}

TEST_F(ReplicasTest, AMistypedValueIsItsOwnReplicasTrouble) {
  Start(1);
  EXPECT_EQ(Borrow(Client(0)).get().value_or(""), "token");
  config_.accounts[0].credential = Secret("mistyped");
  Add();
  EXPECT_EQ(Listed(1).state(), ProtoAccount::STATE_WRONG_FORM);
  EXPECT_FALSE(Borrow(Client(1)).get().ok());
  EXPECT_EQ(Listed(0).state(), ProtoAccount::STATE_READY);
  EXPECT_EQ(Borrow(Client(0)).get().value_or(""), "token");
  config_.accounts[0].credential = Secret("token");
  Add();  // and back again
  EXPECT_EQ(Borrow(Client(2)).get().value_or(""), "token");
}

TEST_F(ReplicasTest, AnAccountThatWasRemovedFinishesItsTurns) {
  Start(1);
  SessionClient& old = Client(0);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await Take(scope, old);
    EXPECT_TRUE(lease.ok()) << lease.status();
    if (!lease.ok()) co_return;
    std::atomic<bool> lost{false};
    (*lease)->OnLost([&lost](const absl::Status&) { lost = true; });
    const std::string address = replicas_[0]->address();
    config_.accounts.erase(config_.accounts.begin());
    config_.providers["deepseek"].enabled = false;
    Add();
    // The replica that has it makes place for the one that has been told nothing of the account.
    replicas_[0]->service().Leave();
    while (Holds(0) && !scope.ended()) {
      replicas_[0]->service().HandOver();
      replicas_[0].reset();
      replicas_[0] = std::make_unique<Replica>(config_, platform_, *http_, signing_, address);
    }
    while (!Holds(0) && !Holds(1) && !lost && !scope.ended()) co_await Sleep(scope, absl::Milliseconds(10));
    EXPECT_FALSE(lost) << "the answer would end in the middle";
    absl::Status recorded = co_await (*lease)->RecordConversation(scope, "still");
    EXPECT_EQ(recorded, absl::OkStatus());
    co_await (*lease)->Release();
  });
  EXPECT_EQ(ReasonOf(Borrow(Client(1)).get().status()), Reason::REASON_CREDENTIAL_MISSING) << "nobody gets it any more";
  EXPECT_EQ(Listed(1).label(), "") << "nor is it listed";
}

TEST_F(ReplicasTest, AStoreThatTakesNoWritesIsSaidToBeTheReason) {
  etcd_ = std::make_unique<EtcdCluster>(1, EtcdFiles(), 8 * 1024 * 1024);
  config_.session.store = etcd_->Url("test");
  Add();
  EXPECT_TRUE(Borrow(Client(0)).get().ok());
  etcd_->FillUp();
  const absl::Status refused = Borrow(Client(0)).get().status();
  EXPECT_EQ(ReasonOf(refused), Reason::REASON_NO_BACKEND) << refused;
  EXPECT_EQ(DetailOf(refused).cause(), "store") << "not that the account is busy";
}

TEST_F(ReplicasTest, TwoThatStopAtOnceDoNotHandOverToEachOther) {
  Start(2);
  // Of the one that was started last, and so knows of the other for certain.
  SessionClient& last = Client(1);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await Take(scope, last);
    EXPECT_TRUE(lease.ok()) << lease.status();
    if (!lease.ok()) co_return;
    // Twice, so that the one which left first knows of the other for certain.
    for (int round = 0; round < 2; ++round) {
      for (auto& replica : replicas_) replica->service().Leave();
    }
    for (auto& replica : replicas_) replica->service().HandOver();
    absl::Status recorded = co_await (*lease)->RecordConversation(scope, "kept");
    EXPECT_EQ(recorded, absl::OkStatus());
    EXPECT_TRUE(Holds(1)) << "the turn that runs is waited for";
    co_await (*lease)->Release();
  });
}

TEST_F(ReplicasTest, WithoutAKeyOrWithAnotherItDoesNotStart) {
  Start(1);
  config_.session.store_key = Secret();
  Runtime runtime(Runtime::Options{.threads = 1});
  const auto without = SessionHost::Start(config_, runtime, *http_, signing_);
  EXPECT_EQ(without.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(without.status().message().find("store_key"), std::string::npos);
  config_.session.store_key = Secret(std::string(64, 'b'));
  EXPECT_EQ(SessionHost::Start(config_, runtime, *http_, signing_).status().code(), absl::StatusCode::kInvalidArgument);
  runtime.Stop();
}

}  // namespace
}  // namespace switchyard
