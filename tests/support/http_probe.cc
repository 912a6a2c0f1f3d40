#include "tests/support/http_probe.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace switchyard {

HttpProbe::HttpProbe(int port) {
  socket_ = socket(AF_INET, SOCK_STREAM, 0);
  const timeval patience{20, 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) ended_ = true;
}

HttpProbe::~HttpProbe() { Close(); }

void HttpProbe::Close() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

void HttpProbe::Reset() {
  const linger now{1, 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  Close();
}

void HttpProbe::Send(const std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t n = send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;
    sent += static_cast<size_t>(n);
  }
}

void HttpProbe::Request(const std::string& method, const std::string& path, const std::string& body,
                        const std::map<std::string, std::string>& headers) {
  head_ = method == "HEAD";
  std::string out = absl::StrCat(method, " ", path, " HTTP/1.1\r\n");
  if (headers.count("Host") == 0) out += "Host: localhost\r\n";
  if (!body.empty()) {
    if (headers.count("Content-Type") == 0) out += "Content-Type: application/json\r\n";
    absl::StrAppend(&out, "Content-Length: ", body.size(), "\r\n");
  }
  for (const auto& [name, value] : headers) absl::StrAppend(&out, name, ": ", value, "\r\n");
  Send(out + "\r\n" + body);
}

bool HttpProbe::ReadSome() {
  if (ended_) return false;
  char buffer[16384];
  const ssize_t n = recv(socket_, buffer, sizeof buffer, 0);
  if (n <= 0) {
    ended_ = true;
    closed_ = n == 0 || errno != EAGAIN;
    return false;
  }
  raw_.append(buffer, static_cast<size_t>(n));
  return true;
}

bool HttpProbe::Readable() const {
  pollfd wanted{socket_, POLLIN, 0};
  return poll(&wanted, 1, 0) == 1;
}

bool HttpProbe::ReadUntil(const std::string& text) {
  while (raw_.find(text) == std::string::npos) {
    if (!ReadSome()) return false;
  }
  return true;
}

HttpReply HttpProbe::Read() {
  HttpReply reply;
  if (!ReadUntil("\r\n\r\n")) return reply;
  size_t at = raw_.find("\r\n\r\n");
  const std::string head = raw_.substr(0, at);
  at += 4;
  reply.status = std::atoi(head.c_str() + head.find(' ') + 1);
  for (size_t line = head.find("\r\n"); line != std::string::npos;) {
    const size_t next = head.find("\r\n", line + 2);
    const std::string field = head.substr(line + 2, next == std::string::npos ? std::string::npos : next - line - 2);
    const size_t colon = field.find(':');
    if (colon != std::string::npos)
      reply.headers[absl::AsciiStrToLower(field.substr(0, colon))] =
          std::string(absl::StripAsciiWhitespace(field.substr(colon + 1)));
    line = next;
  }
  if (reply.status == 204 || reply.status == 304 || head_) {
    reply.whole = true;
    return reply;
  }
  if (const auto length = reply.headers.find("content-length"); length != reply.headers.end()) {
    const size_t size = static_cast<size_t>(std::atoll(length->second.c_str()));
    while (raw_.size() < at + size && ReadSome()) {
    }
    reply.body = raw_.substr(at, size);
    reply.whole = reply.body.size() == size;
    return reply;
  }
  if (reply.headers["transfer-encoding"] != "chunked") {
    while (ReadSome()) {
    }
    reply.body = raw_.substr(at);
    reply.whole = true;
    return reply;
  }
  for (;;) {
    size_t end;
    while ((end = raw_.find("\r\n", at)) == std::string::npos) {
      if (!ReadSome()) return reply;
    }
    const size_t size = std::strtoul(raw_.c_str() + at, nullptr, 16);
    while (raw_.size() < end + 2 + size + 2) {
      if (!ReadSome()) return reply;
    }
    reply.body += raw_.substr(end + 2, size);
    at = end + 2 + size + 2;
    if (size == 0) {
      reply.whole = true;
      return reply;
    }
  }
}

HttpReply Fetch(int port, const std::string& method, const std::string& path, const std::string& body,
                const std::map<std::string, std::string>& headers) {
  HttpProbe probe(port);
  probe.Request(method, path, body, headers);
  return probe.Read();
}

}  // namespace switchyard
