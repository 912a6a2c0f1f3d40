#include "services/session/refreshers/doubao.h"

#include <gtest/gtest.h>

#include <optional>
#include <regex>

#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

const std::string kSession = "0123456789abcdef0123456789abcdef";
const std::string kOther = "f123456789abcdef0123456789abcdef";
const std::string kNormal = "sessionid=" + kSession + "; sessionid_ss=" + kSession;

class NoHttp final : public HttpClient {
 public:
  boost::asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> Send(Scope&, HttpRequest) override {
    co_return absl::InternalError("nothing is sent here");
  }
  void CloseIdle() override {}
};
class FixedClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::FromUnixMillis(1793000000123); }
  Monotonic MonotonicNow() const override { return {}; }
};
class CountingRandom final : public Random {
 public:
  uint64_t Next() override { return next_++; }

 private:
  uint64_t next_ = 0;
};

class DoubaoTest : public ::testing::Test {
 protected:
  NoHttp http_;
  SigningClient signing_{grpc::CreateChannel("127.0.0.1:9", grpc::InsecureChannelCredentials())};  // not asked
  FixedClock clock_;
  CountingRandom random_;
  DoubaoRefresher refresher_{ProviderConfig(), {http_, signing_, clock_, random_}};
};

TEST_F(DoubaoTest, EveryWayToPasteASession) {
  struct Row {
    std::string pasted, wanted;
    bool advised;
  };
  for (const Row& row : std::vector<Row>{
           {kSession, kNormal, false},
           {" \t" + kSession + "\r\n", kNormal, false},
           {"0123456789ABCDEF0123456789ABCDEF", kNormal, false},
           {"sessionid=" + kSession, kNormal, false},
           {"sessionid_ss=" + kSession, kNormal, false},
           {"Cookie: sessionid=" + kSession + ";", kNormal, true},
           {"ttwid=a=b; sessionid=" + kSession + " ; x=", kNormal + "; ttwid=a=b; x=", false},
           {"sessionid=" + kOther + "; sessionid=" + kSession, kNormal, false},
           {"sessionid=" + kSession + "; sessionid_ss=" + kOther, kNormal, true},
           {"Bearer " + kSession, kNormal, true},
           {"\"" + kSession + "\"", kNormal, true},
           {"'" + kSession + "'", kNormal, true},
           {R"({"sessionid":")" + kSession + R"(","n":1})", kNormal, true},
           {R"([{"name":"a","value":"b"},{"name":"sessionid","value":")" + kSession + R"("}])", kNormal + "; a=b",
            true},
       }) {
    auto normal = refresher_.Normalise(Secret(row.pasted));
    ASSERT_TRUE(normal.ok()) << row.pasted << ": " << normal.status();
    EXPECT_EQ(normal->value.Reveal(), row.wanted) << row.pasted;
    EXPECT_EQ(!normal->advice.empty(), row.advised) << row.pasted << normal->advice;
    EXPECT_FALSE(normal->exchanged);
    EXPECT_EQ(normal->advice.find(kSession), std::string::npos);
  }
}

TEST_F(DoubaoTest, WhatIsNoSessionIsRefusedAndNotQuoted) {
  struct Row {
    std::string pasted;
    const char* says;
  };
  for (const Row& row : std::vector<Row>{
           {"", "empty"},
           {"canary", "no session id"},
           {kSession + "canary", "no session id"},
           {"verify_canary_abc", "s_v_web_id"},
           {"s_v_web_id=verify_canary", "no login"},
           {"ttwid=canary; a=b", "not signed in"},
           {"sessionid=canary", "not 32 hex digits"},
           {"sessionid=" + kSession + "; a=b\r\nX: canary", "line break"},
           {"{}", "JSON"},
           {R"({"user_id":1})", "JSON"},
           {"eyJhbGciOiJub25lIn0.canary.x", "no session id"},
           {std::string(20000, 'a'), "longer"},
       }) {
    const absl::Status refused = refresher_.Normalise(Secret(row.pasted)).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << row.pasted;
    EXPECT_NE(refused.message().find(row.says), absl::string_view::npos) << refused;
    EXPECT_EQ(refused.message().find("canary"), absl::string_view::npos) << refused;
  }
}

TEST_F(DoubaoTest, AnAccountGetsADevice) {
  const Identity identity = refresher_.MakeIdentity(Secret(kNormal));
  EXPECT_EQ(identity.size(), 5u);
  for (const char* name : {"device_id", "web_id", "tea_uuid"})
    EXPECT_TRUE(std::regex_match(identity.at(name), std::regex("7[0-9]{18}"))) << name;
  EXPECT_EQ(identity.at("web_id"), identity.at("device_id"));
  EXPECT_NE(identity.at("tea_uuid"), identity.at("device_id"));
  EXPECT_TRUE(std::regex_match(
      identity.at("fp"),
      std::regex("verify_[0-9a-z]{8}_[0-9A-Za-z]{8}_[0-9A-Za-z]{4}_[0-9A-Za-z]{4}_[0-9A-Za-z]{4}_[0-9A-Za-z]{12}")))
      << identity.at("fp");
  EXPECT_EQ(identity.at("web_tab_id").size(), 36u);
  EXPECT_EQ(refresher_.MakeIdentity(Secret(kNormal + "; s_v_web_id=verify_mine")).at("fp"), "verify_mine");
}

TEST(DoubaoCheck, EveryAnswerHasItsMeaning) {
  struct Row {
    int status;
    std::string type, body;
    std::optional<Reason> reason;  // nullopt: valid
  };
  const std::string json = "application/json";
  for (const Row& row : std::vector<Row>{
           {200, json, R"({"data":{"user_id":7412345678901234567},"message":"success"})", std::nullopt},
           {200, json, R"({"data":{"user_id":18446744073709551615}})", std::nullopt},
           {200, json, R"({"user_id":"12"})", std::nullopt},
           {200, json, R"({"data":{"user_id":0}})", Reason::REASON_CREDENTIAL_EXPIRED},
           {200, json, R"({"data":{"error_code":4},"message":"error"})", Reason::REASON_CREDENTIAL_EXPIRED},
           {200, json, R"({"code":710012001})", Reason::REASON_CREDENTIAL_EXPIRED},
           {200, json, R"({"code":710022004})", Reason::REASON_RATE_LIMITED},
           {200, "text/event-stream", "event: STREAM_ERROR\ndata: {\"error_code\":710012000}\n\n",
            Reason::REASON_CREDENTIAL_EXPIRED},
           {401, "", "", Reason::REASON_CREDENTIAL_EXPIRED},
           {302, "", "", Reason::REASON_CREDENTIAL_EXPIRED},
           {429, "", "", Reason::REASON_RATE_LIMITED},
           {403, "", "", Reason::REASON_CLIENT_REFUSED},
           {200, "text/html", "<html>", Reason::REASON_CAPTCHA_PENDING},
           {500, "text/html", "<html>", Reason::REASON_UPSTREAM_UNAVAILABLE},
           {200, json, "not json", Reason::REASON_UPSTREAM_CHANGED},
           {200, json, "{}", Reason::REASON_UPSTREAM_CHANGED},
           {404, json, "{}", Reason::REASON_UPSTREAM_CHANGED},
       }) {
    const absl::Status status = ReadDoubaoAccount(row.status, row.type, row.body);
    EXPECT_EQ(status.ok(), !row.reason) << row.body << status;
    if (!row.reason) continue;
    EXPECT_EQ(ReasonOf(status), *row.reason) << row.status << row.body;
  }
}

}  // namespace
}  // namespace switchyard
