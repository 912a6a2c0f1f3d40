#include "edge/request_parts.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "boost/json/serialize.hpp"
#include "edge/data_url.h"
#include "services/common/text/views.h"

namespace switchyard {

namespace json = boost::json;
using chat::v1::ChatRequest;
using chat::v1::ReasoningFormat;

namespace {

// Source: OpenAI API reference, "Create chat completion", stop.
constexpr size_t kMostStops = 4;

constexpr int64_t kAccountLength = 256;

constexpr std::array kFormats = {
    Word<ReasoningFormat>{"think", ReasoningFormat::REASONING_FORMAT_THINK},
    Word<ReasoningFormat>{"separate", ReasoningFormat::REASONING_FORMAT_SEPARATE},
    Word<ReasoningFormat>{"tags", ReasoningFormat::REASONING_FORMAT_TAGS},
    Word<ReasoningFormat>{"hidden", ReasoningFormat::REASONING_FORMAT_HIDDEN},
};
constexpr std::array kHistories = {
    Word<chat::v1::HistoryMode>{"flatten", chat::v1::HISTORY_MODE_FLATTEN},
    Word<chat::v1::HistoryMode>{"last", chat::v1::HISTORY_MODE_LAST},
};

}  // namespace

void ReadRelayFields(Fields& fields, ChatRequest& request) {
  if (auto format = fields.OneOf("reasoning_format", kFormats)) request.mutable_reasoning()->set_format(*format);
  if (auto enabled = fields.Bool("web_search")) request.mutable_web_search()->set_enabled(*enabled);
  if (auto id = fields.String("conversation_id")) request.set_conversation_id(*std::move(id));
  if (auto keep = fields.Bool("keep_conversation")) request.set_keep_conversation(*keep);
  if (auto account = fields.String("account", kAccountLength))
    request.mutable_credential()->mutable_pool()->set_account(*std::move(account));
  if (auto history = fields.OneOf("history", kHistories)) request.set_history(*history);
  if (auto ignore = fields.Bool("ignore_unsupported")) request.set_ignore_unsupported(*ignore);
}

void ReadSampling(Fields& fields, ChatRequest& request) {
  auto& sampling = *request.mutable_sampling();
  if (auto value = fields.Double("temperature")) sampling.set_temperature(*value);
  if (auto value = fields.Double("top_p")) sampling.set_top_p(*value);
  if (auto value = fields.Double("presence_penalty")) sampling.set_presence_penalty(*value);
  if (auto value = fields.Double("frequency_penalty")) sampling.set_frequency_penalty(*value);
  if (auto value = fields.Int("seed")) sampling.set_seed(*value);
  if (auto value = fields.Int("top_k")) sampling.set_top_k(*value);
}

void ReadStop(Fields& fields, ChatRequest& request) {
  const json::value* stop = fields.Raw("stop");
  if (stop == nullptr) return;
  if (stop->is_string()) {
    if (!stop->get_string().empty()) request.add_stop(std::string(ToAbsl(stop->get_string())));
    return;
  }
  const json::array* list = fields.List("stop", "a string or a list of strings", kMostStops);
  if (list == nullptr) return;
  for (size_t i = 0; i < list->size(); ++i) {
    const json::value& one = (*list)[i];
    if (!one.is_string())
      return fields.Fault(absl::StrCat("stop[", i, "]"), absl::StrCat("must be a string, not ", KindName(one)));
    request.add_stop(std::string(ToAbsl(one.get_string())));
  }
}

std::string ReadObject(Fields& fields, absl::string_view key) {
  const json::value* value = fields.Raw(key);
  if (value == nullptr) return "";
  if (value->is_object()) return json::serialize(*value);
  fields.Wrong(key, "an object");
  return "";
}

void ReadMetadata(Fields& fields, ChatRequest& request) {
  const json::value* metadata = fields.Raw("metadata");
  if (metadata == nullptr) return;
  if (!metadata->is_object()) return fields.Wrong("metadata", "an object of strings");
  for (const auto& entry : metadata->get_object()) {
    if (!entry.value().is_string()) return fields.Wrong("metadata", "an object of strings");
    (*request.mutable_metadata())[std::string(entry.key())] = std::string(ToAbsl(entry.value().get_string()));
  }
}

void ReadUserLocation(Fields& owner, chat::v1::WebSearchOptions& search, Reading& reading) {
  const json::value* value = owner.Raw("user_location");
  if (value == nullptr) return;
  Fields place(JsonReader(*value, owner.PathOf("user_location")), reading);
  place.Raw("type");
  if (auto country = place.String("country")) search.set_country(*std::move(country));
  if (auto region = place.String("region")) search.set_region(*std::move(region));
  if (auto city = place.String("city")) search.set_city(*std::move(city));
  if (auto timezone = place.String("timezone")) search.set_timezone(*std::move(timezone));
}

void ReadImageUrl(Fields& owner, absl::string_view key, absl::string_view url, chat::v1::Image& image) {
  if (!IsDataUrl(url)) {
    image.set_url(std::string(url));
    return;
  }
  auto data = ParseDataUrl(url);
  if (!data) return owner.Fault(key, "a data URL must hold Base64");
  image.set_media_type(std::move(data->media_type));
  image.set_data(std::move(data->bytes));
}

std::string ReadBase64(Fields& owner, absl::string_view key, absl::string_view text) {
  std::string data;
  if (!absl::Base64Unescape(text, &data)) owner.Fault(key, "must be Base64");
  return data;
}

void AddUnsupported(ChatRequest& request, std::string field, absl::string_view why) {
  auto& unsupported = *request.add_unsupported();
  unsupported.set_field(std::move(field));
  unsupported.set_why(std::string(why));
}

bool IsNeutral(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return true;
    case json::kind::bool_:
      return !value.get_bool();
    case json::kind::string:
      return value.get_string().empty();
    case json::kind::array:
      return value.get_array().empty();
    case json::kind::object:
      return value.get_object().empty();
    default:
      return false;
  }
}

}  // namespace switchyard
