#include "services/common/provider/account_use.h"

#include <array>
#include <utility>

#include "services/common/log/log.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

using session::v1::ReportOutcome;

// Every call that undoes something is small; a platform that does not answer one in this time will not soon.
constexpr absl::Duration kUndoLimit = absl::Seconds(10);
constexpr absl::Duration kDrainLimit = absl::Seconds(3);
constexpr size_t kDrainBytes = 1024 * 1024;

struct OutcomeRow {
  Reason reason;
  ReportOutcome::Outcome outcome;
};
// What an error says about the account. Anything else says nothing about it.
constexpr std::array kOutcomes = {
    OutcomeRow{Reason::REASON_RATE_LIMITED, ReportOutcome::OUTCOME_RATE_LIMITED},
    OutcomeRow{Reason::REASON_CREDENTIAL_EXPIRED, ReportOutcome::OUTCOME_EXPIRED},
    OutcomeRow{Reason::REASON_ACCOUNT_MUTED, ReportOutcome::OUTCOME_MUTED},
    OutcomeRow{Reason::REASON_ACCOUNT_BANNED, ReportOutcome::OUTCOME_BANNED},
    OutcomeRow{Reason::REASON_CAPTCHA_PENDING, ReportOutcome::OUTCOME_CAPTCHA},
    OutcomeRow{Reason::REASON_CLIENT_REFUSED, ReportOutcome::OUTCOME_CLIENT_REFUSED},
    OutcomeRow{Reason::REASON_QUOTA_SPENT, ReportOutcome::OUTCOME_QUOTA_SPENT},
};

}  // namespace

boost::asio::awaitable<absl::Status> AccountUse::Acquire(Scope& call, SessionClient& sessions, CallContext context,
                                                         session::v1::Acquire acquire) {
  auto with_call = call.OnEnd([this, &call] { life_.Cancel(call.status()); });
  context.deadline = Scope::Deadline::max();  // the lease outlives the call
  auto lease = co_await sessions.Acquire(life_, std::move(context), std::move(acquire));
  if (!lease.ok()) co_return call.ended() ? call.status() : lease.status();
  lease_ = *std::move(lease);
  account_.label = lease_->account();
  account_.token = lease_->token();
  account_.identity = lease_->identity();
  co_return absl::OkStatus();
}

void AccountUse::Report(const absl::Status& outcome) {
  ReportOutcome report;
  report.set_outcome(outcome.ok() ? ReportOutcome::OUTCOME_OK : ReportOutcome::OUTCOME_FAILED);
  const ErrorDetail detail = DetailOf(outcome);
  for (const OutcomeRow& row : kOutcomes) {
    if (!outcome.ok() && row.reason == detail.reason()) report.set_outcome(row.outcome);
  }
  if (detail.has_retry_after()) *report.mutable_retry_after() = detail.retry_after();
  if (detail.has_until()) *report.mutable_until() = detail.until();
  lease_->Report(std::move(report));
}

boost::asio::awaitable<void> AccountUse::CleanUp(bool keep_conversation) {
  if (!generation.empty()) {
    to_drain.reset();  // its connection closes: nobody reads that answer any more
    Scope scope(life_, kUndoLimit, MakeError(Reason::REASON_DEADLINE, "stopping the generation took too long"));
    const absl::Status stopped = co_await provider_.StopGeneration(scope, account_, generation);
    if (!stopped.ok()) {
      LogWarning("stop_failed", {{"platform", provider_.platform()}, {"account", account_.label}, {"reason", ReasonName(ReasonOf(stopped))}});
    }
  }
  if (to_drain) {
    Scope scope(life_, kDrainLimit, MakeError(Reason::REASON_DEADLINE, "nothing more to read"));
    auto rest = co_await to_drain->ReadAll(scope, kDrainBytes);
    to_drain.reset();
  }
  for (const std::string& ref : conversations) {
    if (keep_conversation) break;
    Scope scope(life_, kUndoLimit, MakeError(Reason::REASON_DEADLINE, "deleting the conversation took too long"));
    const absl::Status deleted = co_await provider_.DeleteConversation(scope, account_, ref);
    if (deleted.ok() || deleted.code() == absl::StatusCode::kNotFound) {
      lease_->ConversationDeleted(ref);
    } else {
      LogWarning("delete_failed", {{"platform", provider_.platform()}, {"account", account_.label}, {"reason", ReasonName(ReasonOf(deleted))}});
    }
  }
  if (lease_) co_await lease_->Release();
  lease_.reset();
}

}  // namespace switchyard
