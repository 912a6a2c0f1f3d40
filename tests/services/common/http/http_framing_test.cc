// Every framing vector of tests/data/http_framing, byte for byte, at a server over a socket. README.md there says what
// each class means.
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/common/async/runtime.h"
#include "services/common/http/http_server.h"
#include "tests/support/http_probe.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;

// Vectors called compliant that are refused all the same, with the status and why.
const std::map<std::string, int>& RefusedByRule() {
  static const auto& rules = *new std::map<std::string, int>{
      // RFC 9112, 6.1: a transfer coding that the server does not understand is 501.
      {"Different Transfer-Encoding headers", 501},
      {"Different Transfer-Encoding headers combined", 501},
      {"Correct TE OK", 501},
      {"Transfer-Encoding: identity and chunked OK", 501},
      {"Multiple transfer encoding headers in a single request OK", 501},
      // RFC 9112, 7.1: chunked has no parameters; their presence is an error.
      {"Transfer-Encoding with a param: chunked;custom_param", 400},
      {"TE with custom parameters OK", 400},
      // RFC 9112, 3: a request line has a target.
      {"Empty URI", 400},
  };
  return rules;
}

struct Vector {
  std::string name;
  std::string tier;
  std::string head;  // up to and with the empty line
  bool chunked = false;
  size_t length = 0;  // of the body, by Content-Length
};

Vector Read(const YAML::Node& node) {
  Vector vector;
  vector.name = node["name"].as<std::string>();
  vector.tier = node["expected"]["tier"].as<std::string>();
  const std::string version = node["version"].as<std::string>();
  vector.head = absl::StrCat(node["method"].as<std::string>(), " ", node["uri"].as<std::string>(),
                             version.empty() ? "" : " ", version, "\r\n");
  std::string headers;
  bool host = false;
  for (const YAML::Node& header : node["headers"]) {
    const std::string name = header["name"].as<std::string>();
    const std::string value = header["value"].as<std::string>();
    absl::StrAppend(&headers, name, ": ", value, "\r\n");
    host |= absl::EqualsIgnoreCase(name, "host");
    vector.chunked |= absl::EqualsIgnoreCase(name, "transfer-encoding");
    if (absl::EqualsIgnoreCase(name, "content-length") &&
        !absl::SimpleAtoi(absl::StripAsciiWhitespace(value), &vector.length))
      vector.length = 0;
  }
  // The vectors are about framing and leave out what HTTP/1.1 asks for besides.
  absl::StrAppend(&vector.head, host ? "" : "Host: localhost\r\n", headers, "\r\n");
  return vector;
}

class HttpFramingTest : public ::testing::Test {
 protected:
  HttpFramingTest() {
    auto server = HttpServer::Listen(runtime_, {}, [this](HttpServerRequest& request, HttpResponder& responder) {
      return Serve(request, responder);
    });
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  ~HttpFramingTest() override {
    server_->Shutdown(absl::ZeroDuration(), absl::CancelledError("over"));
    runtime_.Stop();
  }

  asio::awaitable<void> Serve(HttpServerRequest& request, HttpResponder& responder) {
    ++served_;
    HttpHeaders headers;
    std::string body = absl::StrCat("served ", request.path, " with ", request.body.size());
    co_await responder.Send(200, std::move(headers), std::move(body));
  }

  /// All that comes back for `bytes`, to the connection's end.
  std::string Exchange(const std::string& bytes) {
    served_ = 0;
    HttpProbe probe(server_->port());
    probe.Send(bytes);
    EXPECT_FALSE(probe.ReadUntil("no answer holds this"));
    EXPECT_TRUE(probe.closed()) << "the connection stays open";
    return probe.raw();
  }

  static int Answers(const std::string& raw) {
    int count = 0;
    for (size_t at = raw.find("HTTP/1."); at != std::string::npos; at = raw.find("HTTP/1.", at + 1)) ++count;
    return count;
  }

  /// One answer with one of `statuses`, and an end: nothing behind it is read as a request.
  void ExpectRefused(const Vector& vector, const std::vector<int>& statuses) {
    const std::string raw =
        Exchange(vector.head + "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(std::any_of(statuses.begin(), statuses.end(), [&raw](int status) {
      return absl::StartsWith(raw, absl::StrCat("HTTP/1.1 ", status, " ")) ||
             absl::StartsWith(raw, absl::StrCat("HTTP/1.0 ", status, " "));
    })) << raw;
    EXPECT_EQ(Answers(raw), 1) << raw;
    EXPECT_EQ(served_, 0) << raw;
  }

  /// Served, and what comes behind it on the connection is the next request, whole.
  void ExpectServed(const Vector& vector) {
    const std::string body = vector.chunked ? "5\r\nhello\r\n0\r\n\r\n" : std::string(vector.length, 'b');
    const std::string raw = Exchange(
        absl::StrCat(vector.head, body, "GET /after HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    EXPECT_TRUE(absl::StartsWith(raw, "HTTP/1.1 200 ")) << raw;
    EXPECT_TRUE(absl::StrContains(raw, absl::StrCat(" with ", vector.chunked ? 5 : vector.length))) << raw;
    EXPECT_TRUE(absl::StrContains(raw, "served /after with 0")) << raw;
    EXPECT_EQ(served_, 2) << raw;
  }

  Runtime runtime_{{.threads = 1}};
  std::unique_ptr<HttpServer> server_;
  std::atomic<int> served_{0};
};

TEST_F(HttpFramingTest, EveryVector) {
  std::map<std::string, int> counts;
  int by_rule = 0;
  for (const char* file : {"acceptable", "ambiguous", "bad-header-characters", "edge-cases", "more-compliant-tests",
                           "real-life-test-cases", "rfc-compliant", "severe", "uri-specific-test-cases"}) {
    for (const YAML::Node& node : YAML::LoadFile(absl::StrCat("tests/data/http_framing/", file, ".yaml"))) {
      const Vector vector = Read(node);
      SCOPED_TRACE(absl::StrCat(file, ": ", vector.name, "\n", vector.head));
      ++counts[vector.tier];
      const auto rule = RefusedByRule().find(vector.name);
      if (vector.tier == "Severe" || vector.tier == "Ambiguous") {
        ExpectRefused(vector, {400});
      } else if (vector.tier == "Acceptable") {
        // Either will do; all of these are refused here, but for a Content-Length of 0.
        if (vector.length == 0 && absl::StrContains(vector.head, "Content-Length: 0")) {
          ExpectServed(vector);
        } else {
          ExpectRefused(vector, {400});
        }
      } else if (rule != RefusedByRule().end()) {
        ++by_rule;
        ExpectRefused(vector, {rule->second});
      } else {
        ASSERT_EQ(vector.tier, "Compliant");
        ExpectServed(vector);
      }
    }
  }
  EXPECT_EQ(counts["Severe"] + counts["Ambiguous"] + counts["Acceptable"] + counts["Compliant"], 158);
  EXPECT_EQ(by_rule, static_cast<int>(RefusedByRule().size()));
  std::cout << "framing vectors: " << counts["Severe"] << " severe and " << counts["Ambiguous"]
            << " ambiguous refused, " << counts["Acceptable"] << " acceptable without a second reading, "
            << counts["Compliant"] - by_rule << " compliant served, " << by_rule << " compliant refused by rule\n";
}

}  // namespace
}  // namespace switchyard
