#include "services/common/config/etcd_address.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/common/net/host_port.h"

namespace switchyard {
namespace {

constexpr absl::string_view kClear = "etcd://";
constexpr absl::string_view kTls = "etcds://";

bool IsEndpoint(absl::string_view text) {
  const auto parsed = ParseHostPort(text);
  return parsed && !parsed->host.empty() && parsed->port > 0 && text.find_first_of(" @?#\t") == absl::string_view::npos;
}

}  // namespace

bool IsEtcdAddress(absl::string_view text) { return absl::StartsWith(text, kClear) || absl::StartsWith(text, kTls); }

absl::StatusOr<EtcdAddress> ParseEtcdAddress(absl::string_view text) {
  EtcdAddress address;
  address.tls = absl::ConsumePrefix(&text, kTls);
  const bool known = address.tls || absl::ConsumePrefix(&text, kClear);
  const size_t slash = text.find('/');
  const absl::string_view path = slash == absl::string_view::npos ? "" : text.substr(slash);
  address.endpoints = absl::StrSplit(text.substr(0, slash), ',');
  const bool good = known && std::all_of(address.endpoints.begin(), address.endpoints.end(),
                                         [](const std::string& one) { return IsEndpoint(one); });
  if (!good || (path.size() > 1 && (absl::EndsWith(path, "/") || absl::StrContains(path, "//"))))
    return absl::InvalidArgumentError("must look like etcd://host:2379,host2:2379 or etcds://host:2379/prefix");
  if (path.size() > 1) address.prefix = std::string(path);
  return address;
}

}  // namespace switchyard
