#include "services/common/http/https_context.h"

#include <openssl/ssl.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/context.hpp>

#include "absl/strings/str_cat.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;

// A length and a name, as ALPN has them.
constexpr unsigned char kHttp11[] = "\x08http/1.1";
constexpr unsigned int kHttp11Size = sizeof kHttp11 - 1;

// A client that knows nothing of HTTP/1.1 is let go on without a choice, and finds out by itself.
int ChooseProtocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                   unsigned int offered_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kHttp11, kHttp11Size, offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

absl::StatusOr<std::shared_ptr<ssl::context>> MakeHttpsContext(const CertificateSet& set) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* handle = context->native_handle();
  SSL_CTX_set_min_proto_version(handle, TLS1_2_VERSION);
  SSL_CTX_set_options(handle, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(handle, SSL_MODE_RELEASE_BUFFERS);  // thousands of streams are silent most of the time
  SSL_CTX_set_alpn_select_cb(handle, &ChooseProtocol, nullptr);
  boost::system::error_code error;
  context->use_certificate_chain(asio::buffer(set.chain), error);
  if (!error) context->use_private_key(asio::buffer(set.key.Reveal()), ssl::context::pem, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("the certificate cannot be used: ", error.message()));
  return context;
}

}  // namespace switchyard
