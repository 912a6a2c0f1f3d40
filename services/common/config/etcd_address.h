// Where a store in etcd is: "etcd://host:2379,host2:2379/prefix"; "etcds://…" with TLS.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace switchyard {

struct EtcdAddress {
  std::vector<std::string> endpoints;  // "host:port"
  std::string prefix = "/switchyard";
  bool tls = false;
};

/// Whether it is meant to be one.
bool IsEtcdAddress(absl::string_view text);

/// INVALID_ARGUMENT, saying how it has to look. Pure.
absl::StatusOr<EtcdAddress> ParseEtcdAddress(absl::string_view text);

}  // namespace switchyard
