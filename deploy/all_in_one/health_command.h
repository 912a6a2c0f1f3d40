// `switchyard health`: whether the relay that runs here is ready, for a container engine that can ask only by a
// command.
#pragma once

#include <string>

#include "services/common/config/config.h"

namespace switchyard {

/// What to ask of a relay that serves so: one that serves every address is asked on this machine's own; one that speaks
/// HTTPS, whose certificate does not name this machine, on its admin port.
std::string ReadinessUrl(const ServerConfig& server);

/// @return 0 if it is ready, 1 if it is not or does not answer within 3 s, 2 for bad flags or configuration.
int HealthCommand(int argc, char** argv);

}  // namespace switchyard
