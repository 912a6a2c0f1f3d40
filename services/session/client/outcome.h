// What an error says about the account it befell. One table.
#pragma once

#include "absl/status/status.h"
#include "switchyard/session/v1/session.pb.h"

namespace switchyard {

/// The report of a call that ended with `status`: OK, what its reason says about the account, or OUTCOME_FAILED for
/// trouble that says nothing about it. Pure.
session::v1::ReportOutcome OutcomeOf(const absl::Status& status);

}  // namespace switchyard
