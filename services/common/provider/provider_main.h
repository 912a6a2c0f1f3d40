// The program of one platform: a ChatService with the session and signing services behind it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "services/common/config/config.h"
#include "services/common/http/http_client.h"
#include "services/common/provider/provider.h"
#include "services/common/time/clock.h"

namespace switchyard {

struct ProviderProgram {
  std::string platform;  // "deepseek"
  // What it borrows outlives the provider.
  std::function<std::unique_ptr<Provider>(const Config& config, HttpClient& http, const Clock& clock)> make;
};

/// @return the exit status, see RunProgram().
int ProviderMain(int argc, char** argv, const ProviderProgram& program);

}  // namespace switchyard
