#include "services/common/provider/structured_output.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

using chat::v1::ResponseFormat;

constexpr char kCity[] = R"({"type":"object","properties":{"city":{"type":"string"},"rank":{"type":"integer"}},)"
                         R"("required":["city"],"additionalProperties":false})";

ResponseFormat Schema(const std::string& schema, const std::string& name = "city") {
  ResponseFormat format;
  format.set_kind(ResponseFormat::KIND_JSON_SCHEMA);
  format.set_name(name);
  format.set_schema(schema);
  return format;
}

StructuredOutput Output(const ResponseFormat& format) {
  auto output = StructuredOutput::From(format);
  EXPECT_TRUE(output.ok()) << output.status();
  return **std::move(output);
}

StructuredOutput AnyObject() {
  ResponseFormat format;
  format.set_kind(ResponseFormat::KIND_JSON_OBJECT);
  return Output(format);
}

TEST(StructuredOutput, PlainTextIsNone) {
  EXPECT_FALSE(StructuredOutput::From(ResponseFormat())->has_value());
  ResponseFormat text;
  text.set_kind(ResponseFormat::KIND_TEXT);
  EXPECT_FALSE(StructuredOutput::From(text)->has_value());
}

TEST(StructuredOutput, WhatIsWrongWithTheRequestIsNamed) {
  struct Row {
    std::string schema, name, field;
  };
  for (const Row& row : {
           Row{"{", "a", "schema"},
           Row{R"({"type":7})", "a", "schema"},
           Row{R"({"$ref":"https://example.com/x"})", "a", "schema"},
           Row{"{}", "", "name"},
           Row{"{}", "a b", "name"},
           Row{"{}", std::string(65, 'a'), "name"},
       }) {
    const auto output = StructuredOutput::From(Schema(row.schema, row.name));
    EXPECT_EQ(ReasonOf(output.status()), Reason::REASON_INVALID_REQUEST) << row.schema << row.name;
    EXPECT_EQ(DetailOf(output.status()).field(), "response_format.json_schema." + row.field);
  }
  EXPECT_TRUE(StructuredOutput::From(Schema("", std::string(64, 'a'))).ok());
}

TEST(StructuredOutput, ThePromptHoldsTheSchema) {
  ResponseFormat format = Schema(kCity);
  format.set_description("A city");
  const std::string instructions = Output(format).Instructions(false);
  EXPECT_TRUE(absl::StrContains(instructions, kCity));
  EXPECT_TRUE(absl::StrContains(instructions, "A city"));
  EXPECT_TRUE(absl::StrContains(AnyObject().Instructions(true), "one JSON object"));
  const std::string repair = Output(format).RepairPrompt("Paris!", absl::InvalidArgumentError("it is not JSON"));
  for (const char* part : {kCity, "Paris!", "it is not JSON"}) EXPECT_TRUE(absl::StrContains(repair, part)) << repair;
}

TEST(StructuredOutput, OneValueIsTakenAsItIsWritten) {
  struct Row {
    const char* answer;
    const char* json;  // null: refused
  };
  const StructuredOutput city = Output(Schema(kCity));
  for (const Row& row : {
           Row{R"({"city":"Paris"})", R"({"city":"Paris"})"},
           Row{"\xEF\xBB\xBF\n {\"city\": \"Paris\"} \n", R"({"city": "Paris"})"},
           Row{R"({"rank":1,"city":"Z"})", R"({"rank":1,"city":"Z"})"},
           Row{"```json\n{\"city\":\"Paris\"}\n```", R"({"city":"Paris"})"},
           Row{"```\n{\"city\":\"Paris\"}\n```\nHope it helps!", R"({"city":"Paris"})"},
           Row{"Sure, here it is [1]:\n{\"city\":\"Xi'an\"}\nAnything {else}?", R"({"city":"Xi'an"})"},
           Row{R"(Not {"town":"A"} but {"city":"B"})", R"({"city":"B"})"},
           Row{R"({"city":"A"} and again {"city": "A"})", R"({"city":"A"})"},
           Row{R"({"city":"A"} or {"city":"B"})", nullptr},
           Row{R"({"city":"Pa}ris{","rank":2,})", R"({"city":"Pa}ris{","rank":2})"},
           Row{"{\"city\":\"a\\\"b\", // why\n /* or } */ \"rank\":3}", "{\"city\":\"a\\\"b\", \n  \"rank\":3}"},
           Row{"{\"city\":\"line\nbreak\ttab\"}", R"({"city":"line\nbreak\ttab"})"},
           Row{R"({"city":"http://x/*y*/,]"})", R"({"city":"http://x/*y*/,]"})"},
           Row{R"({"city":"Paris")", nullptr},
           Row{R"({"city":"Paris)", nullptr},
           Row{R"({'city':'Paris'})", nullptr},
           Row{R"({"city":None})", nullptr},
           Row{R"({"city":"A","extra":1})", nullptr},
           Row{R"({"rank":1})", nullptr},
           Row{R"({"city":"A","rank":"1"})", nullptr},
           Row{"Paris", nullptr},
           Row{"", nullptr},
           Row{"{{{{[[[[", nullptr},
           Row{"]}", nullptr},
       }) {
    const auto json = city.Read(row.answer);
    ASSERT_EQ(json.ok(), row.json != nullptr) << row.answer << json.status();
    if (json.ok()) {
      EXPECT_EQ(*json, row.json);
    }
  }
}

TEST(StructuredOutput, PythonsWordsAreUnderstoodWhereTheyAreWords) {
  const StructuredOutput any = AnyObject();
  EXPECT_EQ(*any.Read(R"({"a":True,"b":[False,None,],"c":"True, None"})"),
            R"({"a":true,"b":[false,null],"c":"True, None"})");
  EXPECT_FALSE(any.Read(R"({"a":Trueish})").ok());
  EXPECT_FALSE(any.Read(R"({"a":NaN})").ok());
}

TEST(StructuredOutput, AnyObjectIsAnObject) {
  const StructuredOutput any = AnyObject();
  EXPECT_EQ(*any.Read("{}"), "{}");
  EXPECT_FALSE(any.Read("[1]").ok());
  EXPECT_FALSE(any.Read("\"{}\"").ok());
  EXPECT_EQ(*any.Read("See [1]: {\"a\":1}"), "{\"a\":1}");
  const StructuredOutput list = Output(Schema(R"({"type":"array","items":{"type":"integer"}})"));
  EXPECT_EQ(*list.Read("Here: [1, 2]"), "[1, 2]");
  EXPECT_EQ(*Output(Schema(R"({"type":"integer"})")).Read("7"), "7");
}

TEST(StructuredOutput, AnErrorNamesThePlaceAndNothingOfTheAnswer) {
  const std::string schema =
      R"({"type":"object","properties":{"list":{"type":"array","items":{"type":"object","properties":{"n":)"
      R"({"type":"integer"}},"required":["n"],"additionalProperties":false}},"map":{"type":"object",)"
      R"("additionalProperties":{"type":"integer"}}},"additionalProperties":false})";
  const StructuredOutput output = Output(Schema(schema));
  struct Row {
    const char* answer;
    const char* part;
  };
  for (const Row& row : {
           Row{R"({"list":[{"n":1},{"n":"canary"}]})", "at /list/1/n"},
           Row{R"({"list":[{}]})", "'n'"},
           Row{R"({"list":[{"n":1,"canary":2}]})", "at /list/0"},
           Row{R"({"canary":2})", "at the top"},
           Row{R"({"ca'nary":2})", "at the top"},
           Row{R"({"map":{"canary":"x"}})", "at /map/*"},
           Row{R"({"map":{"a: canary":"x"}})", "at /map/*"},
           Row{"canary", "not JSON"},
       }) {
    const auto json = output.Read(row.answer);
    ASSERT_FALSE(json.ok()) << row.answer;
    const absl::Status error = output.Error(json.status(), "kimi");
    EXPECT_EQ(ReasonOf(error), Reason::REASON_UPSTREAM_CHANGED);
    EXPECT_EQ(DetailOf(error).cause(), "format_not_met");
    EXPECT_TRUE(absl::StrContains(error.message(), row.part)) << error.message();
    EXPECT_FALSE(absl::StrContains(error.message(), "nary")) << error.message();
  }
}

TEST(StructuredOutput, ACutAnswerIsShownWithoutItsFence) {
  EXPECT_EQ(StructuredOutput::WithoutOpeningFence("```json\n{\"a\":"), "{\"a\":");
  EXPECT_EQ(StructuredOutput::WithoutOpeningFence("```js"), "");
  EXPECT_EQ(StructuredOutput::WithoutOpeningFence("{\"a\":"), "{\"a\":");
}

TEST(StructuredOutput, AHostileAnswerIsReadInReasonableTime) {
  const StructuredOutput any = AnyObject();
  std::string brackets;
  for (int i = 0; i < 200'000; ++i) brackets += "{\"a\":[";
  EXPECT_FALSE(any.Read(brackets).ok());
  EXPECT_FALSE(any.Read(std::string(1'000'000, '{')).ok());
  std::string many = "x";
  for (int i = 0; i < 100'000; ++i) many += "{\"a\":1}";
  EXPECT_EQ(*any.Read(many), "{\"a\":1}");
}

}  // namespace
}  // namespace switchyard
