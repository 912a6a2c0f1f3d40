// The envelope of Connect streams: a byte of flags, four of length (big-endian), the payload.
//
//   FrameReader reader;
//   reader.Append(bytes);
//   while (true) { auto frame = reader.Next(); if (!frame.ok() || !*frame) break; … (*frame)->payload … }
//
// Pure. Source: protocol notes of Kimi, section 4.1.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace switchyard::kimi {

/// Of one payload, before and after decompression.
inline constexpr size_t kMaxFrame = 8 * 1024 * 1024;

struct Frame {
  bool end = false;  // the last one: {} or an error
  std::string payload = {};
};

std::string EncodeFrame(absl::string_view payload);

class FrameReader {
 public:
  /// What the response header Connect-Content-Encoding says; compressed frames are read only for "gzip".
  void set_encoding(absl::string_view encoding) { gzip_ = encoding == "gzip"; }
  void Append(absl::string_view bytes) { buffer_.append(bytes.data(), bytes.size()); }
  /// The next whole frame, or nullopt. UPSTREAM_CHANGED (cause envelope) for reserved flags, a frame above kMaxFrame,
  /// or one that cannot be decompressed.
  absl::StatusOr<std::optional<Frame>> Next();
  /// Whether part of a frame has come.
  bool in_frame() const { return taken_ < buffer_.size(); }

 private:
  std::string buffer_;
  size_t taken_ = 0;
  bool gzip_ = false;
};

}  // namespace switchyard::kimi
