#include "tests/support/upstream_double.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

struct Identity {
  EVP_PKEY* key;
  X509* certificate;
};

void AddExtension(X509* certificate, X509* issuer, int id, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

/// @param issuer nullptr: signs itself
Identity Issue(const char* name, const char* alternative, bool authority, long from_s, long to_s,
               const Identity* issuer) {
  Identity made{EVP_EC_gen("P-256"), X509_new()};
  X509* certificate = made.certificate;
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), std::rand());
  X509_gmtime_adj(X509_getm_notBefore(certificate), from_s);
  X509_gmtime_adj(X509_getm_notAfter(certificate), to_s);
  X509_set_pubkey(certificate, made.key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509* signer = issuer == nullptr ? certificate : issuer->certificate;
  X509_set_issuer_name(certificate, X509_get_subject_name(signer));
  AddExtension(certificate, signer, NID_basic_constraints, authority ? "critical,CA:TRUE" : "CA:FALSE");
  if (alternative != nullptr) AddExtension(certificate, signer, NID_subject_alt_name, alternative);
  X509_sign(certificate, issuer == nullptr ? made.key : issuer->key, EVP_sha256());
  return made;
}

}  // namespace

UpstreamDouble::UpstreamDouble(Script script, Certificate certificate) : script_(std::move(script)) {
  signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to sockets that the other side has closed
  constexpr long kDay = 24 * 3600;
  if (certificate != Certificate::kNone) {
    const Identity authority = Issue("Test CA", nullptr, true, -kDay, 30 * kDay, nullptr);
    Identity own{};
    if (certificate == Certificate::kGood)
      own = Issue("localhost", "DNS:localhost,IP:127.0.0.1", false, -kDay, 30 * kDay, &authority);
    if (certificate == Certificate::kSelfSigned)
      own = Issue("localhost", "DNS:localhost,IP:127.0.0.1", false, -kDay, 30 * kDay, nullptr);
    if (certificate == Certificate::kWrongName)
      own = Issue("other.example", "DNS:other.example", false, -kDay, 30 * kDay, &authority);
    if (certificate == Certificate::kExpired)
      own = Issue("localhost", "DNS:localhost,IP:127.0.0.1", false, -2 * kDay, -kDay, &authority);
    tls_ = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(tls_, own.certificate);
    SSL_CTX_use_PrivateKey(tls_, own.key);
    ca_file_ = absl::StrCat(FreshDirectory(), "/ca.pem");
    FILE* file = std::fopen(ca_file_.c_str(), "w");
    PEM_write_X509(file, authority.certificate);
    std::fclose(file);
    for (const Identity& identity : {authority, own}) {
      X509_free(identity.certificate);
      EVP_PKEY_free(identity.key);
    }
  }
  listener_ = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
  listen(listener_, 64);
  socklen_t size = sizeof address;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

UpstreamDouble::~UpstreamDouble() {
  stopping_ = true;
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  close(listener_);
  std::vector<std::thread> peers;
  {
    absl::MutexLock lock(&mutex_);
    for (const int socket : sockets_) shutdown(socket, SHUT_RDWR);
    peers.swap(peers_);
  }
  for (std::thread& peer : peers) peer.join();
  SSL_CTX_free(tls_);
}

std::string UpstreamDouble::url(const std::string& path) const {
  return absl::StrCat(tls_ == nullptr ? "http" : "https", "://localhost:", port_, path);
}

std::vector<std::string> UpstreamDouble::requests() const {
  absl::MutexLock lock(&mutex_);
  return requests_;
}

void UpstreamDouble::Accept() {
  for (;;) {
    const int socket = accept(listener_, nullptr, nullptr);
    if (socket < 0) return;
    ++connections_;
    absl::MutexLock lock(&mutex_);
    sockets_.push_back(socket);
    peers_.emplace_back([this, socket] { Serve(socket); });
  }
}

void UpstreamDouble::Serve(int socket) {
  Peer peer;
  peer.socket_ = socket;
  peer.owner_ = this;
  if (tls_ != nullptr) {
    peer.tls_ = SSL_new(tls_);
    SSL_set_fd(peer.tls_, socket);
    if (SSL_accept(peer.tls_) != 1) {
      SSL_free(peer.tls_);
      peer.tls_ = nullptr;
      shutdown(socket, SHUT_RDWR);
      return;
    }
  }
  script_(peer);
  if (peer.tls_ != nullptr) {
    SSL_shutdown(peer.tls_);
    SSL_free(peer.tls_);
  }
  shutdown(socket, SHUT_RDWR);
  absl::MutexLock lock(&mutex_);
  if (!stopping_) {
    std::erase(sockets_, socket);
    close(socket);
  }
}

size_t UpstreamDouble::Peer::ReceiveInto(char* buffer, size_t size) {
  const auto n = tls_ == nullptr ? recv(socket_, buffer, size, 0) : SSL_read(tls_, buffer, static_cast<int>(size));
  return n > 0 ? static_cast<size_t>(n) : 0;
}

std::string UpstreamDouble::Peer::ReadRequest() {
  std::string request;
  char buffer[4096];
  size_t wanted = 0;
  while (wanted == 0 || request.size() < wanted) {
    const size_t n = ReceiveInto(buffer, sizeof buffer);
    if (n == 0) return "";
    request.append(buffer, n);
    const size_t head = request.find("\r\n\r\n");
    if (wanted != 0 || head == std::string::npos) continue;
    wanted = head + 4;
    const size_t length = request.find("Content-Length: ");
    if (length < head) wanted += static_cast<size_t>(std::atoi(request.c_str() + length + 16));
  }
  absl::MutexLock lock(&owner_->mutex_);
  owner_->requests_.push_back(request);
  return request;
}

std::string UpstreamDouble::Peer::Receive() {
  char buffer[4096];
  return std::string(buffer, ReceiveInto(buffer, sizeof buffer));
}

void UpstreamDouble::Peer::Send(const std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    const auto n = tls_ == nullptr ? send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL)
                                   : SSL_write(tls_, bytes.data() + sent, static_cast<int>(bytes.size() - sent));
    if (n <= 0) return;
    sent += static_cast<size_t>(n);
  }
}

void UpstreamDouble::Peer::Reset() {
  const linger now{1, 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  const int nothing = open("/dev/null", 0);
  dup2(nothing, socket_);  // closes it now; the number stays taken until the script ends
  close(nothing);
}

void UpstreamDouble::Peer::SkipGoodbye() { SSL_set_quiet_shutdown(tls_, 1); }

void UpstreamDouble::Peer::AwaitClose() {
  char buffer[256];
  while (ReceiveInto(buffer, sizeof buffer) > 0) {
  }
}

}  // namespace switchyard
