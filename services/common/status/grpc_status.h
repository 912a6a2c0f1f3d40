// absl::Status to and from grpc::Status, payloads included. gRPC 1.51 has no conversion of its own.
// Thread-safe: pure functions.
#pragma once

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace switchyard {

/// Payloads travel as details of a google.rpc.Status in `grpc-status-details-bin`.
grpc::Status ToGrpcStatus(const absl::Status& status);

/// The reverse. A damaged details trailer costs the details, not the code.
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace switchyard
