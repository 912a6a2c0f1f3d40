#include "services/session/refreshers/metaso.h"

#include <gtest/gtest.h>

#include "services/common/status/reason.h"

namespace switchyard {
namespace {

const std::string kUid = "65f0c0ffee5eed0000000001";
const std::string kSid = "0f1e2d3c4b5a69788796a5b400000001";
const std::string kCookies = "uid=" + kUid + "; sid=" + kSid;

class NoHttp final : public HttpClient {
 public:
  boost::asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> Send(Scope&, HttpRequest) override {
    co_return absl::InternalError("nothing is sent here");
  }
  void CloseIdle() override {}
};

absl::StatusOr<NormalCredential> Normal(const std::string& pasted) {
  NoHttp http;
  return MetasoRefresher(ProviderConfig(), http).Normalise(Secret(pasted));
}

TEST(MetasoNormalise, EveryWayToPasteALoginGivesTheCookies) {
  struct Row {
    std::string pasted;
    std::string cookies;
    bool advised;
  };
  const std::vector<Row> rows = {
      {kUid + "-" + kSid, kCookies, false},
      {"  " + kUid + "-" + kSid + "\n", kCookies, false},
      {kCookies, kCookies, false},
      {"Cookie: sid=" + kSid + "; uid=" + kUid + ";", kCookies, false},
      {"a=1; uid=old; " + kCookies + "; b=x-y=z", kCookies + "; a=1; b=x-y=z", false},
      {"\"" + kUid + "-" + kSid + "\"", kCookies, true},
      {"'" + kCookies + "'", kCookies, true},
      {"Bearer " + kUid + "-" + kSid, kCookies, true},
      {R"({"uid":")" + kUid + R"(","sid":")" + kSid + R"("})", kCookies, true},
      {R"([{"name":"sid","value":")" + kSid + R"("},{"name":"uid","value":")" + kUid + R"("}])", kCookies, true},
  };
  for (const Row& row : rows) {
    const auto normal = Normal(row.pasted);
    ASSERT_TRUE(normal.ok()) << row.pasted << ": " << normal.status();
    EXPECT_EQ(normal->value.Reveal(), row.cookies) << row.pasted;
    EXPECT_EQ(!normal->advice.empty(), row.advised) << row.pasted;
    EXPECT_FALSE(normal->exchanged);
  }
}

TEST(MetasoNormalise, RefusesTheRestWithoutQuotingIt) {
  for (const std::string& pasted :
       {std::string(), kUid, kUid + "-" + kSid + "-x", kUid + "-", "-" + kSid, kUid + "_x-" + kSid, "uid=" + kUid,
        "uid=" + kUid + "; sid=", "uid=a-b; sid=" + kSid, kUid + "-\n" + kSid, std::string("{\"x\":1}"),
        std::string("{oops"), std::string(9000, 'a')}) {
    const auto normal = Normal(pasted);
    ASSERT_FALSE(normal.ok()) << pasted;
    EXPECT_EQ(normal.status().message().find(kUid), absl::string_view::npos);
    EXPECT_EQ(normal.status().message().find(kSid), absl::string_view::npos);
  }
}

TEST(MetasoCheck, ReadsMyInfo) {
  struct Row {
    int status;
    const char* type;
    const char* body;
    Reason reason;
  };
  using enum common::v1::Reason;
  for (const Row& row : {
           Row{200, "application/json", R"({"errCode":0,"errMsg":"success","data":{"user":{"id":"1"}}})",
               REASON_UNSPECIFIED},
           Row{200, "application/json", R"({"errCode":0,"data":{}})", REASON_CREDENTIAL_EXPIRED},
           Row{200, "application/json", R"({"errCode":401,"errMsg":"x"})", REASON_CREDENTIAL_EXPIRED},
           Row{401, "", "", REASON_CREDENTIAL_EXPIRED},
           Row{302, "", "", REASON_CREDENTIAL_EXPIRED},
           Row{403, "", "", REASON_CAPTCHA_PENDING},
           Row{200, "text/html", "<html>", REASON_CAPTCHA_PENDING},
           Row{429, "", "", REASON_RATE_LIMITED},
           Row{502, "text/html", "<html>", REASON_UPSTREAM_UNAVAILABLE},
           Row{200, "application/json", "[]", REASON_UPSTREAM_CHANGED},
           Row{200, "application/json", R"({"errCode":9})", REASON_UPSTREAM_CHANGED},
       }) {
    const absl::Status status = ReadMyInfo(row.status, row.type, row.body);
    EXPECT_EQ(status.ok(), row.reason == REASON_UNSPECIFIED) << row.status << row.body << status;
    if (!status.ok()) {
      EXPECT_EQ(ReasonOf(status), row.reason) << row.status << row.body;
    }
  }
}

}  // namespace
}  // namespace switchyard
