// Load on an HTTP server, and what came of it: replies a second, or the delay of stamped pieces.
//
//   load --port 8000 --path /v1/chat/completions --body '{…}' --connections 8 --seconds 5
//   load … --paced            every connection asks once; prints p50 and p99 of the pieces' age on arrival, in
//   microseconds
//   load … --expect TEXT      what a good reply holds
//
// 32 times '#' in the body become a number that no other request has.
//
// Prints one line: replies, failures, seconds, p50_us, p99_us.
#include <getopt.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "boost/asio/as_tuple.hpp"
#include "boost/asio/awaitable.hpp"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/detached.hpp"
#include "boost/asio/io_context.hpp"
#include "boost/asio/ip/tcp.hpp"
#include "boost/asio/use_awaitable.hpp"
#include "boost/asio/write.hpp"
#include "tests/simulator/stamp.h"

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr absl::string_view kEnd = "\r\n0\r\n\r\n";
constexpr size_t kStampDigits = 19;
constexpr size_t kUniqueDigits = 32;

struct Options {
  int port = 8000;
  std::string path = "/";
  std::string body;
  int connections = 1;
  int seconds = 3;
  bool paced = false;
  std::string expect = "\"finish_reason\":";  // in every good reply
};

struct Totals {
  int64_t replies = 0;
  int64_t failures = 0;
  std::vector<int64_t> ages;  // nanoseconds
};

// A platform may repeat at the end what it said before: a stamp counts once.
void TakeStamps(absl::string_view text, int64_t now, size_t& from, int64_t& newest, Totals& totals) {
  for (;;) {
    const size_t at = text.find('@', from);
    if (at == absl::string_view::npos) {
      from = text.size();
      return;
    }
    from = at;
    if (text.size() < at + 1 + kStampDigits) return;
    int64_t made;
    if (absl::SimpleAtoi(text.substr(at + 1, kStampDigits), &made) && made > newest) {
      newest = made;
      totals.ages.push_back(now - made);
    }
    from = at + 1 + kStampDigits;
  }
}

asio::awaitable<void> Run(const Options& options, Clock::time_point until, Totals& totals) {
  static int64_t number = simulator::MonotonicNanoseconds();  // not that of an earlier run either
  std::string request = absl::StrCat(
      options.body.empty() ? "GET " : "POST ", options.path,
      " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ", options.body.size(),
      "\r\n\r\n", options.body);
  const size_t unique = request.find(std::string(kUniqueDigits, '#'));
  const tcp::endpoint endpoint(asio::ip::address_v4::loopback(), static_cast<uint16_t>(options.port));
  tcp::socket socket(co_await asio::this_coro::executor);
  std::array<char, 16384> buffer;
  std::string reply;
  while (Clock::now() < until) {
    if (!socket.is_open()) {
      auto [failed] = co_await socket.async_connect(endpoint, kTuple);
      if (failed) {
        ++totals.failures;
        socket.close();
        continue;
      }
      socket.set_option(tcp::no_delay(true));
    }
    if (unique != std::string::npos)
      request.replace(unique, kUniqueDigits, absl::StrFormat("%0*x", static_cast<int>(kUniqueDigits), ++number));
    auto [not_written, written] = co_await asio::async_write(socket, asio::buffer(request), kTuple);
    reply.clear();
    size_t looked = 0;
    int64_t newest = 0;
    bool whole = false;
    while (!not_written && !whole) {
      auto [ended, size] = co_await socket.async_read_some(asio::buffer(buffer), kTuple);
      if (ended) break;
      reply.append(buffer.data(), size);
      if (options.paced) TakeStamps(reply, simulator::MonotonicNanoseconds(), looked, newest, totals);
      whole = absl::EndsWith(reply, kEnd);
    }
    const bool good = whole && absl::StrContains(reply, options.expect) && absl::StartsWith(reply, "HTTP/1.1 200");
    ++(good ? totals.replies : totals.failures);
    if (!good) {
      if (totals.failures == 1) std::fprintf(stderr, "first failure: %.300s\n", reply.c_str());
      socket.close();
    }
    if (options.paced) co_return;
  }
}

int64_t Percentile(std::vector<int64_t>& values, double share) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<size_t>(at)];
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  enum { kPort = 1, kPath, kBody, kConnections, kSeconds, kPaced, kExpect };
  constexpr std::array kFlags = {
      option{"port", required_argument, nullptr, kPort},
      option{"path", required_argument, nullptr, kPath},
      option{"body", required_argument, nullptr, kBody},
      option{"connections", required_argument, nullptr, kConnections},
      option{"seconds", required_argument, nullptr, kSeconds},
      option{"paced", no_argument, nullptr, kPaced},
      option{"expect", required_argument, nullptr, kExpect},
      option{nullptr, 0, nullptr, 0},
  };
  for (int chosen; (chosen = getopt_long(argc, argv, "", kFlags.data(), nullptr)) != -1;) {
    if (chosen == kPort) options.port = std::atoi(optarg);
    if (chosen == kPath) options.path = optarg;
    if (chosen == kBody) options.body = optarg;
    if (chosen == kConnections) options.connections = std::atoi(optarg);
    if (chosen == kSeconds) options.seconds = std::atoi(optarg);
    if (chosen == kPaced) options.paced = true;
    if (chosen == kExpect) options.expect = optarg;
    if (chosen == '?') return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  asio::io_context loop(1);
  Totals totals;
  const auto start = Clock::now();
  for (int i = 0; i < options.connections; ++i)
    asio::co_spawn(loop, Run(options, start + std::chrono::seconds(options.seconds), totals), asio::detached);
  loop.run();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::printf("%lld %lld %.3f %lld %lld\n", static_cast<long long>(totals.replies),
              static_cast<long long>(totals.failures), seconds,
              static_cast<long long>(Percentile(totals.ages, 0.5) / 1000),
              static_cast<long long>(Percentile(totals.ages, 0.99) / 1000));
  return totals.replies > 0 ? 0 : 1;
}
