#include "edge/gate.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"
#include "tests/support/fake_clock.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

class GateTest : public ::testing::Test {
 protected:
  void UseKey(ApiKey key) {
    const std::string file = FreshDirectory() + "/keys.yaml";
    key.name = "laptop";
    key.digest = DigestOf("the-key");
    ASSERT_TRUE(UpdateKeyFile(file, false, [&](std::vector<ApiKey>& keys) {
                  keys.push_back(key);
                  return absl::OkStatus();
                }).ok());
    keys_ = *ApiKeys::Load({.file = file}, clock_);
  }
  Admission Look(const std::string& method, const std::string& path, HttpHeaders headers, bool loopback_only = true) {
    HttpServerRequest request;
    request.method = method;
    request.path = path;
    request.headers = std::move(headers);
    absl::string_view known;
    if (path == "/v1/models") known = "GET";
    if (path == "/v1/chat/completions" || path == "/v1/messages") known = "POST";
    return Gate(*keys_, loopback_only, clock_).Look(request, known);
  }

  FakeClock clock_;
  std::unique_ptr<ApiKeys> keys_ = *ApiKeys::Load({}, clock_);
};

constexpr char kChat[] = "/v1/chat/completions";

TEST_F(GateTest, WithoutKeysOnlyThisMachineIsServed) {
  EXPECT_TRUE(Look("POST", kChat, {{"Host", "localhost:8000"}}).admitted());
  EXPECT_EQ(Look("POST", kChat, {{"Host", "relay.example"}}).http_status, 403);
  EXPECT_EQ(Look("POST", kChat, {{"Host", "localhost"}, {"Origin", "https://evil.example"}}).http_status, 403);
  EXPECT_EQ(Look("OPTIONS", kChat, {{"Host", "localhost"}, {"Origin", "https://evil.example"}}).http_status, 403);
  EXPECT_TRUE(Look("POST", kChat, {{"Host", "relay.example"}}, false).admitted());
  EXPECT_EQ(Look("POST", kChat, {{"Host", "relay.example"}, {"Origin", "https://evil.example"}}, false).http_status,
            403);
}

TEST_F(GateTest, WithKeysHostAndOriginAreFree) {
  UseKey({});
  const Admission page =
      Look("POST", kChat,
           {{"Host", "relay.example"}, {"Origin", "https://page.example"}, {"Authorization", "Bearer the-key"}});
  EXPECT_TRUE(page.admitted());
  EXPECT_EQ(page.caller.name(), "laptop");
  EXPECT_EQ(page.headers.Get("access-control-allow-origin"), "https://page.example");
  const Admission stranger = Look("POST", kChat, {{"Host", "localhost"}, {"Origin", "https://page.example"}});
  EXPECT_EQ(stranger.http_status, 401);
  EXPECT_EQ(ReasonOf(stranger.status), Reason::REASON_CALLER_UNKNOWN);
  EXPECT_EQ(stranger.headers.Get("access-control-allow-origin"), "https://page.example") << "a page reads its error";
}

TEST_F(GateTest, PreflightsNeedNoKey) {
  UseKey({});
  const Admission preflight = Look("OPTIONS", kChat,
                                   {{"Host", "relay.example"},
                                    {"Origin", "https://page.example"},
                                    {"Access-Control-Request-Headers", "authorization,content-type,x-stainless-os"}});
  EXPECT_EQ(preflight.http_status, 204);
  EXPECT_EQ(preflight.headers.Get("access-control-allow-headers"), "authorization,content-type,x-stainless-os");
  EXPECT_EQ(preflight.headers.Get("access-control-allow-methods"), "POST, OPTIONS");
  EXPECT_TRUE(absl::StrContains(preflight.headers.Get("access-control-expose-headers"), "x-ratelimit-limit-requests"));
}

TEST_F(GateTest, PathMethodAndType) {
  EXPECT_EQ(Look("GET", "/nothing", {{"Host", "localhost"}}).http_status, 404);
  EXPECT_EQ(Look("OPTIONS", "/nothing", {{"Host", "localhost"}}).http_status, 404);
  EXPECT_EQ(Look("GET", kChat, {{"Host", "localhost"}}).http_status, 405);
  EXPECT_EQ(Look("HEAD", kChat, {{"Host", "localhost"}}).http_status, 405);
  EXPECT_EQ(Look("GET", kChat, {{"Host", "localhost"}}).headers.Get("allow"), "POST, OPTIONS");
  EXPECT_TRUE(Look("HEAD", "/v1/models", {{"Host", "localhost"}}).admitted());
  EXPECT_EQ(Look("POST", "/v1/models", {{"Host", "localhost"}}).headers.Get("allow"), "GET, HEAD, OPTIONS");
  for (const char* type :
       {"application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.api+json", ""})
    EXPECT_TRUE(Look("POST", kChat, {{"Host", "localhost"}, {"Content-Type", type}}).admitted()) << type;
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=json"})
    EXPECT_EQ(Look("POST", kChat, {{"Host", "localhost"}, {"Content-Type", type}}).http_status, 415) << type;
  const Admission packed = Look("POST", kChat, {{"Host", "localhost"}, {"Content-Encoding", "gzip"}});
  EXPECT_EQ(packed.http_status, 415);
  EXPECT_EQ(packed.headers.Get("accept-encoding"), "identity");
  EXPECT_TRUE(Look("POST", kChat, {{"Host", "localhost"}, {"Content-Encoding", "identity"}}).admitted());
}

TEST_F(GateTest, TheKeyHeaderOfAnthropicsApi) {
  UseKey({});
  EXPECT_TRUE(Look("POST", "/v1/messages", {{"Host", "x"}, {"x-api-key", "the-key"}}).admitted());
  EXPECT_EQ(Look("POST", kChat, {{"Host", "x"}, {"x-api-key", "the-key"}}).http_status, 401);
}

TEST_F(GateTest, LimitsAreToldOnEveryAnswer) {
  ApiKey key;
  key.requests_per_minute = 7;
  UseKey(std::move(key));
  for (const Admission& admission :
       {Look("GET", "/v1/models", {{"Authorization", "Bearer the-key"}}),
        Look("POST", kChat, {{"Authorization", "Bearer the-key"}}),
        Look("POST", kChat, {{"Authorization", "Bearer the-key"}, {"Content-Type", "text/plain"}})}) {
    EXPECT_EQ(admission.headers.Get("x-ratelimit-limit-requests"), "7");
    EXPECT_EQ(admission.headers.Get("x-ratelimit-remaining-requests"), "7");
    EXPECT_EQ(admission.headers.Get("x-ratelimit-reset-requests"), "0s");
  }
}

}  // namespace
}  // namespace switchyard
