// Zhipu's request signature: a clock reading with a check digit in it, and a digest of that, a nonce and a constant.
// Source: protocol notes of Zhipu, section 6 (vectors/zhipu_sign.json).
//
// Thread-safe: a pure function.
#pragma once

#include "absl/status/statusor.h"
#include "switchyard/signing/v1/signing.pb.h"

namespace switchyard {

/// INVALID_ARGUMENT for a time of fewer than two digits, or a nonce that is empty or above 128 bytes.
absl::StatusOr<signing::v1::ZhipuSignatureResult> SignZhipu(const signing::v1::ZhipuSignature& input);

}  // namespace switchyard
