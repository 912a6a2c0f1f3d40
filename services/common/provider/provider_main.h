// The program of one platform: a ChatService with the session and signing services behind it.
#pragma once

#include <memory>
#include <string>

#include "services/common/config/config.h"
#include "services/common/provider/provider.h"

namespace switchyard {

struct ProviderProgram {
  std::string platform;  // "deepseek"
  std::unique_ptr<Provider> (*make)(const Config& config, const ProviderTools& tools);
};

/// @return the exit status, see RunProgram().
int ProviderMain(int argc, char** argv, const ProviderProgram& program);

}  // namespace switchyard
