// A chat turn in the agent dialect: find the agent, open a session, say it there, and stream the answer.
//
// Source: protocol notes of MiniMax, section 3.6.
#pragma once

#include "absl/status/statusor.h"
#include "boost/asio/awaitable.hpp"
#include "services/common/provider/provider.h"
#include "services/minimax/platform.h"

namespace switchyard::minimax {

/// All outlive it. No call deletes a session, so none is recorded.
boost::asio::awaitable<absl::StatusOr<FinishReason>> RunAgentTurn(const Settings& settings, const ProviderTools& tools,
                                                                  Turn& turn);

}  // namespace switchyard::minimax
