#include "services/minimax/requests.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/minimax/poll_pace.h"

namespace switchyard::minimax {
namespace {

std::string Jwt(const std::string& payload) {
  std::string encoded;
  absl::WebSafeBase64Escape(payload, &encoded);
  return absl::StrCat("eyJhbGciOiJIUzI1NiJ9.", encoded, ".c2ln");
}

Login Tester() {
  return LoginOf(Secret(Jwt(R"({"exp":1774000000,"user":{"id":"450000000000000001","deviceID":"98765432"}})")), {});
}

const absl::Time kNow = absl::FromUnixMillis(1771400225987);

TEST(SendMessage, BodyIsThatOfTheNotesAndSignedAsSent) {
  Settings settings;
  MessageInput input;
  input.prompt = "你好";
  input.model = "Auto";
  const SignedParts parts = SendMessage(settings, Tester(), kNow, input);
  EXPECT_EQ(parts.request.body,
            R"({"msg_type":1,"text":"你好","chat_type":2,"attachments":[],"selected_mcp_tools":[],"sub_agent_ids":[],)"
            R"("model_option":{"display_name":"Auto","model_type":0}})");
  EXPECT_EQ(parts.to_sign.body(), parts.request.body);
  EXPECT_EQ(absl::StrCat(settings.base_url, parts.to_sign.target()), parts.request.url);
  EXPECT_EQ(parts.to_sign.time_ms(), 1771400225000);
  EXPECT_FALSE(parts.request.repeatable) << "a message may not be said twice";
}

TEST(SendMessage, QueryHasItsTwentyParametersInOrder) {
  Settings settings;
  settings.base_url = "http://127.0.0.1:1/minimax";
  settings.browser_platform = "Linux x86_64";
  const Login login = Tester();
  const SignedParts parts = SendMessage(settings, login, kNow, {});
  EXPECT_EQ(parts.to_sign.target(),
            absl::StrCat("/minimax/matrix/api/v1/chat/send_msg?device_platform=web&biz_id=3&app_id=3001&"
                         "version_code=22201&unix=1771400225000&timezone_offset=28800&lang=zh&uuid=",
                         login.uuid,
                         "&device_id=98765432&os_name=Windows&browser_name=chrome&device_memory=8&cpu_core_num=32&"
                         "browser_language=zh-CN&browser_platform=Linux+x86_64&user_id=450000000000000001&"
                         "screen_width=1600&screen_height=1000&token=",
                         login.jwt.Reveal(), "&client=web"));
  EXPECT_EQ(parts.request.headers.Get("token"), login.jwt.Reveal());
  EXPECT_EQ(parts.request.headers.Get("origin"), "http://127.0.0.1:1");
}

TEST(Bodies, AreEscapedAsTheNotesSay) {
  MessageInput input;
  const std::string prompt("\"\\/\b\f\n\r\t\x01\x1f<>&'\x7f\xE2\x80\xA8\xF0\x9F\x98\x80");
  input.prompt = prompt;
  const SignedParts parts = SendMessage(Settings(), Tester(), kNow, input);
  EXPECT_TRUE(absl::StrContains(
      parts.request.body, "\"text\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f<>&'\x7f\xE2\x80\xA8\xF0\x9F\x98\x80\""))
      << parts.request.body;
}

TEST(Chats, AreNamedAsTheyWereGiven) {
  EXPECT_EQ(ChatDetail(Settings(), Tester(), kNow, *ChatId::Parse("36")).request.body,
            R"({"chat_id":36,"size":500,"desc":true})");
  EXPECT_EQ(DeleteChat(Settings(), Tester(), kNow, *ChatId::Parse("36s")).request.body, R"({"chat_id":"36"})");
  for (const char* forged : {"", "s", "abc", "1 2", "-1", "36ss", "99999999999999999999"})
    EXPECT_FALSE(ChatId::Parse(forged)) << forged;
}

TEST(UserInfo, HasNoBody) {
  const SignedParts parts = UserInfo(Settings(), Tester(), kNow);
  EXPECT_EQ(parts.request.method, "GET");
  EXPECT_EQ(parts.to_sign.body(), "");
  EXPECT_EQ(Renewal(Settings(), Tester(), kNow).request.body, "{}");
}

TEST(Logins, SayWhatIsKnownOfThem) {
  const std::string jwt = Jwt(R"({"exp":1774000000,"user":{"id":"7","isAnonymous":true}})");
  const auto claims = ReadClaims(jwt);
  ASSERT_TRUE(claims);
  EXPECT_EQ(claims->user_id, "7");
  EXPECT_TRUE(claims->guest);
  EXPECT_EQ(claims->expires, absl::FromUnixSeconds(1774000000));
  const Login alone = LoginOf(Secret(jwt), {});
  const Login named = LoginOf(Secret("9+" + jwt), {});
  EXPECT_EQ(alone.user_id, "7");
  EXPECT_EQ(named.user_id, "9");
  EXPECT_EQ(named.jwt.Reveal(), jwt);
  EXPECT_EQ(named.uuid, alone.uuid) << "one device however the token was pasted";
  EXPECT_EQ(alone.uuid.size(), 36u);
  EXPECT_EQ(alone.device_id.size(), 8u);
  EXPECT_EQ(LoginOf(Secret(jwt), {{"uuid", "u"}, {"device_id", "d"}}).uuid, "u");
  for (const char* bad : {"", "a.b", "a.!!.c", "a.e30.", "..", "a.W10.c"}) EXPECT_FALSE(ReadClaims(bad)) << bad;
}

TEST(PollPace, SlowsDownAndGivesUp) {
  Settings settings;
  PollPace pace(settings, SystemRandom::Get());
  EXPECT_EQ(pace.AfterAnswer(absl::Seconds(1)), absl::Milliseconds(700));
  EXPECT_EQ(pace.AfterAnswer(absl::Seconds(20)), absl::Milliseconds(1500));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(pace.AfterFailure(absl::ZeroDuration()));
  EXPECT_FALSE(pace.AfterFailure(absl::ZeroDuration()));
  pace.AfterAnswer(absl::ZeroDuration());
  EXPECT_TRUE(pace.AfterFailure(absl::ZeroDuration())) << "only failures in a row count";
}

}  // namespace
}  // namespace switchyard::minimax
