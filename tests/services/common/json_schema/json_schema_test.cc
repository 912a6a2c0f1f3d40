#include "services/common/json_schema/json_schema.h"

#include <gtest/gtest.h>

#include <string>

#include "services/common/text/json.h"

namespace switchyard {
namespace {

absl::Status Check(const std::string& schema, const std::string& value) {
  auto rules = JsonSchema::Parse(*ParseJson(schema));
  if (!rules.ok()) return rules.status();
  return rules->Check(*ParseJson(value));
}

struct Case {
  const char* schema;
  const char* value;
  const char* fault;  // part of the message; null: it fits
};

TEST(JsonSchema, Cases) {
  const Case cases[] = {
      {R"({"type":"object"})", "{}", nullptr},
      {R"({"type":"object"})", "[]", "at the top"},
      {R"({"type":"object","properties":{"city":{"type":"string"}},"required":["city"]})", R"({"city":"Xi'an"})",
       nullptr},
      {R"({"type":"object","properties":{"city":{"type":"string"}},"required":["city"]})", "{}", "city"},
      {R"({"type":"object","properties":{"city":{"type":"string"}}})", R"({"city":5})", "at /city"},
      {R"({"type":"object","properties":{"n":{"type":"integer","minimum":1}}})", R"({"n":0})", "at /n"},
      {R"({"type":"object","properties":{"n":{"type":"integer"}}})", R"({"n":1.5})", "at /n"},
      {R"({"type":"object","properties":{"n":{"type":"integer"}}})", R"({"n":"1"})", "at /n"},
      {R"({"type":"object","additionalProperties":false})", R"({"x":1})", "at the top"},
      {R"({"type":["string","null"]})", "null", nullptr},
      {R"({"enum":["a","b"]})", R"("c")", "at the top"},
      {R"({"const":3})", "3", nullptr},
      {R"({"anyOf":[{"type":"string"},{"type":"number"}]})", "true", "at the top"},
      {R"({"type":"array","items":{"type":"string"}})", R"(["a",1])", "at /1"},
      {R"({"$defs":{"p":{"type":"string"}},"properties":{"a":{"$ref":"#/$defs/p"}}})", R"({"a":1})", "at /a"},
      {R"({"definitions":{"n":{"properties":{"next":{"$ref":"#/definitions/n"},"v":{"type":"string"}}}},"$ref":"#/definitions/n"})",
       R"({"next":{"next":{"v":7}}})", "at /next/next/v"},
      {R"({"type":"string","pattern":"^a+$"})", R"("b")", nullptr},
      {R"({"properties":{"pattern":{"type":"string"}}})", R"({"pattern":1})", "at /pattern"},
      {R"({"patternProperties":{"^x":{}},"additionalProperties":false})", R"({"x1":1})", nullptr},
      {R"({"const":{"pattern":"p"}})", R"({"pattern":"p"})", nullptr},
      {"{}", "[1,{}]", nullptr},
      {"true", "1", nullptr},
  };
  for (const Case& one : cases) {
    const absl::Status status = Check(one.schema, one.value);
    SCOPED_TRACE(std::string(one.schema) + " on " + one.value + ": " + status.ToString());
    EXPECT_EQ(status.ok(), one.fault == nullptr);
    if (one.fault != nullptr) {
      EXPECT_NE(std::string(status.message()).find(one.fault), std::string::npos);
    }
  }
}

TEST(JsonSchema, ASchemaThatIsNone) {
  for (const char* schema :
       {"[]", "3", R"({"type":5})", R"({"type":"strin"})", R"({"$ref":"https://elsewhere.example/s.json"})",
        R"({"properties":{"a":{"$ref":"other.json#/x"}}})", R"({"properties":7})"}) {
    EXPECT_FALSE(JsonSchema::Parse(*ParseJson(schema)).ok()) << schema;
  }
}

// A schema and a value from a stranger: neither may be too much for the stack.
TEST(JsonSchema, EndlessReferencesAndDeepValues) {
  const absl::Status endless = Check(R"({"$ref":"#"})", "1");
  EXPECT_FALSE(endless.ok());
  const absl::Status circle = Check(
      R"({"definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#/definitions/a"}},"$ref":"#/definitions/a"})",
      "1");
  EXPECT_FALSE(circle.ok());
}

TEST(JsonSchema, RegularExpressionsAreNeverRun) {
  const std::string digits = "2020-01-01T00:00:00." + std::string(100000, '1') + "Z";
  EXPECT_TRUE(Check(R"({"type":"string","format":"date-time"})", "\"" + digits + "\"").ok());
  const std::string many(60, 'x');
  for (const char* hidden :
       {R"({"properties":{"a":{"$ref":"#/default"}},"default":{"type":"string","pattern":"^(x+x+)+y$"}})",
        R"({"properties":{"a":{"$ref":"#/examples/0"}},"examples":[{"pattern":"^(x+x+)+y$"}]})",
        R"({"properties":{"a":{"$ref":"#/$defs"}},"$defs":{"pattern":{"type":"string"}}})"}) {
    EXPECT_FALSE(JsonSchema::Parse(*ParseJson(hidden)).ok()) << hidden;
  }
  EXPECT_TRUE(Check(R"({"$defs":{"p":{"pattern":"^(x+x+)+y$"}},"$ref":"#/$defs/p"})", "\"" + many + "\"").ok());
}

/// {"$defs":{"d0":LINK(1),"d1":LINK(2),…},"$ref":"#/$defs/d0"}
template <typename Link>
std::string Chain(int length, Link link) {
  std::string definitions;
  for (int i = 0; i < length; ++i)
    definitions +=
        (i == 0 ? "" : ",") + ("\"d" + std::to_string(i) + "\":" + link("#/$defs/d" + std::to_string(i + 1)));
  return R"({"$defs":{)" + definitions + R"(,"d)" + std::to_string(length) + R"(":{}},"$ref":"#/$defs/d0"})";
}

TEST(JsonSchema, NeitherStackNorTimeIsUnbounded) {
  const auto once = [](const std::string& next) { return R"({"$ref":")" + next + R"("})"; };
  const auto twice = [](const std::string& next) {
    return R"({"allOf":[{"$ref":")" + next + R"("},{"$ref":")" + next + R"("}]})";
  };
  EXPECT_TRUE(Check(Chain(30, once), "1").ok());
  EXPECT_FALSE(Check(Chain(400, once), "1").ok());
  EXPECT_FALSE(Check(Chain(20000, once), "1").ok());
  EXPECT_TRUE(Check(Chain(5, twice), "1").ok());
  EXPECT_FALSE(Check(Chain(34, twice), "1").ok());
  // Two ways down at every step: harmless on a flat value, without end on a deep one.
  const std::string tree =
      R"({"$defs":{"n":{"anyOf":[{"properties":{"n":{"$ref":"#/$defs/n"}}},{"properties":{"n":{"$ref":"#/$defs/n"}}}]}},)"
      R"("$ref":"#/$defs/n"})";
  std::string deep = "1";
  for (int i = 0; i < 60; ++i) deep = R"({"n":)" + deep + "}";
  EXPECT_TRUE(Check(tree, R"({"n":{"n":1}})").ok());
  EXPECT_FALSE(Check(tree, deep).ok());
  // An ordinary recursive schema takes all the depth that JSON may have here.
  EXPECT_TRUE(Check(R"({"$defs":{"n":{"properties":{"n":{"$ref":"#/$defs/n"}}}},"$ref":"#/$defs/n"})", deep).ok());
}

}  // namespace
}  // namespace switchyard
