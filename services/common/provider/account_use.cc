#include "services/common/provider/account_use.h"

#include <utility>

#include "services/common/log/log.h"
#include "services/common/status/reason.h"
#include "services/session/client/outcome.h"

namespace switchyard {
namespace {

// Every call that undoes something is small; a platform that does not answer one in this time will not soon.
constexpr absl::Duration kUndoLimit = absl::Seconds(10);
constexpr absl::Duration kDrainLimit = absl::Seconds(3);
constexpr size_t kDrainBytes = 1024 * 1024;

}  // namespace

boost::asio::awaitable<absl::Status> AccountUse::Acquire(Scope& call, SessionClient& sessions, CallContext context,
                                                         session::v1::Acquire acquire,
                                                         std::function<void(const absl::Status&)> lost) {
  auto with_call = call.OnEnd([this, &call] { life_.Cancel(call.status()); });
  context.deadline = Scope::Deadline::max();  // the lease outlives the call
  auto lease = co_await sessions.Acquire(life_, std::move(context), std::move(acquire));
  if (!lease.ok()) co_return call.ended() ? call.status() : lease.status();
  lease_ = *std::move(lease);
  lease_->OnLost([this, lost = std::move(lost)](const absl::Status& why) {
    lost_ = true;
    if (lost) lost(why);
  });
  account_.label = lease_->account();
  account_.token = lease_->token();
  account_.identity = lease_->identity();
  co_return absl::OkStatus();
}

boost::asio::awaitable<absl::Status> AccountUse::RenewToken(Scope& call) {
  const absl::Status renewed = co_await lease_->RefreshToken(call);
  account_.token = lease_->token();
  co_return renewed;
}

void AccountUse::Report(const absl::Status& outcome) { lease_->Report(OutcomeOf(outcome)); }

boost::asio::awaitable<void> AccountUse::CleanUp(bool keep_conversation) {
  if (!generation.empty()) {
    to_drain.reset();  // its connection closes: nobody reads that answer any more
    Scope scope(life_, kUndoLimit, MakeError(Reason::REASON_DEADLINE, "stopping the generation took too long"));
    const absl::Status stopped = co_await provider_.StopGeneration(scope, account_, generation);
    if (!stopped.ok()) {
      LogWarning(
          "stop_failed",
          {{"platform", provider_.platform()}, {"account", account_.label}, {"reason", ReasonName(ReasonOf(stopped))}});
    }
  }
  if (to_drain) {
    Scope scope(life_, kDrainLimit, MakeError(Reason::REASON_DEADLINE, "nothing more to read"));
    auto rest = co_await to_drain->ReadAll(scope, kDrainBytes);
    to_drain.reset();
  }
  for (const std::string& ref : conversations) {
    // The account is somebody else's, and so is what the ledger says is left to delete on it.
    if (lost_) break;
    if (keep_conversation && (kept.empty() || ref == kept)) continue;
    Scope scope(life_, kUndoLimit, MakeError(Reason::REASON_DEADLINE, "deleting the conversation took too long"));
    const absl::Status deleted = co_await provider_.DeleteConversation(scope, account_, ref);
    if (deleted.ok() || deleted.code() == absl::StatusCode::kNotFound) {
      lease_->ConversationDeleted(ref);
    } else {
      LogWarning(
          "delete_failed",
          {{"platform", provider_.platform()}, {"account", account_.label}, {"reason", ReasonName(ReasonOf(deleted))}});
    }
  }
  if (lease_) co_await lease_->Release();
  lease_.reset();
}

}  // namespace switchyard
