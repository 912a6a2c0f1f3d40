// Mutual TLS between the services, and which of them may call what.
//
//   auto mesh = MeshIdentity::Open(paths, SystemClock::Get());
//   ServerHost::Start({.listen = "0.0.0.0:8012", .identity = mesh->get(), .callers = SessionCallers()}, {&service});
//   MakeChannel("dns:///switchyard-session:8012", mesh->get());
//
// A service's name is the last part of a URI in its certificate: spiffe://anything/switchyard-edge. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/security/server_credentials.h"
#include "services/common/tls/certificate_files.h"

namespace switchyard {

/// Who may call the methods whose path begins so. What no rule covers, nobody may call.
struct CallRule {
  std::string path;                  // "/switchyard.chat.v1.ChatService/"
  std::vector<std::string> callers;  // names; "*" is whoever has a certificate of the authority
};

/// The rules of the mesh, one table. Health is open to every service. Source: docs/mesh.md, "Who calls whom".
/// @param chat_callers names beside the edge that may chat
std::vector<CallRule> MeshRules(const std::vector<std::string>& chat_callers);

/// Whether one of `names` may call `path`. Pure.
bool MayCall(const std::vector<CallRule>& rules, absl::string_view path, const std::vector<std::string>& names);

class MeshIdentity {
 public:
  /// As CertificateFiles::Open(). All three files are needed.
  static absl::StatusOr<std::unique_ptr<MeshIdentity>> Open(CertificatePaths paths, const Clock& clock);

  /// For a server: asks every client for a certificate of the authority, and holds its calls against `rules`:
  /// PERMISSION_DENIED.
  std::shared_ptr<grpc::ServerCredentials> Server(std::vector<CallRule> rules) const;
  /// For a client: shows the certificate, and expects one for the name that is called.
  std::shared_ptr<grpc::ChannelCredentials> Client() const;

 private:
  explicit MeshIdentity(std::unique_ptr<CertificateFiles> files) : files_(std::move(files)) {}
  std::unique_ptr<CertificateFiles> files_;
};

}  // namespace switchyard
