#include "services/qwen/xsrf_memory.h"

#include <functional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace switchyard::qwen {
namespace {

constexpr char kCookie[] = "XSRF-TOKEN";
constexpr size_t kMostLogins = 4096;
constexpr size_t kLongestToken = 512;

size_t KeyOf(const QwenCookie& login) {
  for (const auto& [name, value] : login.cookies) {
    if (name == login.ticket) return std::hash<std::string>()(value);
  }
  return 0;
}

}  // namespace

void XsrfMemory::Apply(QwenCookie& login) const {
  std::string token;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = tokens_.find(KeyOf(login));
    if (found == tokens_.end()) return;
    token = found->second;
  }
  login.xsrf = DecodeQwenXsrf(token);
  for (auto& [name, value] : login.cookies) {
    if (name != kCookie) continue;
    value = token;
    return;
  }
  login.cookies.emplace_back(kCookie, token);
}

void XsrfMemory::Note(const QwenCookie& login, const HttpHeaders& headers) {
  for (const auto& [name, value] : headers) {
    if (!absl::EqualsIgnoreCase(name, "set-cookie")) continue;
    absl::string_view cookie = absl::string_view(value).substr(0, value.find(';'));
    if (!absl::ConsumePrefix(&cookie, "XSRF-TOKEN=")) continue;
    cookie = absl::StripAsciiWhitespace(cookie);
    if (cookie.empty() || cookie.size() > kLongestToken || !DecodeQwenXsrf(cookie)) continue;
    absl::MutexLock lock(&mutex_);
    if (tokens_.size() >= kMostLogins) tokens_.clear();
    tokens_[KeyOf(login)] = std::string(cookie);
  }
}

}  // namespace switchyard::qwen
