#include "deploy/all_in_one/account_table.h"

#include <gtest/gtest.h>

namespace switchyard {
namespace {

using common::v1::Reason;
using session::v1::Account;
using session::v1::CheckAccountResponse;

CheckAccountResponse Checked(Account::State state, const std::string& advice = "", int64_t until = 0) {
  CheckAccountResponse checked;
  checked.set_checked(true);
  checked.mutable_account()->set_platform("kimi");
  checked.mutable_account()->set_label("kimi-2");
  checked.mutable_account()->set_state(state);
  checked.mutable_account()->set_advice(advice);
  if (until != 0) checked.mutable_account()->mutable_until()->set_seconds(until);
  return checked;
}

CheckAccountResponse Failed(Reason reason, Account::State state = Account::STATE_READY) {
  CheckAccountResponse checked = Checked(state);
  checked.set_checked(false);
  checked.mutable_detail()->set_reason(reason);
  return checked;
}

TEST(AccountTable, StatesInWords) {
  EXPECT_EQ(StateWords(Checked(Account::STATE_READY)), "ok");
  EXPECT_EQ(StateWords(Checked(Account::STATE_EXPIRED)), "expired");
  EXPECT_EQ(StateWords(Checked(Account::STATE_MUTED, "", 1793000000)), "muted until 2026-10-26 07:33 UTC");
  EXPECT_EQ(StateWords(Checked(Account::STATE_WRONG_FORM)), "wrong form");
  EXPECT_EQ(StateWords(Checked(Account::STATE_CLIENT_REFUSED)), "refused");
  EXPECT_EQ(StateWords(Checked(Account::STATE_NEEDS_LOGIN)), "needs a new login");
  for (int state = Account::State_MIN + 1; state <= Account::State_MAX; ++state)
    EXPECT_NE(StateWords(Checked(static_cast<Account::State>(state))), "unknown") << state;
}

TEST(AccountTable, AReadyAccountIsAsGoodAsItsCheck) {
  EXPECT_EQ(StateWords(Failed(Reason::REASON_UPSTREAM_CHANGED)), "platform changed");
  EXPECT_EQ(StateWords(Failed(Reason::REASON_UPSTREAM_UNAVAILABLE)), "not reached");
  EXPECT_EQ(StateWords(Failed(Reason::REASON_INTERNAL)), "not checked");
  EXPECT_EQ(StateWords(Failed(Reason::REASON_CREDENTIAL_MISSING, Account::STATE_WRONG_FORM)), "wrong form");
  EXPECT_FALSE(AllWell({Failed(Reason::REASON_UPSTREAM_UNAVAILABLE)}));
  EXPECT_FALSE(AllWell({Checked(Account::STATE_READY), Checked(Account::STATE_MUTED)}));
  EXPECT_TRUE(AllWell({Checked(Account::STATE_READY), Checked(Account::STATE_READY)}));
}

TEST(AccountTable, ColumnsAreAligned) {
  EXPECT_EQ(AccountTable({Checked(Account::STATE_READY), Checked(Account::STATE_EXPIRED, "Log in again.")}),
            "PLATFORM  ACCOUNT  STATE    WHAT TO DO\n"
            "kimi      kimi-2   ok\n"
            "kimi      kimi-2   expired  Log in again.\n");
}

}  // namespace
}  // namespace switchyard
