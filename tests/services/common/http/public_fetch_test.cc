// What a request's own addresses may lead to, against a server on loopback that stands for the public internet.
#include "services/common/http/public_fetch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/use_future.hpp"
#include "services/common/async/runtime.h"
#include "tests/support/upstream_double.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using Certificate = UpstreamDouble::Certificate;
using Peer = UpstreamDouble::Peer;
using Addresses = std::vector<std::string>;

UpstreamDouble::Script Answer(std::string bytes) {
  return [bytes](Peer& peer) {
    if (!peer.ReadRequest().empty()) peer.Send(bytes);
  };
}
std::string Ok(const std::string& body) {
  return absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
}

class PublicFetchTest : public ::testing::Test {
 protected:
  ~PublicFetchTest() override { runtime_.Stop(); }

  /// The double is one host of the internet; 127.0.0.1 is its public address, and any port is good.
  absl::StatusOr<std::string> Fetch(const UpstreamDouble& upstream, std::string url, HttpClientOptions options = {}) {
    options.ca_file = upstream.ca_file();
    PublicFetcher::Network network;
    network.resolve = [this](Scope&, std::string host) -> asio::awaitable<absl::StatusOr<Addresses>> {
      resolved_.push_back(host);
      co_return names_[host];
    };
    network.may_connect = [](absl::string_view address, absl::string_view) { return address == "127.0.0.1"; };
    auto client = MakeHttpClient(std::move(options));
    EXPECT_TRUE(client.ok()) << client.status();
    PublicFetcher fetcher(**client, std::move(network));
    return Run(fetcher, std::move(url));
  }
  /// As programs make it.
  absl::StatusOr<std::string> FetchForReal(std::string url, const std::string& ca_file = "") {
    HttpClientOptions options;
    options.ca_file = ca_file;
    auto client = MakeHttpClient(std::move(options));
    PublicFetcher fetcher(**client);
    return Run(fetcher, std::move(url));
  }
  absl::StatusOr<std::string> Run(PublicFetcher& fetcher, std::string url) {
    absl::StatusOr<std::string> got;
    auto task = [&]() -> asio::awaitable<void> {
      Scope scope(co_await asio::this_coro::executor);
      if (ended_) scope.Cancel(absl::CancelledError("the caller went away"));
      got = co_await fetcher.Fetch(scope, std::move(url), limits_);
    };
    asio::co_spawn(runtime_.All().front(), task, asio::use_future).get();
    return got;
  }
  std::string Why(const absl::StatusOr<std::string>& got) {
    EXPECT_EQ(got.status().code(), absl::StatusCode::kInvalidArgument) << got.status();
    return std::string(got.status().message());
  }

  Runtime runtime_{{.threads = 1}};
  PublicFetcher::Limits limits_;
  std::map<std::string, Addresses> names_{{"localhost", {"127.0.0.1"}}, {"other.example", {"127.0.0.1"}}};
  Addresses resolved_;
  bool ended_ = false;
};

constexpr char kNotPublic[] = "names a host that is not found at a public address";

TEST_F(PublicFetchTest, FetchesFromTheAddressThatWasCheckedAndVerifiesTheName) {
  UpstreamDouble upstream(Answer(Ok("picture")), Certificate::kWrongName);  // it is other.example
  auto got = Fetch(upstream, absl::StrCat("https://other.example:", upstream.port(), "/a?b=c#d"));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(*got, "picture");
  EXPECT_EQ(resolved_, Addresses{"other.example"}) << "resolved once";
  const std::string sent = upstream.requests().at(0);
  EXPECT_TRUE(absl::StartsWith(sent, "GET /a?b=c HTTP/1.1\r\n")) << sent;
  EXPECT_TRUE(absl::StrContains(sent, absl::StrCat("Host: other.example:", upstream.port(), "\r\n"))) << sent;
  for (const char* header : {"Cookie", "Authorization", "Referer"})
    EXPECT_FALSE(absl::StrContains(sent, header)) << sent;
  // The same server by a name that is not its own.
  EXPECT_EQ(Why(Fetch(upstream, upstream.url("/"))), "names a server that cannot be reached");
}

TEST_F(PublicFetchTest, EveryAddressOfTheNameHasToBePublic) {
  UpstreamDouble upstream(Answer(Ok("secret")), Certificate::kGood);
  names_["localhost"] = {"127.0.0.1", "10.0.0.1"};
  EXPECT_EQ(Why(Fetch(upstream, upstream.url("/"))), kNotPublic);
  names_["localhost"] = {};
  EXPECT_EQ(Why(Fetch(upstream, upstream.url("/"))), kNotPublic);
  EXPECT_EQ(upstream.connections(), 0);
}

TEST_F(PublicFetchTest, ProgramsFetchFromThePublicInternetAlone) {
  UpstreamDouble upstream(Answer(Ok("secret")), Certificate::kGood);
  for (const char* host : {"localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0", "[::1]",
                           "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "169.254.169.254", "10.0.0.1"}) {
    for (const std::string& port : {absl::StrCat(":", upstream.port()), std::string()})
      EXPECT_EQ(Why(FetchForReal(absl::StrCat("https://", host, port, "/"), upstream.ca_file())), kNotPublic) << host;
  }
  EXPECT_EQ(Why(FetchForReal("https://1.1.1.1:22/")), kNotPublic);
  EXPECT_EQ(upstream.connections(), 0);
}

TEST_F(PublicFetchTest, UrlsThatAreNotFetched) {
  UpstreamDouble upstream(Answer(Ok("x")), Certificate::kGood);
  const std::string place = absl::StrCat("localhost:", upstream.port());
  const Addresses urls = {"",           "cat.png",    "http://" + place,       "ftp://" + place, "file:///etc/passwd",
                          "https:///x", "//" + place, "data:image/png;base64,"};
  for (const std::string& url : urls) EXPECT_EQ(Why(Fetch(upstream, url)), "must be an https URL") << url;
  EXPECT_EQ(Why(Fetch(upstream, "https://me:secret@" + place)), "must not hold a user name or a password");
  EXPECT_EQ(Why(Fetch(upstream, "https://" + place + "/" + std::string(9000, 'x'))), "is too long");
  EXPECT_EQ(upstream.connections(), 0);
}

TEST_F(PublicFetchTest, RedirectsAreLookedAtFromTheStart) {
  std::string location;
  int left = 0;
  UpstreamDouble upstream(
      [&](Peer& peer) {
        if (peer.ReadRequest().empty()) return;
        peer.Send(left-- > 0
                      ? absl::StrCat("HTTP/1.1 302 Found\r\nLocation: ", location, "\r\nContent-Length: 0\r\n\r\n")
                      : Ok("there"));
      },
      Certificate::kGood);
  location = "b?x=1";
  left = 3;
  auto got = Fetch(upstream, upstream.url("/a/c"));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(*got, "there");
  EXPECT_TRUE(absl::StartsWith(upstream.requests().back(), "GET /a/b?x=1 ")) << upstream.requests().back();
  EXPECT_EQ(resolved_.size(), 4u);
  left = 4;
  EXPECT_EQ(Why(Fetch(upstream, upstream.url("/"))), "redirects too often");
  names_["inside.example"] = {"192.168.0.1"};
  for (const auto& [to, why] : std::map<std::string, std::string>{
           {"https://inside.example/", kNotPublic},
           {"http://localhost/", "must be an https URL"},
           {"https://a:b@localhost/", "must not hold a user name or a password"},
           {"ht!tp:// /", "redirects to nowhere"},
       }) {
    location = to;
    left = 1;
    EXPECT_EQ(Why(Fetch(upstream, upstream.url("/"))), why) << to;
  }
}

TEST_F(PublicFetchTest, SizeIsBoundedWhateverIsAnnounced) {
  limits_.max_bytes = 1024 * 1024;
  const std::string exact(limits_.max_bytes, 'x');
  const auto chunked = [](const std::string& body) {
    return absl::StrCat("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", absl::Hex(body.size()), "\r\n", body,
                        "\r\n0\r\n\r\n");
  };
  UpstreamDouble fits(Answer(chunked(exact)), Certificate::kGood);
  EXPECT_EQ(Fetch(fits, fits.url("/"))->size(), exact.size());
  UpstreamDouble larger(Answer(chunked(exact + "x")), Certificate::kGood);
  EXPECT_EQ(Why(Fetch(larger, larger.url("/"))), "is larger than 1 MiB");
  UpstreamDouble announced(Answer("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx"), Certificate::kGood);
  EXPECT_EQ(Why(Fetch(announced, announced.url("/"))), "is larger than 1 MiB");
}

TEST_F(PublicFetchTest, WhatIsNotThereOrNotWhole) {
  UpstreamDouble missing(Answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), Certificate::kGood);
  EXPECT_EQ(Why(Fetch(missing, missing.url("/"))), "was answered with HTTP status 404");
  UpstreamDouble cut(Answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"), Certificate::kGood);
  EXPECT_EQ(Why(Fetch(cut, cut.url("/"))), "was not received whole");
}

TEST_F(PublicFetchTest, TimeIsBoundedAndTheCallersEndIsTheirs) {
  UpstreamDouble silent(
      [](Peer& peer) {
        peer.ReadRequest();
        peer.AwaitClose();
      },
      Certificate::kGood);
  limits_.time = absl::Milliseconds(50);
  EXPECT_EQ(Why(Fetch(silent, silent.url("/"))), "takes too long to fetch");
  ended_ = true;
  EXPECT_EQ(Fetch(silent, silent.url("/")).status().code(), absl::StatusCode::kCancelled);
}

TEST_F(PublicFetchTest, AProxyIsGivenTheCheckedAddress) {
  UpstreamDouble proxy([](Peer& peer) {
    if (!peer.ReadRequest().empty()) peer.Send("HTTP/1.1 403 Forbidden\r\n\r\n");
  });
  UpstreamDouble upstream(Answer(Ok("x")), Certificate::kWrongName);
  HttpClientOptions options;
  options.proxy = absl::StrCat("http://127.0.0.1:", proxy.port());
  EXPECT_EQ(Why(Fetch(upstream, "https://other.example:444/", options)), "names a server that cannot be reached");
  ASSERT_EQ(proxy.requests().size(), 1u);
  EXPECT_TRUE(absl::StartsWith(proxy.requests()[0], "CONNECT 127.0.0.1:444 ")) << proxy.requests()[0];
  EXPECT_FALSE(absl::StrContains(proxy.requests()[0], "other.example")) << proxy.requests()[0];
}

}  // namespace
}  // namespace switchyard
