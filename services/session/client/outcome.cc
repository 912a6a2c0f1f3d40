#include "services/session/client/outcome.h"

#include <array>

#include "services/common/status/reason.h"

namespace switchyard {

using session::v1::ReportOutcome;

namespace {

struct Row {
  Reason reason;
  ReportOutcome::Outcome outcome;
};
constexpr std::array kRows = {
    Row{Reason::REASON_RATE_LIMITED, ReportOutcome::OUTCOME_RATE_LIMITED},
    Row{Reason::REASON_CREDENTIAL_EXPIRED, ReportOutcome::OUTCOME_EXPIRED},
    Row{Reason::REASON_ACCOUNT_MUTED, ReportOutcome::OUTCOME_MUTED},
    Row{Reason::REASON_ACCOUNT_BANNED, ReportOutcome::OUTCOME_BANNED},
    Row{Reason::REASON_CAPTCHA_PENDING, ReportOutcome::OUTCOME_CAPTCHA},
    Row{Reason::REASON_CLIENT_REFUSED, ReportOutcome::OUTCOME_CLIENT_REFUSED},
    Row{Reason::REASON_QUOTA_SPENT, ReportOutcome::OUTCOME_QUOTA_SPENT},
};

}  // namespace

ReportOutcome OutcomeOf(const absl::Status& status) {
  ReportOutcome report;
  report.set_outcome(status.ok() ? ReportOutcome::OUTCOME_OK : ReportOutcome::OUTCOME_FAILED);
  if (status.ok()) return report;
  const ErrorDetail detail = DetailOf(status);
  for (const Row& row : kRows) {
    if (row.reason == detail.reason()) report.set_outcome(row.outcome);
  }
  if (detail.has_retry_after()) *report.mutable_retry_after() = detail.retry_after();
  if (detail.has_until()) *report.mutable_until() = detail.until();
  return report;
}

}  // namespace switchyard
