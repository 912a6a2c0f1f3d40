#include "edge/messages_input.h"

#include <array>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "boost/json/serialize.hpp"
#include "edge/request_parts.h"
#include "services/common/text/json.h"
#include "services/common/text/views.h"

namespace switchyard {

namespace json = boost::json;
using chat::v1::ChatRequest;
using chat::v1::Message;
using chat::v1::Role;

namespace {

constexpr std::array kRoles = {
    Word<Role>{"user", Role::ROLE_USER},
    Word<Role>{"assistant", Role::ROLE_ASSISTANT},
    Word<Role>{"system", Role::ROLE_SYSTEM},
};
constexpr absl::string_view kStored = "nothing is stored here: send the content itself";

class Input {
 public:
  Input(ChatRequest& request, FieldNames& names, Reading& reading)
      : request_(request), names_(names), reading_(reading) {}

  /// @param key of the content within `owner`: a string or blocks
  void Content(Fields& owner, absl::string_view key, Role role, const std::string& path) {
    const json::value* content = owner.Raw(key);
    if (content == nullptr) return;
    at_ = nullptr;
    role_ = role;
    path_ = path;
    if (content->is_string()) return AddText(ToAbsl(content->get_string()), owner.PathOf(key));
    if (!content->is_array()) return owner.Wrong(key, "a string or a list of content blocks");
    const json::array& blocks = content->get_array();
    if (blocks.empty() && role != Role::ROLE_SYSTEM) At();
    for (size_t i = 0; i < blocks.size() && owner.ok(); ++i) Block(blocks[i], owner.PathOf(key, i));
  }

 private:
  Message& Add(Role role, const std::string& path) {
    names_.Add(absl::StrCat("messages[", request_.messages_size(), "]"), path);
    Message& message = *request_.add_messages();
    message.set_role(role);
    return message;
  }
  /// The message that blocks go into.
  Message& At() {
    if (at_ == nullptr) at_ = &Add(role_, path_);
    return *at_;
  }
  chat::v1::ContentPart& AddPart(const std::string& path) {
    Message& message = At();
    names_.Add(absl::StrCat("messages[", request_.messages_size() - 1, "].content[", message.parts_size(), "]"), path);
    return *message.add_parts();
  }
  void AddText(absl::string_view text, const std::string& path) { AddPart(path).set_text(std::string(text)); }

  void Block(const json::value& value, const std::string& path) {
    Fields block(JsonReader(value, path), reading_);
    const std::string type = block.Required("type");
    block.Raw("cache_control");
    if (!block.ok()) return;
    if (type == "text") {
      AddText(block.Required("text"), path);
      block.Raw("citations");  // of an earlier answer: they say where its text came from
    } else if (role_ == Role::ROLE_SYSTEM) {
      block.Fault("type", "must be text");
    } else if (type == "image") {
      ReadImage(block, path);
    } else if (type == "document") {
      ReadDocument(block, path);
    } else if (type == "search_result") {
      ReadSearchResult(block, path);
    } else if (type == "tool_result" && role_ == Role::ROLE_USER) {
      ReadToolResult(block, path);
    } else if (role_ == Role::ROLE_ASSISTANT && ReadAssistantBlock(block, type, path)) {
      return;
    } else {
      AddUnsupported(request_, block.PathOf("type"),
                     absl::StrCat("content of the type ", type.substr(0, 64), " has no meaning in this place"));
    }
  }

  bool ReadAssistantBlock(Fields& block, absl::string_view type, const std::string& path) {
    if (type == "thinking") {
      At().mutable_reasoning()->append(block.Required("thinking"));
      block.Raw("signature");
    } else if (type == "redacted_thinking") {
      block.Raw("data");  // nobody here can read it, and what was thought is not shown to a platform again
    } else if (type == "tool_use") {
      names_.Add(absl::StrCat("messages[", request_.messages_size() - (at_ == nullptr ? 0 : 1), "].tool_calls[",
                              at_ == nullptr ? 0 : at_->tool_calls_size(), "]"),
                 path);
      auto& call = *At().add_tool_calls();
      call.set_id(block.Required("id"));
      call.set_name(block.Required("name"));
      if (block.RequiredRaw("input") != nullptr) call.set_arguments(ReadObject(block, "input"));
      block.Raw("caller");
    } else {
      return false;
    }
    return true;
  }

  void ReadImage(Fields& block, const std::string& path) {
    const json::value* value = block.RequiredRaw("source");
    if (value == nullptr) return;
    Fields source(JsonReader(*value, block.PathOf("source")), reading_);
    const std::string type = source.Required("type");
    if (!source.ok()) return;
    if (type == "file") {
      source.Raw("file_id");
      return AddUnsupported(request_, path, kStored);
    }
    auto& image = *AddPart(path).mutable_image();
    if (type == "base64") {
      image.set_media_type(source.Required("media_type"));
      image.set_data(ReadBase64(source, "data", source.Required("data")));
    } else if (type == "url") {
      ReadImageUrl(source, "url", source.Required("url"), image);
    } else {
      source.Fault("type", "must be one of base64, url, file");
    }
  }

  // A document of text is text; any other is a file.
  void ReadDocument(Fields& block, const std::string& path) {
    const std::string title = block.String("title").value_or("");
    const std::string context = block.String("context").value_or("");
    if (const json::value* citations = block.Raw("citations")) {
      Fields inner(JsonReader(*citations, block.PathOf("citations")), reading_);
      if (inner.Bool("enabled").value_or(false))
        AddUnsupported(request_, inner.PathOf("enabled"), "no platform cites documents by their passages");
    }
    const json::value* value = block.RequiredRaw("source");
    if (value == nullptr) return;
    Fields source(JsonReader(*value, block.PathOf("source")), reading_);
    const std::string type = source.Required("type");
    if (!source.ok()) return;
    const bool is_text = type == "text" || type == "content";
    for (const std::string& head : {title, context}) {
      if (is_text && !head.empty()) AddText(head, path);
    }
    if (type == "text") {
      source.Raw("media_type");
      return AddText(source.Required("data"), path);
    }
    if (type == "content") {
      const json::value* content = source.RequiredRaw("content");
      if (content == nullptr) return;
      if (content->is_string()) return AddText(ToAbsl(content->get_string()), path);
      if (!content->is_array()) return source.Wrong("content", "a string or a list of content blocks");
      for (size_t i = 0; i < content->get_array().size() && source.ok(); ++i)
        Block(content->get_array()[i], source.PathOf("content", i));
      return;
    }
    auto& file = *AddPart(path).mutable_file();
    file.set_filename(title);
    if (type == "base64") {
      file.set_media_type(source.Required("media_type"));
      file.set_data(ReadBase64(source, "data", source.Required("data")));
    } else if (type == "url") {
      file.set_url(source.Required("url"));
    } else if (type == "file") {
      file.set_file_id(source.Required("file_id"));
    } else {
      source.Fault("type", "must be one of base64, text, content, url, file");
    }
  }

  void ReadSearchResult(Fields& block, const std::string& path) {
    AddText(absl::StrCat(block.Required("title"), "\n", block.Required("source")), path);
    block.Raw("citations");
    const json::array* content = block.List("content", "a list of text blocks", 1000);
    for (size_t i = 0; content != nullptr && i < content->size() && block.ok(); ++i)
      Block((*content)[i], block.PathOf("content", i));
  }

  void ReadToolResult(Fields& block, const std::string& path) {
    const std::string id = block.Required("tool_use_id");
    const bool failed = block.Bool("is_error").value_or(false);
    // What follows the result in the same message of the user is a message after it.
    const std::string outer = path_;
    at_ = nullptr;
    Message& message = Add(Role::ROLE_TOOL, path);
    message.set_tool_call_id(id);
    if (failed) message.add_parts()->set_text("The tool failed:");
    if (const json::value* content = block.Raw("content"); content != nullptr) {
      at_ = &message;
      role_ = Role::ROLE_TOOL;
      if (content->is_string()) {
        AddText(ToAbsl(content->get_string()), block.PathOf("content"));
      } else if (!content->is_array()) {
        block.Wrong("content", "a string or a list of content blocks");
      } else {
        for (size_t i = 0; i < content->get_array().size() && block.ok(); ++i)
          Block(content->get_array()[i], block.PathOf("content", i));
      }
    }
    role_ = Role::ROLE_USER;
    at_ = nullptr;
    path_ = outer;
  }

  ChatRequest& request_;
  FieldNames& names_;
  Reading& reading_;
  Message* at_ = nullptr;  // within `request_`
  Role role_ = Role::ROLE_USER;
  std::string path_;  // of the caller's message
};

}  // namespace

void ReadMessages(Fields& fields, ChatRequest& request, FieldNames& names, Reading& reading) {
  Input input(request, names, reading);
  input.Content(fields, "system", Role::ROLE_SYSTEM, "system");
  if (fields.RequiredRaw("messages") == nullptr) return;
  const json::array* messages = fields.List("messages", "a list of messages", 100'000);
  for (size_t i = 0; messages != nullptr && i < messages->size() && fields.ok(); ++i) {
    const std::string path = fields.PathOf("messages", i);
    Fields message(JsonReader((*messages)[i], path), reading);
    message.Required("role");
    const auto role = message.OneOf("role", kRoles);
    if (role && message.RequiredRaw("content") != nullptr) input.Content(message, "content", *role, path);
  }
}

}  // namespace switchyard
