// The calls of a chat turn as HTTP requests. Pure. Source: protocol notes of DeepSeek, sections 3 and 5.2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "services/common/http/http_client.h"
#include "services/common/provider/provider.h"
#include "services/deepseek/platform.h"

namespace switchyard::deepseek {

/// Which answer of which conversation. As text: "<session>@<message>".
struct MessageRef {
  std::string session = {};
  int64_t message = 0;

  std::string ToString() const;
  static std::optional<MessageRef> Parse(absl::string_view text);
};

HttpRequest CreateSession(const Settings& settings, const Account& account);
HttpRequest DeleteSession(const Settings& settings, const Account& account, absl::string_view session);
HttpRequest CreateChallenge(const Settings& settings, const Account& account, absl::string_view target_path);
HttpRequest StopStream(const Settings& settings, const Account& account, const MessageRef& ref);

struct UploadInput {
  absl::string_view model_type = {};
  bool thinking = false;
  std::string proof = {};   // value of the proof-of-work header
  std::string digits = {};  // at least 16 random ones
};
HttpRequest UploadFile(const Settings& settings, const Account& account, const Attachment& attachment,
                       const UploadInput& input);
/// What has become of files that were uploaded.
HttpRequest FetchFiles(const Settings& settings, const Account& account, const std::vector<std::string>& ids);

struct CompletionInput {
  std::string session = {};
  std::optional<int64_t> parent_message = {};  // the answer before this turn; none in the first
  absl::string_view prompt = {};
  absl::string_view model_type = {};
  bool thinking = false;
  bool search = false;
  std::string proof = {};               // value of the proof-of-work header
  std::vector<std::string> files = {};  // ids of what was uploaded
};
HttpRequest Completion(const Settings& settings, const Account& account, const CompletionInput& input);

/// Goes on with an answer that the platform cut. @param proof empty: without the header
HttpRequest Continue(const Settings& settings, const Account& account, const MessageRef& ref, const std::string& proof);

}  // namespace switchyard::deepseek
