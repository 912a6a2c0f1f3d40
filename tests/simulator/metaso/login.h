// The accounts that the simulated Metaso knows, and what a client sends in headers and addresses.
#pragma once

#include <map>
#include <string>

#include "absl/strings/string_view.h"

namespace simulator::metaso {

/// The two cookies of account `number`, always the same.
std::string Uid(int number);
std::string Sid(int number);

/// The uid of a login that is known; "" for any other. @param cookies the Cookie header
std::string KnownUid(absl::string_view cookies);

/// A query's members, decoded by a form's rules: '+' is a blank.
std::map<std::string, std::string> ParseQuery(absl::string_view query);

}  // namespace simulator::metaso
