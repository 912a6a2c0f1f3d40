// What Accounts writes about tokens and when it uses them, over a store that answers when the test says so.
#include "services/session/accounts.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "boost/asio/co_spawn.hpp"
#include "boost/asio/detached.hpp"
#include "boost/asio/io_context.hpp"
#include "services/common/async/sleep.h"
#include "services/common/rpc/channel.h"
#include "services/common/status/reason.h"
#include "services/session/token_keeper.h"

namespace switchyard {
namespace {

using ProtoAccount = session::v1::Account;
using session::v1::LeaseEvent;
using session::v1::ReportOutcome;

class SetClock final : public Clock {
 public:
  absl::Time Now() const override { return now; }
  Monotonic MonotonicNow() const override { return Monotonic() + absl::ToChronoNanoseconds(now - absl::UnixEpoch()); }
  absl::Time now = absl::FromUnixSeconds(1'800'000'000);
};

/// Holds every write until Answer(), and then keeps it as the SQLite store would.
class HeldStore final : public Store {
 public:
  void Write(Change change, Done done) override { held.emplace_back(std::move(change), std::move(done)); }
  absl::StatusOr<std::vector<StoredAccount>> Accounts() override {
    std::vector<StoredAccount> accounts;
    if (stored) accounts.push_back(*stored);
    if (stored) accounts.back().exchanging = exchanging;
    return accounts;
  }
  absl::StatusOr<std::vector<StoredConversation>> Conversations() override { return std::vector<StoredConversation>(); }
  bool shared() const override { return is_shared; }
  void Observe(StoreObserver* told) override { observer = told; }

  void Answer(const absl::Status& status = absl::OkStatus()) {
    while (!held.empty()) {
      auto [change, done] = std::move(held.front());
      held.pop_front();
      if (status.ok()) std::visit([this](const auto& one) { Keep(one); }, change);
      if (done) done(status);
    }
  }

  std::deque<std::pair<Change, Done>> held;
  std::optional<StoredAccount> stored;
  bool exchanging = false;
  bool is_shared = false;
  StoreObserver* observer = nullptr;

 private:
  void Keep(const PutAccount& put) {
    stored = put.account;
    if (put.ends_exchange) exchanging = false;
  }
  void Keep(const PutState& put) {
    stored->state = put.state;
    stored->until_ms = put.until_ms;
  }
  void Keep(const PutToken& put) {
    stored->token = put.token;
    stored->token_version = put.token_version;
    stored->expires_ms = put.expires_ms;
  }
  void Keep(const Store::BeginExchange&) { exchanging = true; }
  void Keep(const EndExchange&) { exchanging = false; }
  void Keep(const PutConversation&) {}
  void Keep(const DropConversation&) {}
};

class RotatingRefresher final : public Refresher {
 public:
  explicit RotatingRefresher(int& asked) : asked_(asked) {}

  absl::StatusOr<NormalCredential> Normalise(const Secret& configured) const override {
    NormalCredential normal{configured};
    normal.exchanged = true;
    return normal;
  }
  RefreshPolicy policy() const override { return {.lead = absl::Minutes(5), .rotates = true}; }
  boost::asio::awaitable<absl::Status> Check(Scope&, Secret, Identity) const override { co_return absl::OkStatus(); }
  /// A platform that is asked and does not answer.
  boost::asio::awaitable<absl::StatusOr<FreshToken>> Refresh(Scope& scope, Secret, Identity) const override {
    ++asked_;
    co_await Sleep(scope, absl::Hours(1));
    --asked_;
    co_return scope.status();
  }

 private:
  int& asked_;
};

class AccountsTest : public ::testing::Test {
 protected:
  AccountsTest() : http_(*MakeHttpClient({})) {
    config_ = *LoadConfig({}, {});
    config_.accounts = {{"kimi", "kimi", Secret("first")}};
    Start();
  }

  void Start(absl::Duration resume_first = absl::ZeroDuration()) {
    Accounts::Dependencies dependencies{loop_.get_executor(), store_,      sealer_, *http_, signing_, clock_,
                                        SystemRandom::Get(),  resume_first};
    accounts_ = std::make_unique<Accounts>(dependencies,
                                           [this](const std::string& platform, const ProviderConfig&,
                                                  const RefresherTools&) -> std::unique_ptr<Refresher> {
                                             if (platform != "kimi" && platform != "metaso") return nullptr;
                                             return std::make_unique<RotatingRefresher>(asked_);
                                           });
    ASSERT_TRUE(accounts_->Load(config_).ok());
    store_.Answer();
  }

  FreshToken Fresh(const std::string& token, const std::string& credential) {
    FreshToken fresh{Secret(token)};
    fresh.expires = clock_.now + absl::Hours(1);
    fresh.rotated = Secret(credential);
    return fresh;
  }
  void Commit(const FreshToken& fresh, const std::string& used) {
    accounts_->CommitExchange("kimi", accounts_->ExchangeFor("kimi")->login, fresh, Secret(used),
                              [this](absl::Status status) { committed_ = status; });
  }
  std::string Token() { return accounts_->Current("kimi")->token.Reveal(); }
  std::vector<std::string> Credentials() {
    std::vector<std::string> all;
    const auto exchange = accounts_->ExchangeFor("kimi");
    for (const Secret& one : exchange->credentials) all.push_back(one.Reveal());
    return all;
  }
  ProtoAccount::State State() { return accounts_->Find("kimi")->state(); }

  boost::asio::io_context loop_;
  SetClock clock_;
  HeldStore store_;
  Sealer sealer_{Secret(std::string(64, 'a'))};
  std::unique_ptr<HttpClient> http_;
  SigningClient signing_{MakeChannel("unix:/nonexistent")};
  Config config_;
  std::unique_ptr<Accounts> accounts_;
  std::optional<absl::Status> committed_;
  int asked_ = 0;  // exchanges under way
};

TEST_F(AccountsTest, NothingIsUsedThatIsNotStored) {
  std::vector<LeaseEvent> told;
  accounts_->Listen("kimi", [&](const LeaseEvent& event) { told.push_back(event); });
  Commit(Fresh("t1", "second"), "first");
  EXPECT_EQ(Token(), "");
  EXPECT_TRUE(told.empty());
  EXPECT_FALSE(committed_.has_value());
  store_.Answer();
  EXPECT_TRUE(committed_->ok());
  EXPECT_EQ(Token(), "t1");
  EXPECT_EQ(store_.stored->credential.Reveal(), "second");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].token_updated().token().value(), "t1");
  EXPECT_EQ(told[0].token_updated().token().expires_at().seconds(), absl::ToUnixSeconds(clock_.now + absl::Hours(1)));
}

TEST_F(AccountsTest, TheJournalIsWrittenFirstAndSettledWithTheAnswer) {
  bool begun = false;
  accounts_->BeginExchange("kimi", [&](const absl::Status& status) { begun = status.ok(); });
  EXPECT_FALSE(begun);
  store_.Answer();
  EXPECT_TRUE(begun);
  EXPECT_TRUE(store_.exchanging);
  Commit(Fresh("t1", "second"), "first");
  ASSERT_EQ(store_.held.size(), 1u) << "one write, not two";
  store_.Answer();
  EXPECT_FALSE(store_.exchanging);
}

// A request that is held up where the network is cut must not come through later, with a credential that another
// replica has replaced.
TEST_F(AccountsTest, AnExchangeEndsWhenTheStoreIsLost) {
  TokenKeeper tokens(*accounts_);
  Scope scope(loop_.get_executor());
  std::optional<absl::Status> got;
  const auto ask = [&]() -> boost::asio::awaitable<void> {
    auto fresh = co_await tokens.Fresh(scope, "kimi");
    got = fresh.status();
  };
  const auto run = [this] {
    loop_.restart();
    loop_.poll();
  };
  boost::asio::co_spawn(loop_, ask, boost::asio::detached);
  run();
  store_.Answer();  // the journal
  run();
  ASSERT_EQ(asked_, 1);
  store_.observer->OnContact(true);
  run();
  EXPECT_EQ(asked_, 1);
  store_.observer->OnContact(false);
  run();
  EXPECT_EQ(asked_, 0);
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(ReasonOf(*got), Reason::REASON_UPSTREAM_UNAVAILABLE) << "the platform may have acted on it";
}

// What is learned of the account while the newer credential is on its way to the disk must not undo it.
TEST_F(AccountsTest, AStateThatChangesMeanwhileKeepsTheRotatedCredential) {
  Commit(Fresh("t1", "second"), "first");
  ReportOutcome muted;
  muted.set_outcome(ReportOutcome::OUTCOME_MUTED);
  accounts_->Report("kimi", accounts_->Current("kimi")->login, muted, 0);
  accounts_->AdoptToken("kimi", Secret("t2"));
  store_.Answer();
  EXPECT_EQ(store_.stored->credential.Reveal(), "second");
  EXPECT_EQ(store_.stored->token.Reveal(), "t2");
  EXPECT_EQ(Token(), "t2");
  Start();
  EXPECT_EQ(Credentials(), (std::vector<std::string>{"second", "first"}));
  EXPECT_EQ(State(), ProtoAccount::STATE_MUTED);
}

TEST_F(AccountsTest, WhatCouldNotBeStoredIsKeptForTheNextAttempt) {
  Commit(Fresh("t1", "second"), "first");
  store_.Answer(absl::UnavailableError("the disk is full"));
  EXPECT_FALSE(committed_->ok());
  EXPECT_EQ(Token(), "") << "used without being stored";
  const auto exchange = accounts_->ExchangeFor("kimi");
  ASSERT_TRUE(exchange->unstored.has_value());
  Commit(*exchange->unstored, exchange->unstored_for.Reveal());
  store_.Answer();
  EXPECT_EQ(Token(), "t1");
  EXPECT_EQ(Credentials(), (std::vector<std::string>{"second", "first"}));
  EXPECT_FALSE(accounts_->ExchangeFor("kimi")->unstored.has_value());
}

TEST_F(AccountsTest, WhereTheOlderCredentialIsTakenTheNewerIsForgotten) {
  Commit(Fresh("t1", "second"), "first");
  store_.Answer();
  FreshToken fresh = Fresh("t2", "");
  fresh.rotated.reset();
  Commit(fresh, "first");
  store_.Answer();
  EXPECT_EQ(Credentials(), std::vector<std::string>{"first"});
}

TEST_F(AccountsTest, AnUnsettledExchangeAndARefusalNeedALoginAndHoldersAreTold) {
  accounts_->BeginExchange("kimi", [](const absl::Status&) {});
  store_.Answer();
  Start();  // killed before the answer came
  EXPECT_EQ(State(), ProtoAccount::STATE_READY) << "assumed dead without being tried";
  std::vector<LeaseEvent> told;
  accounts_->Listen("kimi", [&](const LeaseEvent& event) { told.push_back(event); });
  accounts_->FailExchange("kimi", *accounts_->ExchangeFor("kimi"), MakeError(Reason::REASON_CREDENTIAL_EXPIRED, "no"),
                          true);
  store_.Answer();
  EXPECT_EQ(State(), ProtoAccount::STATE_NEEDS_LOGIN);
  EXPECT_NE(accounts_->Find("kimi")->advice(), "");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(told[0].has_revoked());
  EXPECT_FALSE(store_.exchanging);
  Start();
  EXPECT_EQ(State(), ProtoAccount::STATE_NEEDS_LOGIN);
  config_.accounts = {{"kimi", "kimi", Secret("another")}};
  Start();
  EXPECT_EQ(State(), ProtoAccount::STATE_READY) << "a new login ends it";
  EXPECT_EQ(Credentials(), std::vector<std::string>{"another"});
}

TEST_F(AccountsTest, AnOpenFailureLeavesTheJournalAndADefiniteOneSettlesIt) {
  accounts_->BeginExchange("kimi", [](const absl::Status&) {});
  accounts_->FailExchange("kimi", *accounts_->ExchangeFor("kimi"), MakeError(Reason::REASON_RATE_LIMITED, "slower"),
                          true);
  store_.Answer();
  EXPECT_FALSE(store_.exchanging);
  accounts_->BeginExchange("kimi", [](const absl::Status&) {});
  accounts_->FailExchange("kimi", *accounts_->ExchangeFor("kimi"), MakeError(Reason::REASON_UPSTREAM_BROKEN, "cut"),
                          false);
  store_.Answer();
  EXPECT_TRUE(store_.exchanging);
}

TEST_F(AccountsTest, HowLongALimitCanBeDependsOnThePlatform) {
  config_.accounts.push_back({"metaso", "metaso", Secret("65f0c0ffee5eed0000000001-0f1e2d3c4b5a69788796a5b400000001")});
  Start();
  ReportOutcome limited;
  limited.set_outcome(ReportOutcome::OUTCOME_RATE_LIMITED);
  limited.mutable_retry_after()->set_seconds(7200);
  for (const auto& [account, seconds] : {std::pair("kimi", 600), std::pair("metaso", 3600)}) {
    accounts_->Report(account, accounts_->Current(account)->login, limited, 0);
    EXPECT_EQ(DetailOf(accounts_->WhyNot(account)).retry_after().seconds(), seconds) << account;
  }
}

TEST_F(AccountsTest, ATokenInUseAgesAheadOfItsLead) {
  Commit(Fresh("t1", "second"), "first");
  store_.Answer();
  clock_.now += absl::Minutes(54) + absl::Seconds(30);
  EXPECT_TRUE(accounts_->Ageing().empty()) << "nobody holds it";
  accounts_->Listen("kimi", [](const LeaseEvent&) {});
  EXPECT_EQ(accounts_->Ageing(), std::vector<std::string>{"kimi"});
  EXPECT_EQ(accounts_->FreshnessOf("kimi"), Accounts::Freshness::kFresh);
  accounts_->FailExchange("kimi", *accounts_->ExchangeFor("kimi"),
                          MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, "away"), true);
  EXPECT_TRUE(accounts_->Ageing().empty()) << "asked again at once after a failure";
  clock_.now += absl::Minutes(1);
  EXPECT_EQ(accounts_->FreshnessOf("kimi"), Accounts::Freshness::kUseless);
}

TEST_F(AccountsTest, AfterARestartHoldersResumeBeforeAnythingIsLent) {
  accounts_.reset();
  Start(absl::Seconds(2));
  std::vector<std::string> order;
  const auto told = [&order](const std::string& who) {
    return
        [&order, who](absl::StatusOr<Accounts::Granted> granted) { order.push_back(granted.ok() ? who : "refused"); };
  };
  const auto queued = accounts_->Acquire("kimi", {"caller"}, told("newcomer"));
  EXPECT_EQ(queued.position, 0) << "it has what another may hold";
  accounts_->Resume("kimi", "kimi", "slot-of-a-former-process", told("holder"));
  clock_.now += absl::Seconds(3);
  accounts_->Withdraw("kimi", 0);  // looks again
  EXPECT_EQ(order, (std::vector<std::string>{"holder"}));
  accounts_->Release("kimi", "kimi", "slot-of-a-former-process");
  clock_.now += absl::Minutes(1);
  accounts_->Withdraw("kimi", 0);
  EXPECT_EQ(order.back(), "newcomer");
}

TEST_F(AccountsTest, AStoreThatIsNewHasNoHoldersToWaitFor) {
  accounts_.reset();
  store_.stored.reset();
  Start(absl::Seconds(2));
  bool granted = false;
  accounts_->Acquire("kimi", {"caller"}, [&granted](const auto& lent) { granted = lent.ok(); });
  EXPECT_TRUE(granted);
}

TEST_F(AccountsTest, AWriteThatTheWatchTellsOfFirstEndsARefusalAllTheSame) {
  accounts_.reset();
  store_.is_shared = true;
  Start();
  Commit(Fresh("second", "credential-2"), "first");
  StoredAccount written = std::get<Store::PutAccount>(store_.held.front().first).account;
  store_.observer->OnState("kimi", ProtoAccount::STATE_EXPIRED, 0);
  ASSERT_EQ(State(), ProtoAccount::STATE_EXPIRED);
  store_.observer->OnAccount(written);
  ASSERT_EQ(Token(), "second");
  store_.Answer();
  EXPECT_EQ(State(), ProtoAccount::STATE_READY);
}

}  // namespace
}  // namespace switchyard
