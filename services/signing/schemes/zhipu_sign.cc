#include "services/signing/schemes/zhipu_sign.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "services/signing/schemes/digest.h"

namespace switchyard {
namespace {

// Part of the site's own script, the same for everybody.
constexpr absl::string_view kSecret = "8a1317a7468aa3ad86e997d08f3f31cb";
constexpr size_t kLongestNonce = 128;

}  // namespace

absl::StatusOr<signing::v1::ZhipuSignatureResult> SignZhipu(const signing::v1::ZhipuSignature& input) {
  if (input.time_ms() < 10) return absl::InvalidArgumentError("the time has fewer than two digits");
  if (input.nonce().empty() || input.nonce().size() > kLongestNonce)
    return absl::InvalidArgumentError("the nonce is empty or too long");
  std::string timestamp = absl::StrCat(input.time_ms());
  // The tens digit of the milliseconds checks all the others.
  char& check = timestamp[timestamp.size() - 2];
  int sum = '0' - check;
  for (const char digit : timestamp) sum += digit - '0';
  check = static_cast<char>('0' + sum % 10);

  signing::v1::ZhipuSignatureResult result;
  result.set_sign(Md5Hex(absl::StrCat(timestamp, "-", input.nonce(), "-", kSecret)));
  result.set_timestamp(std::move(timestamp));
  return result;
}

}  // namespace switchyard
