#include "services/common/tools/arguments.h"

#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/text/utf8.h"

namespace switchyard {
namespace {

constexpr char kSchema[] = R"({"type":"object","properties":{
  "s":{"type":"string","description":"plain"}, "e":{"enum":["a","b"]}, "i":{"type":"integer"}, "n":{"type":"number"},
  "b":{"type":"boolean"}, "l":{"type":"array","items":{"type":"string"}}, "o":{"$ref":"#/$defs/O"},
  "u":{"type":["string","integer"]}, "any":{}},
  "required":["s"], "$defs":{"O":{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]}}})";

ArgumentsSchema Schema(absl::string_view text = kSchema) {
  auto schema = ArgumentsSchema::Compile(text);
  EXPECT_TRUE(schema.ok()) << schema.status();
  return *std::move(schema);
}

/// What went out, by '|' where code points let more of it out; and the fault, if any, behind "!".
std::string Build(const ArgumentsSchema& schema, absl::string_view json) {
  ArgumentsBuilder builder(schema);
  LenientJson reader(builder);
  std::string out;
  for (size_t length; !json.empty(); json.remove_prefix(length)) {
    length = Utf8SequenceLength(json);
    reader.Push(json.substr(0, length));
    if (!builder.status().ok()) return absl::StrCat(out, "!", builder.status().message());
    out += builder.Take();
  }
  const absl::Status status = builder.Finish();
  return absl::StrCat(out, builder.Take(), status.ok() ? "" : "!", status.message());
}

TEST(Arguments, GoOutAsTheyBecomeCertain) {
  const ArgumentsSchema schema = Schema();
  ArgumentsBuilder builder(schema);
  LenientJson reader(builder);
  const auto push = [&](absl::string_view text) {
    for (const char c : text) reader.Push(std::string(1, c));
    return builder.Take();
  };
  EXPECT_EQ(push(R"({"s)"), "");
  EXPECT_EQ(push(R"(": ")"), R"({"s":")");
  EXPECT_EQ(push("he"), "he");
  EXPECT_EQ(push("\\"), "");
  EXPECT_EQ(push("n"), "\\n");
  EXPECT_EQ(push(R"(", "i": 1)"), "\"");
  EXPECT_EQ(push("2"), "");
  EXPECT_EQ(push(","), R"(,"i":12)");
  EXPECT_EQ(push(R"("l": ["a", )"), "");
  EXPECT_EQ(push(R"("b"]})"), R"(,"l":["a","b"])");
  EXPECT_TRUE(builder.Finish().ok());
  EXPECT_EQ(builder.Take(), "}");
}

TEST(Arguments, FitOrAreRepairedOrRefused) {
  const ArgumentsSchema schema = Schema();
  struct Row {
    const char* written;
    const char* out;
  };
  for (const Row& row : std::vector<Row>{
           {R"({"s":"x","any":{"k":[1,"y"]}})", R"({"s":"x","any":{"k":[1,"y"]}})"},
           {R"({"s":"x","unknown":"free"})", R"({"s":"x","unknown":"free"})"},
           {R"({"s":"x","e":"b","o":{"x":1},"u":"1"})", R"({"s":"x","e":"b","o":{"x":1},"u":"1"})"},
           {R"({"s":5})", R"({"s":"5"})"},
           {R"({"s":"x","i":"5"})", R"({"s":"x","i":5})"},
           {R"({"s":"x","i":5.0})", R"({"s":"x","i":5})"},
           {R"({"s":"x","b":"true"})", R"({"s":"x","b":true})"},
           {R"({"s":"x","l":"[\"a\"]"})", R"({"s":"x","l":["a"]})"},
           {R"({"s":"x","o":"{\"x\":1}"})", R"({"s":"x","o":{"x":1}})"},
           {R"({"s":"x","i":null})", R"({"s":"x"})"},
       }) {
    EXPECT_EQ(Build(schema, row.written), row.out) << row.written;
  }
  for (const Row& row : std::vector<Row>{
           {R"({"i":1})", R"({"i":1!)"},        // required
           {R"({"e":"c"})", "!at /e"},          // not of the list
           {R"({"s":null})", "!at /s"},         // required
           {R"({"s":true})", "!at /s"},         // no string
           {R"({"i":5.5})", "!at /i"},          // not whole
           {R"({"i":"five"})", "!at /i"},       // no number
           {R"({"b":1})", "!at /b"},            // no boolean
           {R"({"l":"a"})", "!at /l"},          // no list is made of it
           {R"({"l":["a",1]})", "!at /l/1"},    // further down nothing is repaired
           {R"({"o":{"x":"1"}})", "!at /o/x"},  //
           {R"({"s":"x","s":"y"})", R"({"s":"x"!a member is given twice)"},
           {R"({"any":{"a":1,"a":2}})", "!at /any"},
           {R"([])", "!the arguments are not an object"},
           {R"("x")", "!the arguments are not an object"},
       }) {
    const std::string out = Build(schema, row.written);
    EXPECT_TRUE(absl::StartsWith(out, row.out)) << row.written << " -> " << out;
  }
}

TEST(Arguments, TiedMembersGoOutTogether) {
  const ArgumentsSchema schema = Schema(R"({"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},
                 "oneOf":[{"required":["a"]},{"required":["b"]}]})");
  EXPECT_FALSE(schema.by_member());
  EXPECT_EQ(Build(schema, R"({"a":"x"})"), R"({"a":"x"})");
  EXPECT_TRUE(absl::StartsWith(Build(schema, R"({"a":"x","b":"y"})"), "!")) << Build(schema, R"({"a":"x","b":"y"})");
}

TEST(Arguments, BetweenTags) {
  const ArgumentsSchema schema = Schema();
  const auto build = [&](const std::vector<std::pair<std::string, std::string>>& members) {
    ArgumentsBuilder builder(schema);
    for (const auto& [key, text] : members) {
      builder.TextBegin(key);
      for (const char c : text) builder.Text(std::string(1, c));
      builder.TextEnd();
    }
    const absl::Status status = builder.Finish();
    return absl::StrCat(builder.Take(), status.ok() ? "" : "!");
  };
  EXPECT_EQ(build({{"s", "12"}, {"i", "12"}, {"u", "12"}, {"any", "word"}}),
            R"({"s":"12","i":12,"u":12,"any":"word"})");
  EXPECT_EQ(build({{"s", "\na\n\nb\n"}}), R"({"s":"a\n\nb"})");
  EXPECT_EQ(build({{"s", "a\n"}}), R"({"s":"a\n"})");
  EXPECT_EQ(build({{"s", ""}, {"e", "a"}, {"l", "['x']"}}), R"({"s":"","e":"a","l":["x"]})");
  EXPECT_EQ(build({{"s", "x"}, {"i", "twelve"}}), R"({"s":"x"!)");
}

TEST(ArgumentsSchema, SaysWhatIsWrong) {
  for (const char* text : {"", "{}", R"({"type":"object"})", R"({"properties":{"a":true}})"})
    EXPECT_TRUE(ArgumentsSchema::Compile(text).ok()) << text;
  for (const char* text : {"[]", "{", "1", R"({"type":"array"})", R"({"type":"object","properties":[]})",
                           R"({"type":"object","properties":{"a":{"$ref":"other.json"}}})"})
    EXPECT_FALSE(ArgumentsSchema::Compile(text).ok()) << text;
}

}  // namespace
}  // namespace switchyard
