#include "edge/responses_input.h"

#include <array>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
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
    Word<Role>{"developer", Role::ROLE_SYSTEM},
};

class Input {
 public:
  Input(ChatRequest& request, FieldNames& names, Reading& reading)
      : request_(request), names_(names), reading_(reading) {}

  void Text(absl::string_view text) {
    Message& message = Add(Role::ROLE_USER, "input");
    message.add_parts()->set_text(std::string(text));
    NamePart(message, "input");
  }

  void Item(const json::value& value, const std::string& path) {
    Fields item(JsonReader(value, path), reading_);
    const std::string type = item.String("type").value_or("message");
    item.Raw("id");
    item.Raw("status");
    if (!item.ok()) return;
    if (type == "message") {
      ReadMessage(item, path);
    } else if (type == "function_call") {
      ReadCall(item, path);
    } else if (type == "function_call_output") {
      Message& message = Add(Role::ROLE_TOOL, path);
      message.set_tool_call_id(item.Required("call_id"));
      item.Raw("caller");
      ReadContent(item, "output", message);
    } else if (type == "reasoning") {
      // What was thought in earlier turns is not shown to a platform again.
      for (const absl::string_view key : {"summary", "content", "encrypted_content"}) item.Raw(key);
    } else if (type == "item_reference") {
      AddUnsupported(request_, path, "nothing is stored here that could be referred to: send the item itself");
    } else {
      AddUnsupported(request_, item.PathOf("type"),
                     absl::StrCat("items of the type ", type.substr(0, 64), " are of tools that are not here"));
    }
  }

 private:
  Message& Add(Role role, const std::string& path) {
    names_.Add(absl::StrCat("messages[", request_.messages_size(), "]"), path);
    Message& message = *request_.add_messages();
    message.set_role(role);
    return message;
  }

  void NamePart(const Message& message, std::string path) {
    names_.Add(absl::StrCat("messages[", request_.messages_size() - 1, "].content[", message.parts_size() - 1, "]"),
               std::move(path));
  }

  void ReadMessage(Fields& item, const std::string& path) {
    item.Required("role");
    const auto role = item.OneOf("role", kRoles);
    item.Raw("phase");
    if (!role) return;
    Message& message = Add(*role, path);
    if (item.RequiredRaw("content") != nullptr) ReadContent(item, "content", message);
  }

  void ReadCall(Fields& item, const std::string& path) {
    // Calls belong to what the assistant said just before them.
    const int last = request_.messages_size() - 1;
    Message& message = last >= 0 && request_.messages(last).role() == Role::ROLE_ASSISTANT
                           ? *request_.mutable_messages(last)
                           : Add(Role::ROLE_ASSISTANT, path);
    names_.Add(absl::StrCat("messages[", request_.messages_size() - 1, "].tool_calls[", message.tool_calls_size(), "]"),
               path);
    auto& call = *message.add_tool_calls();
    call.set_id(item.Required("call_id"));
    call.set_name(item.Required("name"));
    call.set_arguments(item.Required("arguments"));
    item.Raw("caller");
  }

  void ReadContent(Fields& item, absl::string_view key, Message& message) {
    const json::value* content = item.RequiredRaw(key);
    if (content == nullptr) return;
    if (content->is_string()) {
      message.add_parts()->set_text(std::string(ToAbsl(content->get_string())));
      return NamePart(message, item.PathOf(key));
    }
    if (!content->is_array()) return item.Wrong(key, "a string or a list of parts");
    const json::array& parts = content->get_array();
    for (size_t i = 0; i < parts.size() && item.ok(); ++i) ReadPart(parts[i], item.PathOf(key, i), message);
  }

  void ReadPart(const json::value& value, const std::string& path, Message& message) {
    Fields part(JsonReader(value, path), reading_);
    const std::string type = part.Required("type");
    part.Raw("prompt_cache_breakpoint");
    if (!part.ok()) return;
    if (type == "refusal") {
      message.set_refusal(part.Required("refusal"));
      return;
    }
    if (type == "input_text" || type == "output_text") {
      message.add_parts()->set_text(part.Required("text"));
      part.Raw("annotations");
      part.Raw("logprobs");
    } else if (type == "input_image") {
      ReadImage(part, *message.add_parts()->mutable_image());
    } else if (type == "input_file") {
      ReadFile(part, *message.add_parts()->mutable_file());
    } else if (type == "input_audio") {
      message.add_parts()->mutable_audio();
      part.Raw("input_audio");
    } else {
      return part.Fault("type", "must be one of input_text, output_text, input_image, input_file, refusal");
    }
    NamePart(message, path);
  }

  void ReadImage(Fields& part, chat::v1::Image& image) {
    if (auto detail = part.String("detail")) image.set_detail(*std::move(detail));
    if (part.String("file_id"))
      AddUnsupported(request_, part.PathOf("file_id"), "nothing is stored here: send the image as image_url");
    const auto url = part.String("image_url");
    if (url) return ReadImageUrl(part, "image_url", *url, image);
    if (part.Raw("file_id") == nullptr) part.Fault("image_url", "is missing");
  }

  void ReadFile(Fields& part, chat::v1::File& file) {
    if (auto name = part.String("filename")) file.set_filename(*std::move(name));
    part.Raw("detail");
    if (auto id = part.String("file_id")) file.set_file_id(*std::move(id));
    if (auto url = part.String("file_url")) file.set_url(*std::move(url));
    auto data = part.String("file_data");
    if (!data) return;
    // "data:application/pdf;base64,…", or the Base64 alone.
    absl::string_view base64 = *data;
    if (absl::StartsWith(base64, "data:")) {
      const size_t comma = base64.find(',');
      if (comma == absl::string_view::npos) return part.Fault("file_data", "must be Base64");
      file.set_media_type(std::string(base64.substr(5, base64.find_first_of(";,") - 5)));
      base64.remove_prefix(comma + 1);
    }
    file.set_data(ReadBase64(part, "file_data", base64));
  }

  ChatRequest& request_;
  FieldNames& names_;
  Reading& reading_;
};

}  // namespace

void ReadInput(Fields& fields, ChatRequest& request, FieldNames& names, Reading& reading) {
  const json::value* value = fields.RequiredRaw("input");
  if (value == nullptr) return;
  Input input(request, names, reading);
  if (value->is_string()) return input.Text(ToAbsl(value->get_string()));
  if (!value->is_array()) return fields.Wrong("input", "a string or a list of items");
  const json::array& items = value->get_array();
  for (size_t i = 0; i < items.size() && fields.ok(); ++i) input.Item(items[i], fields.PathOf("input", i));
}

}  // namespace switchyard
