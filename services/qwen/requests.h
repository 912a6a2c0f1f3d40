// The calls of a chat turn as HTTP requests. Pure. Source: protocol notes of Qwen, sections 1, 3.1 and 5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/common/http/http_client.h"
#include "services/common/provider/provider.h"
#include "services/qwen/platform.h"
#include "services/session/refreshers/qwen_cookie.h"

namespace switchyard::qwen {

/// Which answer of which conversation. As text: "<session>-<message>".
struct MessageRef {
  std::string session = {};
  std::string message = {};

  std::string ToString() const;
  static std::optional<MessageRef> Parse(absl::string_view text);
};

/// The model's code for a request that is to be thought about, or not: thinking is a model of its own.
absl::string_view ModelCode(absl::string_view upstream, bool thinking);

/// Leave to put objects into the site's store, for a while.
struct UploadTicket {
  std::string access_id = {};
  std::string policy = {};
  std::string signature = {};
  std::string dir = {};  // in front of every object's name
};
/// An upload, in the order of the calls: leave; the object; a picture's address; or a document's, and whether it has
/// been looked through.
HttpRequest UploadToken(const Settings& settings, const QwenCookie& login);
/// @param name of the object, within the ticket's folder
/// @param digits at least 16 random ones
HttpRequest PutObject(const Settings& settings, const UploadTicket& ticket, absl::string_view name,
                      const Attachment& attachment, absl::string_view digits);
HttpRequest ImageLink(const Settings& settings, const QwenCookie& login, absl::string_view name, absl::string_view dir);
HttpRequest DocumentLink(const Settings& settings, const QwenCookie& login, absl::string_view name,
                         absl::string_view dir);
HttpRequest SecurityResult(const Settings& settings, const QwenCookie& login, absl::string_view url);

struct UploadedObject {
  bool image = false;
  std::string url = {};
  int64_t bytes = 0;
};

struct ConversationInput {
  std::string request_id = {};            // 32 hex digits, never used before
  std::optional<MessageRef> before = {};  // the answer before this turn; none in the first
  absl::string_view prompt = {};
  absl::string_view model = {};
  std::vector<UploadedObject> objects = {};
  std::string batch = {};  // a UUID, of the objects
};
HttpRequest Conversation(const Settings& settings, const QwenCookie& login, const ConversationInput& input);

/// The same by the site's newer call.
struct Chat2Input {
  std::string request_id = {};  // 32 hex digits, never used before
  std::string session = {};     // the same; chosen by the client
  std::string device = {};      // UUID, the same for all calls of an account
  std::string nonce = {};       // 8 to 12 of [a-z0-9]
  absl::Time now;
  absl::string_view prompt = {};
  absl::string_view model = {};
  bool thinking = false;
  bool search = false;
};
HttpRequest Chat2(const Settings& settings, const QwenCookie& login, const Chat2Input& input);

HttpRequest DeleteChat2(const Settings& settings, const QwenCookie& login, absl::string_view session,
                        absl::string_view device);

HttpRequest DeleteSession(const Settings& settings, const QwenCookie& login, absl::string_view session);

}  // namespace switchyard::qwen
