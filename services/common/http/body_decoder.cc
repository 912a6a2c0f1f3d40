#include "services/common/http/body_decoder.h"

#include <zlib.h>

#include <algorithm>
#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

constexpr size_t kMaxRatio = 1000;
constexpr size_t kRatioGrace = 1024 * 1024;  // small bodies may well be a thousand equal bytes

absl::Status TooLarge() {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, "the platform's answer is larger than allowed",
                   {.cause = "too_large"});
}
absl::Status Damaged(absl::string_view what) {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED,
                   absl::StrCat("the platform's answer cannot be decompressed: ", what), {.cause = "decompression"});
}

class Identity final : public BodyDecoder {
 public:
  explicit Identity(size_t max_bytes) : left_(max_bytes) {}
  absl::StatusOr<std::string> Decode(std::string piece) override {
    if (piece.size() > left_) return TooLarge();
    left_ -= piece.size();
    return piece;
  }
  absl::Status Finish() override { return absl::OkStatus(); }

 private:
  size_t left_;
};

class Inflate final : public BodyDecoder {
 public:
  Inflate(bool gzip, size_t max_bytes) : gzip_(gzip), max_bytes_(max_bytes) {
    Start(gzip ? 16 + MAX_WBITS : MAX_WBITS);
  }
  ~Inflate() override { inflateEnd(&stream_); }

  absl::StatusOr<std::string> Decode(std::string piece) override {
    if (piece.empty()) return piece;
    if (ended_) return Damaged("there is data after its end");
    // "deflate" means zlib's format by the standard and raw data by widespread error; the first byte tells.
    if (!gzip_ && in_ == 0 && (static_cast<unsigned char>(piece[0]) & 0x0F) != 8) {
      inflateEnd(&stream_);
      Start(-MAX_WBITS);
    }
    in_ += piece.size();
    stream_.next_in = reinterpret_cast<Bytef*>(piece.data());
    stream_.avail_in = static_cast<uInt>(piece.size());
    std::string decoded;
    std::array<char, 16 * 1024> block;
    while (!ended_) {
      stream_.next_out = reinterpret_cast<Bytef*>(block.data());
      stream_.avail_out = block.size();
      const int result = inflate(&stream_, Z_NO_FLUSH);
      const size_t made = block.size() - stream_.avail_out;
      decoded.append(block.data(), made);
      out_ += made;
      if (out_ > max_bytes_) return TooLarge();
      if (out_ > kRatioGrace && out_ / std::max<size_t>(in_, 1) > kMaxRatio)
        return Damaged("it grows more than a thousandfold");
      if (result == Z_STREAM_END) {
        ended_ = true;
      } else if (result == Z_BUF_ERROR || (result == Z_OK && stream_.avail_in == 0 && made < block.size())) {
        break;
      } else if (result != Z_OK) {
        return Damaged("damaged data");
      }
    }
    if (ended_ && stream_.avail_in > 0) return Damaged("there is data after its end");
    return decoded;
  }

  absl::Status Finish() override {
    if (ended_ || in_ == 0) return absl::OkStatus();
    return MakeError(Reason::REASON_UPSTREAM_BROKEN, "the platform's compressed answer ended early",
                     {.cause = "decompression"});
  }

 private:
  void Start(int window_bits) {
    stream_ = z_stream{};
    inflateInit2(&stream_, window_bits);
  }

  z_stream stream_{};
  bool gzip_;
  size_t max_bytes_;
  size_t in_ = 0;
  size_t out_ = 0;
  bool ended_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<BodyDecoder>> BodyDecoder::For(absl::string_view encoding, size_t max_bytes) {
  std::unique_ptr<BodyDecoder> decoder;
  if (encoding.empty() || absl::EqualsIgnoreCase(encoding, "identity")) {
    decoder = std::make_unique<Identity>(max_bytes);
  } else if (absl::EqualsIgnoreCase(encoding, "gzip") || absl::EqualsIgnoreCase(encoding, "x-gzip")) {
    decoder = std::make_unique<Inflate>(true, max_bytes);
  } else if (absl::EqualsIgnoreCase(encoding, "deflate")) {
    decoder = std::make_unique<Inflate>(false, max_bytes);
  } else {
    return Damaged("it uses an encoding that was not offered");
  }
  return decoder;
}

}  // namespace switchyard
