// What the account doctor prints: one line an account, in words, and whether all is well. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "switchyard/session/v1/session.pb.h"

namespace switchyard {

/// The state of an account after its check, in a few words: "ok", "expired", "muted until 2026-11-25 10:00 UTC",
/// "wrong form", "platform changed".
std::string StateWords(const session::v1::CheckAccountResponse& checked);

/// A table with the columns platform, account, state and what to do.
std::string AccountTable(const std::vector<session::v1::CheckAccountResponse>& checked);

bool AllWell(const std::vector<session::v1::CheckAccountResponse>& checked);

}  // namespace switchyard
