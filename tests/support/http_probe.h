// An HTTP client as small as can be, over one blocking socket, so that a test decides when bytes are read and when the
// connection goes away. Shares nothing with the product.
//
//   HttpProbe probe(port);
//   probe.Post("/v1/chat/completions", R"({"model": …})");
//   probe.ReadUntil("\"content\":");
//   probe.Close();
#pragma once

#include <map>
#include <string>

#include "absl/time/time.h"

namespace switchyard {

struct HttpReply {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  bool whole = false;  // the body ended as HTTP says it should
};

class HttpProbe {
 public:
  explicit HttpProbe(int port);
  ~HttpProbe();
  HttpProbe(const HttpProbe&) = delete;
  HttpProbe& operator=(const HttpProbe&) = delete;

  void Send(const std::string& bytes);
  void Request(const std::string& method, const std::string& path, const std::string& body,
               const std::map<std::string, std::string>& headers = {});
  void Post(const std::string& path, const std::string& body) { Request("POST", path, body); }

  /// Reads the whole answer.
  HttpReply Read();
  /// Whether there is something to read, now.
  bool Readable() const;
  /// Reads until `text` has come. @return false if the connection ended, or 20 s passed, first.
  bool ReadUntil(const std::string& text);
  /// What has been read so far, as it came.
  const std::string& raw() const { return raw_; }
  /// Whether a read has met the end that the other side made, not its own patience.
  bool closed() const { return closed_; }

  void Close();
  /// Ends the connection by RST.
  void Reset();

 private:
  bool ReadSome();

  int socket_ = -1;
  std::string raw_;
  bool ended_ = false;
  bool closed_ = false;
  bool head_ = false;  // the last request was HEAD: its answer has no body
};

/// One request, one answer.
HttpReply Fetch(int port, const std::string& method, const std::string& path, const std::string& body = "",
                const std::map<std::string, std::string>& headers = {});

}  // namespace switchyard
