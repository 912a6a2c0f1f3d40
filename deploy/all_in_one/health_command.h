// `switchyard health`: whether the relay that runs here is ready, for a container engine that can ask only by a
// command.
#pragma once

#include <cstdint>
#include <string>

namespace switchyard {

/// What to ask of a relay that serves `host` and `port`: one that serves every address is asked on this machine's own.
std::string ReadinessUrl(const std::string& host, uint16_t port);

/// @return 0 if it is ready, 1 if it is not or does not answer within 3 s, 2 for bad flags or configuration.
int HealthCommand(int argc, char** argv);

}  // namespace switchyard
