#include "tests/support/gate.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace switchyard {
namespace {

// How soon it notices that it was shut.
constexpr int kLookMs = 5;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

int Connect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
  }
  close(fd);
  return -1;
}

/// @return false at the end of either side.
bool Pass(int from, int to) {
  char bytes[16 * 1024];
  const ssize_t got = recv(from, bytes, sizeof(bytes), 0);
  for (ssize_t sent = 0; sent < got;) {
    const ssize_t now = send(to, bytes + sent, static_cast<size_t>(got - sent), MSG_NOSIGNAL);
    if (now <= 0) return false;
    sent += now;
  }
  return got > 0;
}

}  // namespace

Gate::Gate(int target) : target_(target) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 && listen(listener_, 64) == 0 &&
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0)
    port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Run(); });
}

Gate::~Gate() {
  over_ = true;
  thread_.join();
  close(listener_);
}

void Gate::Run() {
  std::vector<Pair> pairs;
  const auto drop = [&pairs](size_t at) {
    close(pairs[at].in);
    close(pairs[at].out);
    pairs.erase(pairs.begin() + static_cast<std::ptrdiff_t>(at));
  };
  while (!over_) {
    while (shut_ && !pairs.empty()) drop(pairs.size() - 1);
    std::vector<pollfd> all = {{listener_, POLLIN, 0}};
    for (const Pair& pair : pairs) {
      all.push_back({pair.in, POLLIN, 0});
      all.push_back({holding_ ? -1 : pair.out, POLLIN, 0});
    }
    if (poll(all.data(), all.size(), kLookMs) <= 0) continue;
    for (size_t i = pairs.size(); i-- > 0;) {
      const bool good = (all[1 + 2 * i].revents == 0 || Pass(pairs[i].in, pairs[i].out)) &&
                        (all[2 + 2 * i].revents == 0 || Pass(pairs[i].out, pairs[i].in));
      if (!good) drop(i);
    }
    if (all[0].revents == 0) continue;
    const int in = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const int out = shut_ ? -1 : Connect(target_);
    if (in >= 0 && out >= 0) {
      pairs.push_back({in, out});
      continue;
    }
    if (in >= 0) close(in);
    if (out >= 0) close(out);
  }
  while (!pairs.empty()) drop(pairs.size() - 1);
}

}  // namespace switchyard
