#include "tests/mesh/platform_suite.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"

namespace switchyard {

namespace json = boost::json;

namespace {

constexpr char kRed[] = "[[sim: text=Red,+green,+蓝色 think=Hmm.+Yes.]]";
constexpr char kRedText[] = "Red, green, 蓝色";

std::string Member(const json::value& error, const char* name) {
  const json::value* value = error.is_object() ? error.get_object().if_contains(name) : nullptr;
  return value != nullptr && value->is_string() ? std::string(value->get_string().c_str()) : std::string();
}

}  // namespace

bool Contains(const json::value& value, const json::value& wanted) {
  if (!wanted.is_object()) return value == wanted;
  if (!value.is_object()) return false;
  for (const auto& member : wanted.get_object()) {
    const json::value* found = value.get_object().if_contains(member.key());
    if (found == nullptr || !Contains(*found, member.value())) return false;
  }
  return true;
}

PlatformSuite::PlatformSuite(std::string platform, Variables more) : platform_(std::move(platform)) {
  relay_ = std::make_unique<Relay>(platforms_, std::move(more));
}

json::object PlatformSuite::Recorded() const {
  const json::object state = platforms_.State(platform_);
  const json::array& requests = state.at("completions").as_array();
  return requests.empty() ? json::object() : requests.back().as_object();
}

std::string PlatformSuite::Prompt() const { return Member(json::value(Recorded()), "prompt"); }

void PlatformSuite::ExpectClean() const {
  EXPECT_TRUE(Eventually([this] { return platforms_.OpenConversations(platform_) == 0; }))
      << platform_ << ": conversations were left over";
  EXPECT_EQ(platforms_.Violations(platform_), "");
}

void PlatformSuite::ExpectAnswers(const std::string& model) {
  SCOPED_TRACE(model);
  const Whole whole = Chat(port(), kRed, R"(,"reasoning_format":"hidden")", model);
  EXPECT_EQ(whole.status, 200) << whole.error("message");
  EXPECT_EQ(whole.text(), kRedText);
  EXPECT_EQ(whole.finish_reason(), "stop");
  const Streamed streamed =
      Stream(port(), kRed, R"(,"reasoning_format":"hidden","stream_options":{"include_usage":true})", model);
  EXPECT_EQ(streamed.status, 200);
  EXPECT_EQ(streamed.text, kRedText);
  EXPECT_EQ(streamed.finish_reason, "stop");
  EXPECT_TRUE(streamed.done);
  EXPECT_EQ(streamed.roles, 1);
  EXPECT_TRUE(streamed.usage.is_object());
  ExpectClean();
}

void PlatformSuite::ExpectModels(const std::vector<ModelRow>& rows) {
  const std::string listed = Fetch(port(), "GET", "/v1/models").body;
  for (const ModelRow& row : rows) {
    SCOPED_TRACE(row.id);
    EXPECT_TRUE(row.listed == absl::StrContains(listed, absl::StrCat("{\"id\":\"", row.id, "\"")));
    ExpectAnswers(row.id);
    const json::value recorded(Recorded());
    EXPECT_TRUE(Contains(recorded, json::parse(row.upstream)))
        << "wanted " << row.upstream << "\nrecorded " << json::serialize(recorded);
  }
}

void PlatformSuite::ExpectHistory(const std::string& model) {
  const std::string body = absl::StrCat(
      R"({"model":")", model,
      R"(","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"One"},)",
      R"({"role":"assistant","content":"Two"},{"role":"user","content":"Three"},{"role":"assistant","content":"Four"},)",
      R"({"role":"user","content":[{"type":"text","text":"Five"}]}]})");
  const Whole answer = ReadWhole(Fetch(port(), "POST", "/v1/chat/completions", body));
  EXPECT_EQ(answer.status, 200) << answer.error("message");
  EXPECT_EQ(Prompt(),
            "[System]\nBe brief.\n\n[User]\nOne\n\n[Assistant]\nTwo\n\n[User]\nThree\n\n[Assistant]\nFour\n\n"
            "[User]\nFive");
  ExpectClean();
}

void PlatformSuite::ExpectReasoningFormats(const std::string& thinking_model) {
  struct Row {
    const char* format;
    std::string text;
    const char* reasoning;
  };
  for (const Row& row : {Row{"think", absl::StrCat("<think:Hmm. Yes.>", kRedText), ""},
                         Row{"tags", absl::StrCat("<think>Hmm. Yes.</think>", kRedText), ""},
                         Row{"separate", kRedText, "Hmm. Yes."}, Row{"hidden", kRedText, ""}}) {
    SCOPED_TRACE(row.format);
    const std::string more = absl::StrCat(R"(,"reasoning_format":")", row.format, "\"");
    const Streamed streamed = Stream(port(), kRed, more, thinking_model);
    EXPECT_EQ(streamed.text, row.text);
    EXPECT_EQ(streamed.reasoning, row.reasoning);
    const Whole whole = Chat(port(), kRed, more, thinking_model);
    EXPECT_EQ(whole.text(), row.text) << whole.error("message");
  }
  ExpectClean();
}

void PlatformSuite::ExpectStops(const std::string& model) {
  const std::string hidden = R"(,"reasoning_format":"hidden")";
  const Streamed stopped = Stream(port(), kRed, absl::StrCat(hidden, R"(,"stop":["gre"])"), model);
  EXPECT_EQ(stopped.text, "Red, ");
  EXPECT_EQ(stopped.finish_reason, "stop");
  EXPECT_TRUE(stopped.done);
  const Whole limited = Chat(port(), kRed, absl::StrCat(hidden, R"(,"max_tokens":1)"), model);
  EXPECT_EQ(limited.finish_reason(), "length") << limited.error("message");
  EXPECT_TRUE(absl::StartsWith(kRedText, limited.text())) << limited.text();
  ExpectClean();
}

void PlatformSuite::ExpectContinuation(const std::string& model) {
  const std::string keep = R"(,"reasoning_format":"hidden","keep_conversation":true)";
  const Whole first = Chat(port(), kRed, keep, model);
  ASSERT_EQ(first.status, 200) << first.error("message");
  ASSERT_TRUE(first.json.as_object().contains("conversation_id"));
  const std::string id(first.json.at("conversation_id").as_string().c_str());
  EXPECT_EQ(platforms_.OpenConversations(platform_), 1);
  const Whole second =
      Chat(port(), "[[sim: text=More]]", absl::StrCat(keep, R"(,"conversation_id":")", id, "\""), model);
  EXPECT_EQ(second.text(), "More") << second.error("message");
  EXPECT_EQ(platforms_.OpenConversations(platform_), 1) << "the second turn opened another conversation";
  EXPECT_EQ(Prompt(), "[[sim: text=More]]");
  const Whole forged = Chat(port(), "x", R"(,"conversation_id":"made-up")", model);
  EXPECT_EQ(forged.status, 400);
  EXPECT_EQ(forged.error("param"), "conversation_id");
  EXPECT_EQ(platforms_.Violations(platform_), "");
  Fetch(platforms_.port(), "POST", "/_control/reset");
}

void PlatformSuite::ExpectForgetting(const std::string& model) {
  const Whole first = Chat(port(), kRed, R"(,"reasoning_format":"hidden","keep_conversation":true)", model);
  ASSERT_EQ(first.status, 200) << first.error("message");
  EXPECT_EQ(platforms_.OpenConversations(platform_), 1);
  const std::string id(first.json.at("conversation_id").as_string().c_str());
  const Whole second = Chat(port(), "[[sim: text=More]]",
                            absl::StrCat(R"(,"reasoning_format":"hidden","conversation_id":")", id, "\""), model);
  EXPECT_EQ(second.text(), "More") << second.error("message");
  ExpectClean();
}

void PlatformSuite::ExpectAbort(const std::string& model) {
  {
    HttpProbe probe(port());
    probe.Post("/v1/chat/completions",
               ChatBody("[[sim: chunks=500 chunk_ms=20 think=Hm]]", R"(,"stream":true)", model));
    ASSERT_TRUE(probe.ReadUntil("piece 1"));
  }
  EXPECT_TRUE(Eventually([this] { return platforms_.State(platform_).at("running").to_number<int64_t>() == 0; }))
      << "the platform goes on answering nobody";
  ExpectAnswers(model);
}

void PlatformSuite::ExpectAnyChunking(const std::string& model, const std::string& script) {
  const Streamed answer = Stream(port(), absl::StrCat("[[sim: text=Grün,+红色,+blue think=思考 split=1 ", script, "]]"),
                                 R"(,"reasoning_format":"hidden")", model);
  EXPECT_EQ(answer.text, "Grün, 红色, blue");
  EXPECT_EQ(answer.finish_reason, "stop");
  ExpectClean();
}

std::string ImagePart() {
  return R"({"type":"image_url","image_url":{"url":"data:image/png;base64,)"
         R"(iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="}})";
}

std::string FilePart(const std::string& name, const std::string& media_type, const std::string& bytes) {
  return absl::StrCat(R"({"type":"file","file":{"filename":")", name, R"(","file_data":"data:)", media_type, ";base64,",
                      absl::Base64Escape(bytes), R"("}})");
}

Whole ChatWithParts(int port, const std::string& model, const std::vector<std::string>& parts,
                    const std::string& more) {
  const std::string body =
      absl::StrCat(R"({"model":")", model, R"(","messages":[{"role":"user","content":[{"type":"text","text":)",
                   R"("What is it?"},)", absl::StrJoin(parts, ","), "]}]", more, "}");
  return ReadWhole(Fetch(port, "POST", "/v1/chat/completions", body));
}

void ExpectFault(const std::string& platform, const std::string& default_model, const PlatformFault& fault,
                 const Variables& more) {
  SCOPED_TRACE(fault.script);
  const std::string model = fault.model == nullptr ? default_model : fault.model;
  const std::string script = absl::StrCat("text=One+two+three think=Hm ", fault.script);
  const std::string hidden = R"(,"reasoning_format":"hidden")";
  {
    PlatformSuite suite(platform, more);
    suite.platforms().Plan(script, 2, "", platform);
    const Streamed answer = Stream(suite.port(), "x", hidden, model);
    const bool inside = *fault.text != '\0';
    EXPECT_EQ(answer.status, inside ? 200 : fault.status);
    EXPECT_EQ(answer.text, fault.text);
    EXPECT_EQ(Member(answer.error, "code"), fault.code);
    EXPECT_NE(Member(answer.error, "message"), "");
    EXPECT_FALSE(answer.done) << "an answer that failed looks whole";
    EXPECT_EQ(answer.finish_reason, "");
    EXPECT_TRUE(Eventually([&] { return suite.platforms().State(platform).at("running").to_number<int64_t>() == 0; }));
  }
  {
    PlatformSuite suite(platform, more);
    suite.platforms().Plan(script, 2, "", platform);
    const Whole answer = Chat(suite.port(), "x", hidden, model);
    EXPECT_EQ(answer.status, fault.status);
    EXPECT_EQ(answer.error("code"), fault.code) << answer.error("message");
    const auto header = [&](const char* name) {
      return answer.headers.count(name) ? answer.headers.at(name) : std::string("none");
    };
    EXPECT_EQ(header("retry-after"), fault.retry_after == nullptr ? "none" : fault.retry_after);
    EXPECT_EQ(header("x-should-retry"), fault.should_retry == nullptr ? "none" : fault.should_retry);
  }
}

}  // namespace switchyard
