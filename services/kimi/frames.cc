#include "services/kimi/frames.h"

#include <zlib.h>

#include <array>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"

namespace switchyard::kimi {
namespace {

constexpr size_t kHeader = 5;
constexpr unsigned kCompressed = 1;
constexpr unsigned kEnd = 2;
constexpr int kGzipWindow = 15 + 16;  // zlib: the largest window, and a gzip header is expected

absl::Status BadFrame(absl::string_view what) {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, absl::StrCat("kimi's answer was not understood: ", what),
                   {.cause = "envelope"});
}

absl::StatusOr<std::string> Gunzip(absl::string_view packed) {
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindow) != Z_OK) return BadFrame("a frame could not be decompressed");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string text;
  std::array<char, 16384> piece;
  int result = Z_OK;
  while (result == Z_OK && text.size() <= kMaxFrame) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = piece.size();
    result = inflate(&stream, Z_NO_FLUSH);
    text.append(piece.data(), piece.size() - stream.avail_out);
  }
  const bool whole = result == Z_STREAM_END && stream.avail_in == 0;
  inflateEnd(&stream);
  if (text.size() > kMaxFrame) return BadFrame("a frame is too large");
  if (!whole) return BadFrame("a frame could not be decompressed");
  return text;
}

}  // namespace

std::string EncodeFrame(absl::string_view payload) {
  const auto length = static_cast<uint32_t>(payload.size());
  std::string frame(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) frame.push_back(static_cast<char>((length >> shift) & 0xFF));
  frame.append(payload.data(), payload.size());
  return frame;
}

absl::StatusOr<std::optional<Frame>> FrameReader::Next() {
  const absl::string_view rest = absl::string_view(buffer_).substr(taken_);
  if (rest.empty()) {
    buffer_.clear();
    taken_ = 0;
    return std::optional<Frame>();
  }
  const auto flags = static_cast<unsigned char>(rest[0]);
  if ((flags & ~(kCompressed | kEnd)) != 0) return BadFrame("a frame has unknown flags");
  if ((flags & kCompressed) != 0 && !gzip_) return BadFrame("a frame is compressed in an unknown way");
  uint32_t length = 0;
  if (rest.size() >= kHeader) {
    for (size_t i = 1; i < kHeader; ++i) length = length << 8 | static_cast<unsigned char>(rest[i]);
    if (length > kMaxFrame) return BadFrame("a frame is too large");
  }
  if (rest.size() < kHeader || rest.size() < kHeader + length) {
    buffer_.erase(0, taken_);
    taken_ = 0;
    return std::optional<Frame>();
  }
  Frame frame;
  frame.end = (flags & kEnd) != 0;
  frame.payload = std::string(rest.substr(kHeader, length));
  taken_ += kHeader + length;
  if ((flags & kCompressed) != 0 && !frame.payload.empty()) {
    auto text = Gunzip(frame.payload);
    if (!text.ok()) return text.status();
    frame.payload = *std::move(text);
  }
  return std::optional<Frame>(std::move(frame));
}

}  // namespace switchyard::kimi
