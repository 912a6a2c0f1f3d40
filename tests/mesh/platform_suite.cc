#include "tests/mesh/platform_suite.h"

#include <map>

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
constexpr int kOften = 10;  // more turns than any platform is tried
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

namespace {

// Source: DESIGN section 3, "Errors".
std::string TypeOf(const std::string& code) {
  static const auto& types = *new std::map<std::string, std::string>{
      {"context_length_exceeded", "invalid_request_error"},
      {"content_policy_violation", "invalid_request_error"},
      {"insufficient_quota", "insufficient_quota"},
      {"rate_limited", "rate_limit_error"},
      {"account_busy", "rate_limit_error"},
      {"deadline_exceeded", "timeout_error"},
  };
  if (const auto found = types.find(code); found != types.end()) return found->second;
  return absl::StartsWith(code, "upstream_") || code == "signature_refused" ? "upstream_error"
                                                                            : "upstream_account_error";
}

std::string FaultOf(const std::string& script) {
  const size_t at = script.find("fault=");
  if (at == std::string::npos) return "";
  return script.substr(at + 6, script.find(' ', at) - at - 6);
}

Variables Limits(const std::string& script, Variables more) {
  if (!absl::StrContains(script, "stall") && !absl::StrContains(script, "first_ms")) return more;
  more.emplace("SWITCHYARD_HTTP__IDLE_LIMIT", "1s");
  more.emplace("SWITCHYARD_HTTP__FIRST_BYTE_LIMIT", "1s");
  return more;
}

void ExpectError(const json::value& error, const PlatformFault& fault, const std::string& platform) {
  EXPECT_EQ(Member(error, "code"), fault.code) << Member(error, "message");
  EXPECT_EQ(Member(error, "type"), TypeOf(fault.code));
  EXPECT_TRUE(absl::StrContains(Member(error, "message"), platform)) << Member(error, "message");
}

void ExpectStreamedFault(int port, const std::string& platform, const std::string& model, const PlatformFault& fault) {
  const Streamed answer = Stream(port, "x", R"(,"reasoning_format":"hidden")", model);
  const bool inside = *fault.text != '\0';
  EXPECT_EQ(answer.status, inside ? 200 : fault.status);
  EXPECT_EQ(answer.text, fault.text);
  EXPECT_TRUE(answer.headers.count("x-request-id"));
  if (fault.status == 200) {
    EXPECT_TRUE(answer.error.is_null()) << Member(answer.error, "message");
    EXPECT_EQ(answer.finish_reason, fault.code);
    EXPECT_TRUE(answer.done);
    return;
  }
  ExpectError(answer.error, fault, platform);
  EXPECT_FALSE(answer.done) << "an answer that failed looks whole";
  EXPECT_EQ(answer.finish_reason, "");
}

void ExpectWholeFault(int port, const std::string& platform, const std::string& model, const PlatformFault& fault) {
  const Whole answer = Chat(port, "x", R"(,"reasoning_format":"hidden")", model);
  EXPECT_EQ(answer.status, fault.status) << answer.error("message");
  const auto header = [&](const char* name) {
    return answer.headers.count(name) ? answer.headers.at(name) : std::string("none");
  };
  EXPECT_NE(header("x-request-id"), "none");
  if (fault.status == 200) {
    EXPECT_EQ(answer.text(), fault.text);
    EXPECT_EQ(answer.finish_reason(), fault.code);
    return;
  }
  const json::value* error = answer.json.is_object() ? answer.json.get_object().if_contains("error") : nullptr;
  ExpectError(error == nullptr ? json::value() : *error, fault, platform);
  EXPECT_EQ(header("retry-after"), fault.retry_after == nullptr ? "none" : fault.retry_after);
  EXPECT_EQ(header("x-should-retry"), fault.should_retry == nullptr ? "none" : fault.should_retry);
}

}  // namespace

void ExpectFault(const std::string& platform, const std::string& model, const PlatformFault& fault,
                 const Variables& more) {
  SCOPED_TRACE(absl::StrCat(platform, " ", fault.script));
  for (const auto& expect : {&ExpectStreamedFault, &ExpectWholeFault}) {
    PlatformSuite suite(platform, Limits(fault.script, more));
    suite.platforms().Plan(absl::StrCat("text=One+two+three think=Hm ", fault.script), kOften, "", platform);
    expect(suite.port(), platform, model, fault);
    // DeepSeek's conversations have names before their first turn; elsewhere the name may be lost with the answer.
    const bool all_named = platform == "deepseek";
    EXPECT_TRUE(Eventually([&] {
      const json::object state = suite.platforms().State(platform);
      return state.at("running").to_number<int64_t>() == 0 &&
             (!all_named || state.at("open_conversations").to_number<int64_t>() == 0);
    })) << "something was left over on the platform";
  }
}

void ExpectFaults(const std::string& platform, const std::string& dialect, const std::string& model,
                  const PlatformFaults& faults, const std::set<std::string>& elsewhere, const Variables& more) {
  std::set<std::string> covered = elsewhere;
  bool before_end = elsewhere.count(kBeforeTheEnd) > 0, before_text = false, silent_start = false, limit_told = false,
       limit_untold = false;
  for (const PlatformFault& fault : faults) {
    const std::string script = fault.script, name = FaultOf(script);
    covered.insert(name);
    const bool told = absl::StrContains(script, "retry_after=");
    before_end |= name == "cut" && std::string(fault.text) == "One two three";
    before_text |= name == "cut" && *fault.text == '\0';
    silent_start |= absl::StrContains(script, "first_ms=");
    limit_told |= name == "http_429" && told;
    limit_untold |= name == "http_429" && !told;
  }
  EXPECT_TRUE(before_end && before_text && silent_start && limit_told && limit_untold)
      << platform << " lacks one of the faults that every platform has: " << before_end << before_text << silent_start
      << limit_told << limit_untold;
  for (const std::string& known : SimulatedPlatforms().Faults(platform, dialect))
    EXPECT_TRUE(covered.count(known)) << platform << "'s fault " << known << " is in no row";
  for (const PlatformFault& fault : faults) ExpectFault(platform, model, fault, more);
}

}  // namespace switchyard
