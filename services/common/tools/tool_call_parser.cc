#include "services/common/tools/tool_call_parser.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "services/common/status/reason.h"
#include "services/common/text/utf8.h"
#include "services/common/tools/arguments.h"

namespace switchyard {

using Kind = ToolCallParser::Piece::Kind;

namespace {

constexpr size_t kMaxRaw = 1024 * 1024;
constexpr size_t kMaxWhole = 256 * 1024;
constexpr size_t kMaxTag = 256;
constexpr size_t kMaxName = 80;
constexpr size_t kMaxKey = 256;
constexpr size_t kMaxInfo = 32;
constexpr size_t kLineStart = 24;
constexpr int kMaxNested = 3;
constexpr int kMaxExtraBraces = 2;
constexpr int kMaxMissingBraces = 2;

// Whoever writes these at the start of a line plays the other parties of the conversation.
constexpr std::array<absl::string_view, 5> kOthersTurns = {"[User]", "[System]", "[Tools]", "[Tool result",
                                                           "<tool_response>"};
constexpr std::array<absl::string_view, 9> kQuotationMarks = {"\"", "'", "“", "‘", "「", "『", "«", "《", "＂"};
constexpr std::array<absl::string_view, 1> kKeyEnds = {"</arg_key>"};
constexpr std::array<absl::string_view, 1> kPairEnds = {"</arg_value>"};
constexpr std::array<absl::string_view, 3> kParameterEnds = {"</parameter>", "</param>", "</｜DSML｜parameter>"};
constexpr absl::string_view kNoName = "it names no tool";

bool IsSpace(absl::string_view c) { return c == " " || c == "\n" || c == "\r" || c == "\t"; }
bool IsNameCharacter(absl::string_view c) {
  return c.size() == 1 && (absl::ascii_isalnum(static_cast<unsigned char>(c[0])) || absl::StrContains("_-.:", c));
}

bool IsOneOf(absl::string_view text, absl::Span<const absl::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}
bool BeginsOneOf(absl::string_view text, absl::Span<const absl::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [text](absl::string_view word) { return absl::StartsWith(word, text); });
}

/// Calls `each` with every code point; a byte that begins none counts as one.
template <typename Each>
void ForEachCodePoint(absl::string_view text, Each each) {
  while (!text.empty()) {
    const size_t length = std::max<size_t>(Utf8SequenceLength(text), 1);
    each(text.substr(0, length));
    text.remove_prefix(length);
  }
}

void Add(Kind kind, absl::string_view text, ToolCallParser::Pieces& out) {
  const bool merges = kind == Kind::kText || kind == Kind::kArguments;
  if (merges && text.empty()) return;
  if (merges && !out.empty() && out.back().kind == kind) {
    out.back().text.append(text.data(), text.size());
  } else {
    out.push_back({kind, std::string(text)});
  }
}

// The value of the tag's first attribute: <a name="x">, <a=x>.
std::string AttributeOf(absl::string_view tag) {
  const size_t equals = tag.find('=');
  if (equals == absl::string_view::npos) return "";
  tag = absl::StripAsciiWhitespace(tag.substr(equals + 1));
  if (tag.empty()) return "";
  const bool quoted = tag[0] == '"' || tag[0] == '\'';
  const size_t end = quoted ? tag.find(tag[0], 1) : tag.find_first_of(" >");
  if (end == absl::string_view::npos) return "";
  return std::string(quoted ? tag.substr(1, end - 1) : tag.substr(0, end));
}

enum class Lead { kNo, kMaybe, kYes };

// Whether a text is a code fence around what opens a call. @param bare an object without tags will do
Lead LeadOf(absl::string_view text, bool bare) {
  const size_t ticks = std::min(text.find_first_not_of('`'), text.size());
  text.remove_prefix(ticks);
  if (text.empty()) return Lead::kMaybe;
  const size_t line = text.find('\n');
  const absl::string_view info = text.substr(0, line);
  if (ticks < 3 || info.size() > kMaxInfo || absl::StrContains(info, "`")) return Lead::kNo;
  if (line == absl::string_view::npos) return Lead::kMaybe;
  text = absl::StripLeadingAsciiWhitespace(text.substr(line));
  if (text.empty()) return Lead::kMaybe;
  if (bare && (text[0] == '{' || text[0] == '[')) return Lead::kYes;
  if (IsOneOf(text, CallOpeners())) return Lead::kYes;
  return BeginsOneOf(text, CallOpeners()) ? Lead::kMaybe : Lead::kNo;
}

bool IsClosingFence(absl::string_view line) {
  line = absl::StripAsciiWhitespace(line);
  return line.size() >= 3 && line.find_first_not_of('`') == absl::string_view::npos;
}

}  // namespace

/// A call under way. Hears the tokens of {"name": …, "arguments": …}.
class ToolCallParser::Call final : public JsonTokens {
 public:
  explicit Call(ToolSet& tools) : tools_(tools), json_(std::make_unique<LenientJson>(*this)) {}

  /// @return false if no tool is meant
  bool SetName(absl::string_view written) {
    name_ = tools_.NameOf(written);
    if (name_.empty()) return false;
    builder_ = std::make_unique<ArgumentsBuilder>(tools_.SchemaOf(name_));
    if (arguments_over_) PassOnText(text_of_arguments_ ? arguments_text_ : early_arguments_.text());
    return true;
  }
  /// From here on the object that is read is the arguments alone.
  void ReadArguments() { json_ = std::make_unique<LenientJson>(*builder_); }
  bool reads_arguments() const { return !is_object_; }

  LenientJson& json() { return *json_; }
  ArgumentsBuilder* builder() { return builder_.get(); }
  const std::string& name() const { return name_; }
  absl::string_view fault() const {
    if (!fault_.empty()) return fault_;
    return builder_ && !builder_->status().ok() ? builder_->status().message() : absl::string_view();
  }
  bool has_arguments() const { return arguments_over_; }
  /// The object is whole.
  void EndObject() {
    if (!is_object_) return;
    if (!builder_) Fail(kNoName);
  }

  bool begun = false;  // to go out
  int members = 0;     // between tags

  void Open(char bracket) override {
    is_object_ = true;
    if (arguments_depth_ > 0) {
      ++arguments_depth_;
      return target().Open(bracket);
    }
    const Member member = std::exchange(member_, Member::kNone);
    if (depth_ == 0 || (member == Member::kFunction && bracket == '{' && depth_ == 1)) {
      ++depth_;
    } else if (member == Member::kArguments) {
      arguments_depth_ = 1;
      target().Open(bracket);
      if (bracket != '{') Fail("its arguments are not an object");
    } else {
      Fail("it has a member that no call has");
    }
  }
  void Close(char bracket) override {
    if (arguments_depth_ == 0) {
      --depth_;
      return;
    }
    target().Close(bracket);
    if (--arguments_depth_ == 0) arguments_over_ = true;
  }
  void Key(const std::string& key) override {
    if (arguments_depth_ > 0) return target().Key(key);
    member_ = MemberOf(key);
    if (member_ == Member::kNone) Fail("it has a member that no call has");
    const bool again = (member_ == Member::kName && (builder_ || !named_.empty())) ||
                       (member_ == Member::kArguments && arguments_over_);
    if (again) Fail("it has a member twice");
  }
  void StringBegin() override {
    if (arguments_depth_ > 0) return target().StringBegin();
    string_.clear();
  }
  void StringText(absl::string_view text) override {
    if (arguments_depth_ > 0) return target().StringText(text);
    string_.append(text.data(), text.size());
    if (string_.size() > kMaxRaw) Fail("it is too large");
  }
  void StringEnd() override {
    if (arguments_depth_ > 0) return target().StringEnd();
    switch (std::exchange(member_, Member::kNone)) {
      case Member::kName:
      case Member::kFunction:
        named_ = string_;
        if (builder_ || !SetName(string_)) Fail(kNoName);
        return;
      case Member::kArguments:
        arguments_over_ = text_of_arguments_ = true;
        arguments_text_ = string_;
        if (builder_) PassOnText(arguments_text_);
        return;
      default:
        return;
    }
  }
  void Scalar(absl::string_view literal) override {
    if (arguments_depth_ > 0) return target().Scalar(literal);
    const Member member = std::exchange(member_, Member::kNone);
    if (member == Member::kIgnored) return;
    if (member != Member::kArguments || literal != "null") return Fail("its name or its arguments are a mere value");
    arguments_over_ = text_of_arguments_ = true;
  }

 private:
  enum class Member { kNone, kName, kArguments, kFunction, kIgnored };

  static Member MemberOf(absl::string_view key) {
    if (key == "name" || key == "tool_name" || key == "function_name" || key == "tool") return Member::kName;
    if (key == "arguments" || key == "parameters" || key == "args") return Member::kArguments;
    if (key == "function") return Member::kFunction;
    if (key == "id" || key == "type" || key == "index" || key == "call_id" || key == "tool_call_id")
      return Member::kIgnored;
    return Member::kNone;
  }
  JsonTokens& target() {
    if (builder_) return *builder_;
    return early_arguments_;
  }
  // Arguments that came as text, or before the name.
  void PassOnText(absl::string_view text) {
    text = absl::StripAsciiWhitespace(text);
    if (text.empty()) return;
    LenientJson json(*builder_);
    LenientJson::State state = LenientJson::State::kMore;
    ForEachCodePoint(text, [&](absl::string_view c) {
      if (state == LenientJson::State::kMore) {
        state = json.Push(c);
      } else {
        state = LenientJson::State::kBad;
      }
    });
    if (state != LenientJson::State::kDone) Fail("its arguments are not valid JSON");
  }
  void Fail(absl::string_view what) {
    if (fault_.empty()) fault_ = std::string(what);
  }

  ToolSet& tools_;
  std::string name_;
  std::unique_ptr<ArgumentsBuilder> builder_;
  std::unique_ptr<LenientJson> json_;
  std::string fault_;
  bool is_object_ = false;
  int depth_ = 0;
  Member member_ = Member::kNone;  // whose value comes next
  std::string named_;
  std::string string_;
  int arguments_depth_ = 0;
  bool arguments_over_ = false;
  bool text_of_arguments_ = false;
  std::string arguments_text_;
  JsonWriter early_arguments_;
};

ToolCallParser::ToolCallParser(std::shared_ptr<ToolSet> tools) : tools_(std::move(tools)) {}
ToolCallParser::ToolCallParser(ToolCallParser&&) noexcept = default;
ToolCallParser& ToolCallParser::operator=(ToolCallParser&&) noexcept = default;
ToolCallParser::~ToolCallParser() = default;

void ToolCallParser::Feed(absl::string_view text, Pieces& out) {
  absl::StrAppend(&partial_, text);
  absl::string_view rest = partial_;
  while (!rest.empty() && !over()) {
    size_t length = Utf8SequenceLength(rest);
    // The rest of a code point is yet to come; a byte that begins none stands for itself.
    if (length == 0 && rest.size() < 4 && static_cast<unsigned char>(rest[0]) >= 0xC0) break;
    length = std::max<size_t>(length, 1);
    Step(rest.substr(0, length), out);
    rest.remove_prefix(length);
  }
  partial_ = over() ? "" : std::string(rest);
}

void ToolCallParser::Step(absl::string_view c, Pieces& out) {
  const bool outside = state_ == State::kText || state_ == State::kLead || state_ == State::kWhole ||
                       state_ == State::kBotched || state_ == State::kOver;
  if (!outside && !(call_ && call_->begun)) {
    absl::StrAppend(&raw_, c);
    if (raw_.size() > kMaxRaw) return Botch("it is too large", out);
  }
  switch (state_) {
    case State::kText:
      return InText(c, out);
    case State::kLead:
      return InLead(c, out);
    case State::kWhole:
      return InWhole(c, out);
    case State::kStart:
      return AtStart(c, out);
    case State::kBodyFence:
      return InBodyFence(c, out);
    case State::kTag:
      return InTag(c, out);
    case State::kName:
      return InName(c, out);
    case State::kJson:
      return PushJson(c, out);
    case State::kMembers:
      return InMembers(c, out);
    case State::kKey:
    case State::kValue:
      return InTagText(c, out);
    case State::kAfter:
      return After(c, out);
    case State::kBotched:
      return Add(Kind::kText, c, out);
    case State::kOver:
      return;
  }
}

// ---- Outside of a block

void ToolCallParser::InText(absl::string_view c, Pieces& out) {
  if (run_ != 0 && (c.size() != 1 || c[0] != run_)) EndRun();
  if (!candidate_.empty()) {
    const std::string longer = absl::StrCat(candidate_, c);
    if (BeginsOneOf(longer, CallOpeners())) {
      candidate_ = longer;
      if (IsOneOf(longer, CallOpeners())) OpenBlock();
      return;
    }
    ReleaseCandidate(out);
  }
  if (!begun_ && !inner_ && !no_lead_) {
    const bool bare = tools_->required() && (c == "{" || c == "[");
    if (c == "`" || bare) {
      raw_ = std::string(c);
      state_ = bare ? State::kWhole : State::kLead;
      return;
    }
  }
  if (c == "<" && !quoted()) {
    candidate_ = "<";
    return;
  }
  TextOut(c, out);
}

void ToolCallParser::ReleaseCandidate(Pieces& out) {
  ForEachCodePoint(std::exchange(candidate_, ""), [&](absl::string_view c) { TextOut(c, out); });
}

void ToolCallParser::TextOut(absl::string_view c, Pieces& out) {
  if (!begun_ && !IsSpace(c)) {
    begun_ = true;
    Add(Kind::kText, std::exchange(space_, ""), out);
  }
  if (begun_) {
    Add(Kind::kText, c, out);
  } else {
    absl::StrAppend(&space_, c);
  }
  last_ = std::string(c);
  if (c == "\n") {
    fence_opening_ = false;
    if (std::exchange(fence_closing_, false)) fence_ = 0;
    ticks_ = 0;
    line_.clear();
    line_blank_ = true;
    block_quote_ = false;
    return;
  }
  if (line_.size() < kLineStart) {
    absl::StrAppend(&line_, c);
    for (const absl::string_view turn : kOthersTurns) others_speak_ |= fence_ == 0 && absl::StartsWith(line_, turn);
  }
  if (c == "`" || c == "~") {
    if (run_ != 0) {
      ++run_length_;
    } else {
      run_ = c[0];
      run_length_ = 1;
      run_leads_ = line_blank_;
    }
    return;
  }
  if (IsSpace(c)) return;
  fence_closing_ = false;
  if (line_blank_ && c == ">") block_quote_ = true;
  line_blank_ = false;
}

void ToolCallParser::EndRun() {
  const char run = std::exchange(run_, 0);
  line_blank_ = false;
  if (fence_ != 0) {
    if (fence_opening_) {
      if (run != '`' || fence_ != '`') return;
      // A fence has no backticks on its first line: it was `code`.
      ticks_ = run_length_ == fence_length_ ? 0 : fence_length_;
      fence_ = 0;
      fence_opening_ = false;
    } else {
      fence_closing_ = run_leads_ && run == fence_ && run_length_ >= fence_length_;
    }
  } else if (run_leads_ && run_length_ >= 3) {
    fence_ = run;
    fence_length_ = run_length_;
    fence_opening_ = true;
  } else if (run == '`') {
    if (ticks_ == 0) {
      ticks_ = run_length_;
    } else if (ticks_ == run_length_) {
      ticks_ = 0;
    }
  }
}

bool ToolCallParser::quoted() const {
  return others_speak_ || fence_ != 0 || ticks_ != 0 || block_quote_ || IsOneOf(last_, kQuotationMarks);
}

void ToolCallParser::OpenBlock() {
  raw_ = std::exchange(candidate_, "");
  if (!begun_) raw_ = absl::StrCat(std::exchange(space_, ""), raw_);
  early_ = open_ = true;
  list_ = fence_inside_ = pending_ = false;
  nested_ = 1;
  state_ = State::kStart;
  // Some tags name the tool, and are yet to be read to their end.
  const absl::string_view opener = absl::StripLeadingAsciiWhitespace(raw_);
  if (!absl::EndsWith(opener, ">")) {
    tag_ = std::string(opener);
    tag_from_ = State::kStart;
    state_ = State::kTag;
  }
}

void ToolCallParser::InLead(absl::string_view c, Pieces& out) {
  absl::StrAppend(&raw_, c);
  switch (LeadOf(raw_, tools_->required())) {
    case Lead::kNo:
      return ReleaseWhole(out);
    case Lead::kYes:
      state_ = State::kWhole;
      return;
    case Lead::kMaybe:
      return;
  }
}

void ToolCallParser::InWhole(absl::string_view c, Pieces& out) {
  absl::StrAppend(&raw_, c);
  if (raw_.size() > kMaxWhole || (whole_closed_ && !IsSpace(c))) return ReleaseWhole(out);
  if (c != "\n" || raw_[0] != '`') return;
  const absl::string_view lines = absl::string_view(raw_).substr(0, raw_.size() - 1);
  const size_t line = lines.rfind('\n');
  if (line != absl::string_view::npos) whole_closed_ |= IsClosingFence(lines.substr(line + 1));
}

// It is text like any other.
void ToolCallParser::ReleaseWhole(Pieces& out) {
  state_ = State::kText;
  no_lead_ = true;
  ForEachCodePoint(std::exchange(raw_, ""), [&](absl::string_view c) { Step(c, out); });
}

void ToolCallParser::FinishWhole(bool truncated, Pieces& out) {
  std::string inside = raw_;
  if (raw_[0] == '`') {
    inside = raw_.substr(raw_.find('\n') + 1);
    absl::StripAsciiWhitespace(&inside);
    const size_t line = inside.rfind('\n');
    if (line != std::string::npos && IsClosingFence(absl::string_view(inside).substr(line + 1))) inside.resize(line);
  }
  absl::StripAsciiWhitespace(&inside);
  if (!inside.empty() && inside[0] != '<') inside = absl::StrCat("<tool_call>", inside, "</tool_call>");
  ToolCallParser reader(tools_);
  reader.inner_ = true;
  Pieces pieces;
  reader.Feed(inside, pieces);
  reader.Finish(truncated, pieces);
  const bool text =
      std::any_of(pieces.begin(), pieces.end(), [](const Piece& piece) { return piece.kind == Kind::kText; });
  if (reader.calls_ == 0 || text || reader.talked_ || reader.cut_ || !reader.fault_.ok()) return ReleaseWhole(out);
  calls_ = reader.calls_;
  out.insert(out.end(), pieces.begin(), pieces.end());
  Over(false);
}

// ---- Inside

void ToolCallParser::BeginTag(State from) {
  tag_ = "<";
  tag_from_ = from;
  state_ = State::kTag;
}

void ToolCallParser::AtStart(absl::string_view c, Pieces& out) {
  if (IsSpace(c)) return;
  if (c == "<") return BeginTag(State::kStart);
  if (c == "{" || c == "｛") {
    BeginObject(out);
  } else if (c == "[" && !list_) {
    list_ = true;
  } else if (c == "`" && !fence_inside_) {
    fence_inside_ = true;
    after_fence_ = State::kStart;
    state_ = State::kBodyFence;
  } else if (IsNameCharacter(c) && !list_) {
    name_ = std::string(c);
    name_over_ = false;
    state_ = State::kName;
  } else {
    Botch("it is neither an object nor a name", out);
  }
}

void ToolCallParser::InBodyFence(absl::string_view c, Pieces& out) {
  if (c == "\n") {
    state_ = after_fence_;
  } else if (c == "{") {
    state_ = after_fence_;
    if (after_fence_ == State::kStart)
      AtStart(c, out);
    else
      InMembers(c, out);
  } else if (c != "`" && c != " " && c != "\r" && !IsNameCharacter(c)) {
    Botch("there is something else in its block", out);
  }
}

void ToolCallParser::InTag(absl::string_view c, Pieces& out) {
  absl::StrAppend(&tag_, c);
  if (c == ">") return EndTag(out);
  if (c != "<" && c != "\n" && tag_.size() <= kMaxTag) return;
  if (tag_from_ == State::kAfter && !pending_) return Over(true);
  Botch("there is something else in its block", out);
}

ToolCallParser::Tag ToolCallParser::Classify(std::string& word) const {
  if (IsOneOf(tag_, CallOpeners())) return Tag::kOpen;
  if (IsOneOf(tag_, CallClosers())) return Tag::kClose;
  if (IsOneOf(tag_, NameSeparators())) return Tag::kSeparator;
  const std::string tag = absl::StrReplaceAll(tag_, {{"｜DSML｜", ""}});
  word = AttributeOf(tag);
  if (absl::StartsWith(tag, "<invoke ") || absl::StartsWith(tag, "<function=") || absl::StartsWith(tag, "<function "))
    return Tag::kCall;
  if (absl::StartsWith(tag, "<parameter=") || absl::StartsWith(tag, "<parameter ") || absl::StartsWith(tag, "<param "))
    return Tag::kMember;
  if (tag == "<arg_key>") return Tag::kKey;
  if (tag == "<arg_value>") return Tag::kValue;
  return Tag::kUnknown;
}

void ToolCallParser::EndTag(Pieces& out) {
  std::string word;
  const Tag tag = Classify(word);
  switch (tag_from_) {
    case State::kStart:
      return TagAtStart(tag, word, out);
    case State::kName:
      return TagAfterName(tag, word, out);
    case State::kMembers:
      return TagInMembers(tag, word, out);
    case State::kJson:
      if (tag != Tag::kClose || call_->json().CloseMissing(kMaxMissingBraces) != LenientJson::State::kDone)
        return Botch("its JSON is broken", out);
      EndJson(out);
      if (pending_) TagAfter(tag, word, out);
      return;
    default:
      return TagAfter(tag, word, out);
  }
}

void ToolCallParser::TagAtStart(Tag tag, const std::string& word, Pieces& out) {
  if (tag == Tag::kOpen && ++nested_ <= kMaxNested) {
    state_ = State::kStart;
  } else if (tag == Tag::kCall) {
    if (Resolve(word, out)) state_ = State::kMembers;
  } else if (tag == Tag::kClose && calls_ > 0 && early_) {
    // Behind a trailing comma.
    open_ = false;
    state_ = State::kAfter;
  } else {
    Botch("there is something else in its block", out);
  }
}

void ToolCallParser::TagAfterName(Tag tag, const std::string& word, Pieces& out) {
  if (tag == Tag::kSeparator && name_ == "function" && tools_->NameOf(name_).empty()) {
    // DeepSeek's older form has the kind of the tool before its name.
    name_.clear();
    name_over_ = false;
    state_ = State::kName;
    return;
  }
  const bool alone = tag == Tag::kClose && tools_->dialect().form == Dialect::Form::kPairs;
  if (!alone && tag != Tag::kSeparator && tag != Tag::kKey && tag != Tag::kMember)
    return Botch("there is something else in its block", out);
  if (Resolve(name_, out)) TagInMembers(tag, word, out);
}

void ToolCallParser::TagInMembers(Tag tag, const std::string& word, Pieces& out) {
  state_ = State::kMembers;
  switch (tag) {
    case Tag::kMember:
      return BeginMember(word, false, out);
    case Tag::kKey:
      key_.clear();
      state_ = State::kKey;
      return;
    case Tag::kValue:
      if (key_.empty()) break;
      return BeginMember(std::exchange(key_, ""), true, out);
    case Tag::kSeparator:
      if (call_->members > 0) break;
      return;
    case Tag::kClose:
    case Tag::kOpen:
    case Tag::kCall:
      // The last two where the closing tag was forgotten.
      if (!key_.empty()) break;
      pending_ = true;
      return TagAfter(tag, word, out);
    case Tag::kUnknown:
      break;
  }
  Botch("there is something else in its block", out);
}

void ToolCallParser::InName(absl::string_view c, Pieces& out) {
  if (IsNameCharacter(c) && !name_over_ && name_.size() < kMaxName) {
    absl::StrAppend(&name_, c);
  } else if (IsSpace(c)) {
    name_over_ = !name_.empty();
  } else if (c == "<" && !name_.empty()) {
    BeginTag(State::kName);
  } else if ((c == "{" || c == "`") && !name_.empty()) {
    if (!Resolve(name_, out)) return;
    state_ = State::kMembers;
    InMembers(c, out);
  } else {
    Botch("there is something else in its block", out);
  }
}

bool ToolCallParser::Resolve(absl::string_view written, Pieces& out) {
  early_ = false;
  key_.clear();
  call_ = std::make_unique<Call>(*tools_);
  if (call_->SetName(written)) return true;
  Botch(kNoName, out);
  return false;
}

void ToolCallParser::InMembers(absl::string_view c, Pieces& out) {
  if (IsSpace(c)) return;
  if (c == "<") return BeginTag(State::kMembers);
  if (c == "{" && call_->members == 0) {
    call_->ReadArguments();
    state_ = State::kJson;
    return PushJson(c, out);
  }
  if (c == "`" && call_->members == 0 && !fence_inside_) {
    fence_inside_ = true;
    after_fence_ = State::kMembers;
    state_ = State::kBodyFence;
    return;
  }
  Botch("there is something else in its block", out);
}

void ToolCallParser::BeginMember(const std::string& key, bool pair, Pieces& out) {
  if (key.empty()) return Botch("an argument has no name", out);
  pair_ = pair;
  text_end_.clear();
  call_->builder()->TextBegin(key);
  if (Check(out)) state_ = State::kValue;
}

void ToolCallParser::InTagText(absl::string_view c, Pieces& out) {
  const auto ends = state_ == State::kKey ? absl::Span<const absl::string_view>(kKeyEnds)
                    : pair_               ? absl::Span<const absl::string_view>(kPairEnds)
                                          : absl::Span<const absl::string_view>(kParameterEnds);
  if (!text_end_.empty() || c == "<") {
    const std::string longer = absl::StrCat(text_end_, c);
    if (BeginsOneOf(longer, ends)) {
      text_end_ = longer;
      if (!IsOneOf(longer, ends)) return;
      text_end_.clear();
      if (state_ == State::kValue) {
        call_->builder()->TextEnd();
        ++call_->members;
      } else if (key_.empty()) {
        return Botch("an argument has no name", out);
      }
      if (Check(out)) state_ = State::kMembers;
      return;
    }
    ForEachCodePoint(std::exchange(text_end_, ""), [&](absl::string_view held) {
      if (state_ == State::kKey || state_ == State::kValue) TagText(held, out);
    });
    if (state_ != State::kKey && state_ != State::kValue) return;
    if (c == "<") {
      text_end_ = "<";
      return;
    }
  }
  TagText(c, out);
}

void ToolCallParser::TagText(absl::string_view c, Pieces& out) {
  if (state_ == State::kValue) {
    call_->builder()->Text(c);
    Check(out);
    return;
  }
  if (key_.size() > kMaxKey) return Botch("the name of an argument is too long", out);
  if (!IsSpace(c)) absl::StrAppend(&key_, c);
}

void ToolCallParser::BeginObject(Pieces& out) {
  early_ = false;
  call_ = std::make_unique<Call>(*tools_);
  state_ = State::kJson;
  PushJson("{", out);
}

void ToolCallParser::PushJson(absl::string_view c, Pieces& out) {
  if (c == "<" && !call_->json().in_string()) return BeginTag(State::kJson);
  const LenientJson::State state = call_->json().Push(c);
  if (state == LenientJson::State::kBad) return Botch("its JSON is broken", out);
  if (!Check(out)) return;
  if (state == LenientJson::State::kDone) EndJson(out);
}

void ToolCallParser::EndJson(Pieces& out) {
  call_->EndObject();
  if (!Check(out)) return;
  pending_ = true;
  extra_braces_ = 0;
  state_ = State::kAfter;
}

void ToolCallParser::After(absl::string_view c, Pieces& out) {
  if (IsSpace(c)) return;
  if (c == "<") return BeginTag(State::kAfter);
  if (c == "`" && fence_inside_) return;
  if (c == "}" && pending_ && ++extra_braces_ <= kMaxExtraBraces) return;
  if (c == "," || c == "，") {
    if (!list_) return;
    if (Confirm(out)) state_ = State::kStart;
    early_ = true;
    return;
  }
  if (c == "]" && list_) {
    list_ = !Confirm(out);
    return;
  }
  if (open_ && c == "{") {
    if (Confirm(out)) {
      raw_ = "{";
      BeginObject(out);
    }
    return;
  }
  if (pending_) return Botch("there is something else in its block", out);
  Over(true);
}

void ToolCallParser::TagAfter(Tag tag, const std::string& word, Pieces& out) {
  if (tag != Tag::kOpen && tag != Tag::kClose && tag != Tag::kCall) {
    if (pending_) return Botch("there is something else in its block", out);
    return Over(true);
  }
  const std::string closing_tag = tag_;
  if (!Confirm(out)) return;
  state_ = State::kAfter;
  if (tag == Tag::kClose) {
    if (closing_tag != "</invoke>" && closing_tag != "</function>" && closing_tag != "</｜DSML｜invoke>") open_ = false;
    return;
  }
  raw_ = closing_tag;
  early_ = open_ = true;
  fence_inside_ = false;
  nested_ = 1;
  state_ = State::kStart;
  if (tag == Tag::kCall && Resolve(word, out)) state_ = State::kMembers;
}

// ---- The fate of a call

// Passes on what is certain. @return false if the call turned out to be none
bool ToolCallParser::Check(Pieces& out) {
  if (!call_->fault().empty()) {
    Botch(std::string(call_->fault()), out);
    return false;
  }
  ArgumentsBuilder* const builder = call_->builder();
  if (builder == nullptr) return true;
  const std::string piece = builder->Take();
  if (piece.empty()) return true;
  if (!std::exchange(call_->begun, true)) {
    raw_.clear();
    Add(Kind::kBegin, call_->name(), out);
  }
  Add(Kind::kArguments, piece, out);
  return true;
}

// The call, if one is whole, goes out. @return false if there is nothing more to be read as calls
bool ToolCallParser::Confirm(Pieces& out) {
  if (!pending_) return true;
  if (const absl::Status status = call_->builder()->Finish(); !status.ok()) {
    Botch(std::string(status.message()), out);
    return false;
  }
  if (!Check(out)) return false;
  pending_ = false;
  call_.reset();
  raw_.clear();
  ++calls_;
  Add(Kind::kEnd, "", out);
  if (tools_->parallel()) return true;
  Over(false);
  return false;
}

void ToolCallParser::Over(bool talked) {
  talked_ = talked;
  state_ = State::kOver;
}

void ToolCallParser::Botch(absl::string_view why, Pieces& out) {
  pending_ = false;
  if (call_ && call_->begun) {
    fault_ = MakeError(Reason::REASON_UPSTREAM_CHANGED,
                       absl::StrCat("the model's call of the tool '", call_->name(), "' cannot be used: ", why),
                       {.cause = "tool_call_invalid"});
    call_.reset();
    return Over(false);
  }
  call_.reset();
  std::string raw = std::exchange(raw_, "");
  if (calls_ > 0 || !early_) {
    begun_ = true;
    Add(Kind::kText, raw, out);
    state_ = State::kBotched;
    return;
  }
  // Somebody speaks of calls: nothing but tags and a word were read, and a call may come yet.
  state_ = State::kText;
  const size_t bracket = raw.find('<') + 1;
  ForEachCodePoint(absl::string_view(raw).substr(0, bracket), [&](absl::string_view c) { TextOut(c, out); });
  ForEachCodePoint(absl::string_view(raw).substr(bracket), [&](absl::string_view c) { Step(c, out); });
}

void ToolCallParser::EndInside(bool truncated, Pieces& out) {
  const bool closing = state_ == State::kTag && BeginsOneOf(tag_, CallClosers());
  const State state = closing ? tag_from_ : state_;
  bool whole = state == State::kAfter;
  if (!truncated && state == State::kMembers) whole = call_->members > 0 && key_.empty();
  if (!truncated && state == State::kJson && !call_->reads_arguments() && call_->has_arguments()) {
    // The arguments are whole; of the object around them the brace is missing.
    whole = call_->json().CloseMissing(1) == LenientJson::State::kDone;
    if (whole) call_->EndObject();
    if (whole && !Check(out)) return;
  }
  if (whole) {
    pending_ |= state != State::kAfter;
    if (Confirm(out)) Over(false);
    return;
  }
  if (truncated && call_ && call_->begun) {
    cut_ = true;
    return Over(false);
  }
  if (state_ == State::kTag && tag_from_ == State::kAfter && !pending_) return Over(true);
  Botch("it breaks off", out);
}

void ToolCallParser::Finish(bool truncated, Pieces& out) {
  if (!partial_.empty()) Step(std::exchange(partial_, ""), out);
  if (state_ == State::kLead) ReleaseWhole(out);
  if (state_ == State::kWhole) FinishWhole(truncated, out);
  // What turns out to be text may hold what opens another block.
  while (state_ != State::kText && state_ != State::kBotched && state_ != State::kOver) EndInside(truncated, out);
  if (state_ != State::kText) return;
  ReleaseCandidate(out);
  Add(Kind::kText, std::exchange(space_, ""), out);
}

}  // namespace switchyard
