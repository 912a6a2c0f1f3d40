// The calls of a chat turn as HTTP requests. Pure. Source: protocol notes of Metaso, section 3.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/common/http/http_client.h"
#include "services/common/provider/provider.h"
#include "services/metaso/modes.h"
#include "services/metaso/platform.h"

namespace switchyard::metaso {

/// Which answer of which conversation (chat dialect). As text: "<conversation>@<message>".
struct MessageRef {
  std::string conversation = {};
  std::string message = {};

  std::string ToString() const;
  static std::optional<MessageRef> Parse(absl::string_view text);
};

/// The page that holds the token for the other calls.
HttpRequest Page(const Settings& settings, const Account& account);

/// Who the platform takes the account for.
HttpRequest MyInfo(const Settings& settings, const Account& account);

/// Opens a session for one search.
HttpRequest CreateSession(const Settings& settings, const Account& account, const SearchPlan& plan,
                          const Secret& meta_token);
/// The search itself. INVALID_ARGUMENT (CONTEXT_TOO_LONG) if the question is too long for a URL.
absl::StatusOr<HttpRequest> Search(const Settings& settings, const Account& account, const SearchPlan& plan,
                                   const Secret& meta_token, absl::string_view session);

struct ChatInput {
  SearchPlan plan = {};
  std::optional<MessageRef> before = {};  // the answer that this turn goes on from
  std::string message_key = {};           // UUIDs, made by the client
  std::string conversation_key = {};      // not used when a conversation is continued
};
HttpRequest SearchChat(const Settings& settings, const Account& account, const Secret& meta_token,
                       const ChatInput& input);

}  // namespace switchyard::metaso
