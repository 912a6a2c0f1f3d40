// Content-Encoding of a response, undone piece by piece under bounds.
//
//   auto decoder = BodyDecoder::For(headers.Get("content-encoding"), max_bytes);
//   auto text = (*decoder)->Decode(piece);
//   … at the end: (*decoder)->Finish() …
//
// Lives on one executor.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace switchyard {

class BodyDecoder {
 public:
  virtual ~BodyDecoder() = default;

  /// gzip, deflate, identity or none. INTERNAL (UPSTREAM_CHANGED, cause decompression) for anything else.
  static absl::StatusOr<std::unique_ptr<BodyDecoder>> For(absl::string_view encoding, size_t max_bytes);

  /// Errors: INTERNAL (UPSTREAM_CHANGED): cause too_large above `max_bytes`; cause decompression for damaged data or
  /// more than a thousandfold growth.
  virtual absl::StatusOr<std::string> Decode(std::string piece) = 0;

  /// DATA_LOSS (UPSTREAM_BROKEN, cause decompression) if the stream was cut.
  virtual absl::Status Finish() = 0;
};

}  // namespace switchyard
