#include <gtest/gtest.h>

#include "services/common/http/http_path.h"
#include "services/common/http/multipart.h"
#include "services/common/http/retry_after.h"

namespace switchyard {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1793000000);  // Mon, 26 Oct 2026 07:33:20 GMT

TEST(RetryAfter, SecondsAndDatesWithinBounds) {
  EXPECT_EQ(ParseRetryAfter("7", kNow), absl::Seconds(7));
  EXPECT_EQ(ParseRetryAfter(" 1.5 ", kNow), absl::Seconds(1.5));
  EXPECT_EQ(ParseRetryAfter("0", kNow), absl::Seconds(1));
  EXPECT_EQ(ParseRetryAfter("1e300", kNow), absl::Minutes(10));
  EXPECT_EQ(ParseRetryAfter("Mon, 26 Oct 2026 07:34:20 GMT", kNow), absl::Minutes(1));
  EXPECT_EQ(ParseRetryAfter("Mon, 26 Oct 2020 07:34:20 GMT", kNow), absl::Seconds(1));
  for (const char* bad : {"", "-5", "soon", "nan", "Mon"}) EXPECT_FALSE(ParseRetryAfter(bad, kNow).has_value()) << bad;
}

TEST(Target, IsNormalisedOnce) {
  const auto path = [](const char* target) {
    auto parsed = ParseTarget(target);
    return parsed.ok() ? parsed->path + "?" + parsed->query : std::string("refused");
  };
  EXPECT_EQ(path("/v1/models/a%2Fb?x=%20"), "/v1/models/a/b?x=%20");
  EXPECT_EQ(path("/a/../v1/./models"), "/v1/models?");
  EXPECT_EQ(path("http://localhost:8000/v1/models"), "/v1/models?");
  EXPECT_EQ(path("/%252e%252e/x"), "/%2e%2e/x?");
  for (const char* bad : {"", "v1", "/%", "/%zz", "/%00"}) EXPECT_EQ(path(bad), "refused") << bad;
}

TEST(MultipartForm, KeepsItsOrderAndEscapesNames) {
  MultipartForm form("b0undary");
  form.AddField("dir", "a/b");
  form.AddFile("file", "a\"b\r\n.png", "image/png", std::string("\0\r\n--", 5));
  EXPECT_EQ(form.content_type(), "multipart/form-data; boundary=b0undary");
  const std::string expected =
      "--b0undary\r\nContent-Disposition: form-data; name=\"dir\"\r\n\r\na/b\r\n"
      "--b0undary\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a%22b%0D%0A.png\"\r\n"
      "Content-Type: image/png\r\n\r\n" +
      std::string("\0\r\n--", 5) + "\r\n--b0undary--\r\n";
  EXPECT_EQ(std::move(form).Finish(), expected);
}

}  // namespace
}  // namespace switchyard
