// What the configuration means to the shared libraries.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/common/config/config.h"
#include "services/common/http/http_client.h"
#include "services/common/rpc/server_host.h"
#include "services/common/time/clock.h"
#include "services/common/tls/mesh_identity.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

/// With the proxy settings of the environment.
HttpClientOptions HttpClientOptionsFrom(const Config& config);

/// The program's own certificate of `tls:`; nullptr if there is none. `clock` outlives it.
absl::StatusOr<std::unique_ptr<MeshIdentity>> MeshIdentityFrom(const Config& config, const Clock& clock);

/// How a program serves gRPC at `listen`. `identity`, which may be null, outlives the server.
ServerHostOptions HostOptionsFrom(const Config& config, const std::string& listen, const MeshIdentity* identity);

/// `server.reasoning_format`.
chat::v1::ReasoningFormat ReasoningFormatOf(const Config& config);

}  // namespace switchyard
