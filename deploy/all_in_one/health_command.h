// `switchyard health`: whether the relay that runs here is ready, for a container engine that can ask only by a
// command.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "services/common/config/config.h"

namespace switchyard {

/// Where `switchyard` has its admin port if admin.listen does not say.
constexpr uint16_t kAdminPort = 9090;

/// What to ask of a relay that runs on this configuration: one that serves every address is asked on this machine's
/// own; one that speaks HTTPS, whose certificate does not name this machine, on its admin port.
/// @return FAILED_PRECONDITION if that is switched off, or a free one that nobody knows (port 0)
absl::StatusOr<std::string> ReadinessUrl(const Config& config);

/// @return 0 if it is ready, 1 if it is not or does not answer within 3 s, 2 for bad flags or configuration.
int HealthCommand(int argc, char** argv);

}  // namespace switchyard
