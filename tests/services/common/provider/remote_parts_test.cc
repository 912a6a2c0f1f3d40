#include "services/common/provider/remote_parts.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/use_future.hpp"
#include "services/common/async/runtime.h"
#include "services/common/http/http_client.h"
#include "services/common/status/reason.h"
#include "tests/support/upstream_double.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using chat::v1::ChatRequest;
using Peer = UpstreamDouble::Peer;

constexpr char kPng[] = "\x89PNG\r\n\x1a\nrest";

/// One host of the public internet, whose paths end in what they are answered with.
class RemotePartsTest : public ::testing::Test {
 protected:
  ~RemotePartsTest() override { runtime_.Stop(); }

  absl::Status Fetch(ChatRequest& request) {
    HttpClientOptions options;
    options.ca_file = upstream_.ca_file();
    auto client = MakeHttpClient(std::move(options));
    PublicFetcher::Network network;
    network.resolve = [](Scope&, std::string) -> asio::awaitable<absl::StatusOr<std::vector<std::string>>> {
      co_return std::vector<std::string>{"127.0.0.1"};
    };
    network.may_connect = [](absl::string_view, absl::string_view) { return true; };
    PublicFetcher fetcher(**client, std::move(network));
    absl::Status status;
    auto task = [&]() -> asio::awaitable<void> {
      Scope scope(co_await asio::this_coro::executor);
      if (ended_) scope.Cancel(absl::CancelledError("the caller went away"));
      status = co_await FetchRemoteParts(scope, fetcher, request);
    };
    asio::co_spawn(runtime_.All().front(), task, asio::use_future).get();
    return status;
  }
  void AddImage(ChatRequest& request, const std::string& url) {
    request.add_messages()->set_role(chat::v1::ROLE_USER);
    request.mutable_messages(request.messages_size() - 1)->add_parts()->mutable_image()->set_url(url);
  }

  Runtime runtime_{{.threads = 1}};
  UpstreamDouble upstream_{
      [](Peer& peer) {
        const std::string request = peer.ReadRequest();
        const std::string body = absl::StrContains(request, "/picture") ? kPng : "text";
        peer.Send(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(), "\r\n\r\n", body));
      },
      UpstreamDouble::Certificate::kGood};
  bool ended_ = false;
};

TEST_F(RemotePartsTest, BytesTakeThePlaceOfAddresses) {
  ChatRequest request;
  AddImage(request, upstream_.url("/picture"));
  request.mutable_messages(0)->add_parts()->mutable_file()->set_url(upstream_.url("/notes.txt"));
  request.mutable_messages(0)->mutable_parts(1)->mutable_file()->set_filename("notes.txt");
  request.mutable_messages(0)->add_parts()->set_text("What is it?");
  const absl::Status status = Fetch(request);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(request.messages(0).parts(0).image().data(), kPng);
  EXPECT_EQ(request.messages(0).parts(1).file().data(), "text");
  EXPECT_EQ(request.messages(0).parts(1).file().filename(), "notes.txt");
  EXPECT_EQ(request.messages(0).parts(2).text(), "What is it?");
}

TEST_F(RemotePartsTest, OnlyWhatIsSentIsFetched) {
  ChatRequest request;
  AddImage(request, upstream_.url("/picture"));
  AddImage(request, upstream_.url("/picture"));
  request.set_conversation_id("c");
  ASSERT_TRUE(Fetch(request).ok());
  EXPECT_EQ(upstream_.requests().size(), 1u);
  EXPECT_FALSE(request.messages(1).parts(0).image().data().empty());
}

TEST_F(RemotePartsTest, WhatCannotBeUsedIsNamed) {
  for (const std::string& url : {upstream_.url("/text"), std::string("http://localhost/picture")}) {
    ChatRequest request;
    AddImage(request, upstream_.url("/picture"));
    AddImage(request, url);
    const absl::Status status = Fetch(request);
    EXPECT_EQ(DetailOf(status).field(), "messages[1].content[0].image_url.url") << status;
    EXPECT_EQ(ReasonOf(status), Reason::REASON_INVALID_REQUEST) << status;
    EXPECT_TRUE(absl::StartsWith(status.message(), "messages[1].content[0].image_url.url: ")) << status;
    EXPECT_FALSE(absl::StrContains(status.message(), "127.0.0.1")) << status;
  }
  ChatRequest request;
  for (int i = 0; i < 17; ++i) AddImage(request, upstream_.url("/picture"));
  EXPECT_EQ(DetailOf(Fetch(request)).field(), "messages[16].content[0].image_url.url");
}

TEST_F(RemotePartsTest, TheCallersEndIsNoFaultOfTheRequest) {
  ChatRequest request;
  AddImage(request, upstream_.url("/picture"));
  ended_ = true;
  EXPECT_EQ(Fetch(request).code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace switchyard
