// The calls of a chat turn as HTTP requests. Pure. Source: protocol notes of Zhipu, sections 1.3, 3 and 5 (2026-09).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "services/common/http/http_client.h"
#include "services/common/provider/provider.h"
#include "services/zhipu/platform.h"

namespace switchyard::zhipu {

/// A conversation is a pair. As text: "<conversation>@<assistant>".
struct ConversationRef {
  std::string conversation = {};
  std::string assistant = {};

  std::string ToString() const;
  static std::optional<ConversationRef> Parse(absl::string_view text);
};

/// What every request has of its own: none is signed twice.
struct Stamp {
  std::string request_id = {};
  std::string nonce = {};
  std::string timestamp = {};
  std::string sign = {};
};

/// What the platform says of an upload, and of a picture its size.
struct UploadedFile {
  bool image = false;
  std::string id = {};
  std::string url = {};
  std::string name = {};
  int64_t bytes = 0;
  int width = 0;
  int height = 0;
};
/// @param assistant that will be asked about it
/// @param digits at least 16 random ones
HttpRequest Upload(const Settings& settings, const Account& account, const Stamp& stamp, absl::string_view assistant,
                   const Attachment& attachment, absl::string_view digits);

struct StreamInput {
  ConversationRef conversation = {};  // an empty `conversation` opens one
  absl::string_view prompt = {};
  absl::string_view upstream = {};  // ModelEntry::upstream
  bool thinking = false;
  bool hardest = false;  // the greatest effort that there is
  bool search = false;
  std::vector<UploadedFile> files = {};
};
HttpRequest StreamAnswerOf(const Settings& settings, const Account& account, const Stamp& stamp,
                           const StreamInput& input);

/// @param part of the answer that is under way
HttpRequest StopStream(const Settings& settings, const Account& account, const Stamp& stamp, absl::string_view part);
/// @param old the call that the site used before
HttpRequest Delete(const Settings& settings, const Account& account, const Stamp& stamp, const ConversationRef& ref,
                   bool old);

}  // namespace switchyard::zhipu
