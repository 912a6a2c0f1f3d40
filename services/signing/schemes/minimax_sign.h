// MiniMax's two request signatures, over exactly the bytes that are sent. Source: protocol notes of MiniMax, section 6
// (vectors/minimax_sign.json).
//
// Thread-safe: a pure function.
#pragma once

#include "absl/status/statusor.h"
#include "switchyard/signing/v1/signing.pb.h"

namespace switchyard {

/// INVALID_ARGUMENT for a time before the epoch's first second, or an empty target.
absl::StatusOr<signing::v1::MiniMaxSignatureResult> SignMiniMax(const signing::v1::MiniMaxSignature& input);

}  // namespace switchyard
