#include "services/common/tls/mesh_identity.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/security/auth_metadata_processor.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_certificate_verifier.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "services/common/config/platforms.h"

namespace switchyard {
namespace {

using grpc::experimental::FileWatcherCertificateProvider;

constexpr unsigned kLookSeconds = 1;
constexpr char kAnyone[] = "*";
constexpr char kUriProperty[] = "peer_uri";

std::vector<std::string> Providers() {
  std::vector<std::string> names;
  for (const PlatformDefaults& platform : Platforms()) names.push_back(absl::StrCat("switchyard-", platform.name));
  return names;
}

std::vector<std::string> With(std::vector<std::string> names, const std::vector<std::string>& more) {
  names.insert(names.end(), more.begin(), more.end());
  return names;
}

absl::string_view ToView(grpc::string_ref text) { return {text.data(), text.size()}; }

std::vector<std::string> NamesOf(const grpc::AuthContext& peer) {
  std::vector<std::string> names;
  for (const grpc::string_ref& uri : peer.FindPropertyValues(kUriProperty)) {
    const absl::string_view text = ToView(uri);
    names.emplace_back(text.substr(text.rfind('/') + 1));
  }
  return names;
}

/// Looks at every call before its handler does.
class CallGuard final : public grpc::AuthMetadataProcessor {
 public:
  explicit CallGuard(std::vector<CallRule> rules) : rules_(std::move(rules)) {}

  bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context, OutputMetadata*,
                       OutputMetadata*) override {
    const auto path = metadata.find(":path");
    if (path != metadata.end() && MayCall(rules_, ToView(path->second), NamesOf(*context))) return grpc::Status::OK;
    return {grpc::StatusCode::PERMISSION_DENIED, "this certificate's owner may not call that"};
  }

 private:
  const std::vector<CallRule> rules_;
};

}  // namespace

std::vector<CallRule> MeshRules(const std::vector<std::string>& chat_callers) {
  const std::vector<std::string> providers = Providers();
  return {
      {"/grpc.health.v1.Health/", {kAnyone}},
      {"/switchyard.chat.v1.ChatService/", With({"switchyard-edge"}, chat_callers)},
      {"/switchyard.signing.v1.SigningService/", With({"switchyard-session"}, providers)},
      {"/switchyard.session.v1.SessionService/Lease", providers},
      {"/switchyard.session.v1.SessionService/ListAccounts",
       With({"switchyard-edge", "switchyard-accounts"}, providers)},
      {"/switchyard.session.v1.SessionService/CheckAccount", {"switchyard-edge", "switchyard-accounts"}},
  };
}

bool MayCall(const std::vector<CallRule>& rules, absl::string_view path, const std::vector<std::string>& names) {
  for (const CallRule& rule : rules) {
    const bool whole = !absl::EndsWith(rule.path, "/");
    if (whole ? path != rule.path : !absl::StartsWith(path, rule.path)) continue;
    for (const std::string& caller : rule.callers) {
      if (caller == kAnyone || std::find(names.begin(), names.end(), caller) != names.end()) return true;
    }
  }
  return false;
}

absl::StatusOr<std::unique_ptr<MeshIdentity>> MeshIdentity::Open(CertificatePaths paths, const Clock& clock) {
  paths.use = Metrics::CertificateUse::kMesh;
  auto files = CertificateFiles::Open(std::move(paths), clock);
  if (!files.ok()) return files.status();
  return std::unique_ptr<MeshIdentity>(new MeshIdentity(*std::move(files)));
}

std::shared_ptr<grpc::ServerCredentials> MeshIdentity::Server(std::vector<CallRule> rules) const {
  grpc::experimental::TlsServerCredentialsOptions options(std::make_shared<FileWatcherCertificateProvider>(
      files_->PathOf("key.pem"), files_->PathOf("cert.pem"), files_->PathOf("ca.pem"), kLookSeconds));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  auto credentials = grpc::experimental::TlsServerCredentials(options);
  credentials->SetAuthMetadataProcessor(std::make_shared<CallGuard>(std::move(rules)));
  return credentials;
}

std::shared_ptr<grpc::ChannelCredentials> MeshIdentity::Client() const {
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::make_shared<FileWatcherCertificateProvider>(
      files_->PathOf("key.pem"), files_->PathOf("cert.pem"), files_->PathOf("ca.pem"), kLookSeconds));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_verify_server_certs(true);
  options.set_certificate_verifier(std::make_shared<grpc::experimental::HostNameCertificateVerifier>());
  options.set_check_call_host(false);
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace switchyard
