// What the configuration means to the shared libraries.
#pragma once

#include "services/common/config/config.h"
#include "services/common/http/http_client.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

/// With the proxy settings of the environment.
HttpClientOptions HttpClientOptionsFrom(const Config& config);

/// `server.reasoning_format`.
chat::v1::ReasoningFormat ReasoningFormatOf(const Config& config);

}  // namespace switchyard
