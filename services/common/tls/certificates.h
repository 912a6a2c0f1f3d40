// A program's certificate, key and the authority it trusts, as PEM. Pure: bytes in, a verdict out.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/common/text/secret.h"

namespace switchyard {

struct CertificateSet {
  std::string chain;  // the leaf first
  Secret key;
  std::string authorities;  // what peers' certificates have to come from
};

/// INVALID_ARGUMENT saying what is wrong: not PEM, a key that is not the certificate's, expired or not yet valid at
/// `now`, an authority that is none. `authorities` may be empty if `needs_authorities` is false.
absl::Status CheckCertificates(const CertificateSet& set, absl::Time now, bool needs_authorities = true);

/// Until when the leaf is good; InfinitePast if there is none to be read.
absl::Time ExpiryOf(const CertificateSet& set);

}  // namespace switchyard
