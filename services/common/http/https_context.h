// What an HTTPS server shows its clients: made from a checked certificate and key, replaced while it runs.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "services/common/tls/certificates.h"

namespace boost::asio::ssl {
class context;
}

namespace switchyard {

/// TLS 1.2 and newer, HTTP/1.1 alone by ALPN, no renegotiation. INVALID_ARGUMENT if OpenSSL does not take the set,
/// which CheckCertificates() should have found out.
absl::StatusOr<std::shared_ptr<boost::asio::ssl::context>> MakeHttpsContext(const CertificateSet& set);

}  // namespace switchyard
