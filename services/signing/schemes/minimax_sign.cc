#include "services/signing/schemes/minimax_sign.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "services/signing/schemes/digest.h"

namespace switchyard {
namespace {

// Part of the site's own script, the same for everybody.
constexpr absl::string_view kSecret = "I*7Cf%WZ#S&%1RlZJ&C2";
constexpr absl::string_view kSuffix = "ooui";
// What `yy` takes for the body of a request that has none.
constexpr absl::string_view kNoBody = "{}";

// As a browser's encodeURIComponent does it.
std::string EncodeComponent(absl::string_view text) {
  constexpr absl::string_view kPlain = "-_.!~*'()";
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size() * 3 / 2);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || kPlain.find(c) != absl::string_view::npos) {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

}  // namespace

absl::StatusOr<signing::v1::MiniMaxSignatureResult> SignMiniMax(const signing::v1::MiniMaxSignature& input) {
  if (input.time_ms() < 1000) return absl::InvalidArgumentError("the time is not one of milliseconds since the epoch");
  if (input.target().empty()) return absl::InvalidArgumentError("the target is empty");
  const std::string seconds = absl::StrCat(input.time_ms() / 1000);
  const absl::string_view body = input.body().empty() ? kNoBody : absl::string_view(input.body());

  signing::v1::MiniMaxSignatureResult result;
  result.set_x_timestamp(seconds);
  result.set_x_signature(Md5Hex(absl::StrCat(seconds, kSecret, input.body())));
  result.set_yy(
      Md5Hex(absl::StrCat(EncodeComponent(input.target()), "_", body, Md5Hex(absl::StrCat(input.time_ms())), kSuffix)));
  return result;
}

}  // namespace switchyard
