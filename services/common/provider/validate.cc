#include "services/common/provider/validate.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "services/common/provider/prompt.h"
#include "services/common/status/reason.h"
#include "services/common/text/utf8.h"
#include "services/common/tools/tool_set.h"

namespace switchyard {
namespace {

using chat::v1::ChatRequest;
using chat::v1::ContentPart;
using chat::v1::Message;
using chat::v1::Role;

constexpr int kMaxStops = 64;
constexpr size_t kMaxStopBytes = 512;
constexpr int kMaxMetadata = 16;

absl::Status Invalid(std::string field, absl::string_view what) {
  const std::string message = absl::StrCat(field, ": ", what);
  return MakeError(Reason::REASON_INVALID_REQUEST, message, {.field = std::move(field)});
}

absl::Status Unsupported(std::string field, absl::string_view why) {
  const std::string message = absl::StrCat(field, ": ", why);
  return MakeError(Reason::REASON_UNSUPPORTED_PARAMETER, message, {.field = std::move(field)});
}

absl::Status InRange(const char* field, bool present, double value, double low, double high) {
  if (!present || (value >= low && value <= high)) return absl::OkStatus();
  return Invalid(field, absl::StrCat("must be from ", low, " to ", high));
}

absl::Status ValidateFile(const chat::v1::File& file, const std::string& part) {
  switch (file.source_case()) {
    case chat::v1::File::kFileId:
      return Unsupported(absl::StrCat(part, ".file.file_id"),
                         "no files are stored here: send the file itself, as file_data");
    case chat::v1::File::SOURCE_NOT_SET:
      return Invalid(absl::StrCat(part, ".file.file_data"), "is missing");
    default:
      return absl::OkStatus();  // what it is, is looked at once it is here
  }
}

absl::Status ValidateMessage(const Message& message, int index, const ModelEntry& model) {
  const std::string at = absl::StrCat("messages[", index, "]");
  if (message.role() == Role::ROLE_UNSPECIFIED) return Invalid(absl::StrCat(at, ".role"), "is missing");
  const bool may_be_empty = message.role() == Role::ROLE_ASSISTANT || message.role() == Role::ROLE_TOOL;
  if (message.parts_size() == 0 && !may_be_empty) return Invalid(absl::StrCat(at, ".content"), "is missing");
  for (int i = 0; i < message.parts_size(); ++i) {
    const std::string part = absl::StrCat(at, ".content[", i, "]");
    switch (message.parts(i).part_case()) {
      case ContentPart::kText:
        break;
      case ContentPart::kImage:
        if (model.images && message.role() == Role::ROLE_USER) break;
        return Unsupported(part, "images are not supported by this model");
      case ContentPart::kFile:
        if (auto status = ValidateFile(message.parts(i).file(), part); !status.ok()) return status;
        if (message.role() == Role::ROLE_USER) break;
        return Unsupported(part, "files are taken in messages of the user alone");
      case ContentPart::kAudio:
        return Unsupported(part, "audio is not supported by this model");
      case ContentPart::PART_NOT_SET:
        return Invalid(part, "has no content");
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateMessages(const ChatRequest& request, const ModelEntry& model) {
  if (request.messages_size() == 0) return Invalid("messages", "must hold at least one message");
  bool has_content = false;
  for (int i = 0; i < request.messages_size(); ++i) {
    const Message& message = request.messages(i);
    if (auto status = ValidateMessage(message, i, model); !status.ok()) return status;
    // An empty result of a tool says something, too.
    has_content |= message.role() == Role::ROLE_TOOL || message.tool_calls_size() > 0 ||
                   std::any_of(message.parts().begin(), message.parts().end(), [](const ContentPart& part) {
                     return part.has_image() || part.has_file() || !CleanText(part.text()).empty();
                   });
  }
  if (!has_content) return Invalid("messages", "must hold at least one message with some content");
  return absl::OkStatus();
}

absl::Status ValidateSampling(const chat::v1::SamplingOptions& sampling) {
  if (auto s = InRange("temperature", sampling.has_temperature(), sampling.temperature(), 0, 2); !s.ok()) return s;
  if (auto s = InRange("top_p", sampling.has_top_p(), sampling.top_p(), 0, 1); !s.ok()) return s;
  if (auto s = InRange("presence_penalty", sampling.has_presence_penalty(), sampling.presence_penalty(), -2, 2);
      !s.ok())
    return s;
  return InRange("frequency_penalty", sampling.has_frequency_penalty(), sampling.frequency_penalty(), -2, 2);
}

absl::Status ValidateStops(const ChatRequest& request) {
  if (request.stop_size() > kMaxStops)
    return Invalid("stop", absl::StrCat("may hold at most ", kMaxStops, " sequences"));
  for (int i = 0; i < request.stop_size(); ++i) {
    if (request.stop(i).empty() || request.stop(i).size() > kMaxStopBytes) {
      return Invalid(request.stop_size() == 1 ? "stop" : absl::StrCat("stop[", i, "]"), "must be 1 to 512 bytes long");
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateSupport(const ChatRequest& request, bool ignore) {
  if (ignore) return absl::OkStatus();
  for (const auto& unsupported : request.unsupported()) return Unsupported(unsupported.field(), unsupported.why());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<const ModelEntry*> ResolveModel(const ChatRequest& request) {
  if (request.model().empty()) return Invalid("model", "is missing");
  if (const ModelEntry* model = FindModel(request.model())) return model;
  return MakeError(Reason::REASON_MODEL_NOT_FOUND,
                   absl::StrCat("The model '", CleanQuote(request.model(), 100),
                                "' does not exist here. GET /v1/models lists those that do."),
                   {.field = "model"});
}

absl::Status ValidateRequest(const ChatRequest& request, const ModelEntry& model, bool ignore_unsupported) {
  if (request.has_ignore_unsupported()) ignore_unsupported = request.ignore_unsupported();
  // First: a field that was left out for it must not look like one that is missing.
  if (auto status = ValidateSupport(request, ignore_unsupported); !status.ok()) return status;
  if (auto status = ValidateMessages(request, model); !status.ok()) return status;
  if (auto status = ValidateSampling(request.sampling()); !status.ok()) return status;
  if (auto status = ValidateStops(request); !status.ok()) return status;
  if (request.has_max_output_tokens() && request.max_output_tokens() < 1) {
    return Invalid("max_completion_tokens", "must be at least 1");
  }
  if (auto status = ValidateTools(request); !status.ok()) return status;
  if (request.metadata_size() > kMaxMetadata) return Invalid("metadata", "may hold at most 16 entries");
  return absl::OkStatus();
}

}  // namespace switchyard
