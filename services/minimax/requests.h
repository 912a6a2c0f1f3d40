// The calls of MiniMax Agent as HTTP requests, each with what has to be signed of it. Pure.
//
//   SignedParts parts = SendMessage(settings, login, clock.Now(), input);
//   auto signature = co_await turn.signing().SignMiniMax(parts.to_sign);
//   co_await turn.http().Send(scope, Signed(std::move(parts), *signature));
//
// The account's token is in the query: no request target may be logged. Source: protocol notes of MiniMax, sections 3
// and 6.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/common/http/http_client.h"
#include "services/minimax/login.h"
#include "services/minimax/platform.h"
#include "switchyard/signing/v1/signing.pb.h"

namespace switchyard::minimax {

/// A request that lacks its signature. The bytes in `to_sign` are those of the request.
struct SignedParts {
  HttpRequest request;
  signing::v1::MiniMaxSignature to_sign;
};
HttpRequest Signed(SignedParts parts, const signing::v1::MiniMaxSignatureResult& signature);

/// A chat's or a message's id: a number to most, a string of digits to some, and it goes back as it came. As text:
/// "360…", with an "s" behind it for a string.
struct ChatId {
  std::string digits = {};
  bool text = false;

  std::string ToString() const { return text ? digits + "s" : digits; }
  static std::optional<ChatId> Parse(absl::string_view text);
};

/// @param now the one reading of the clock for a request: query, header and signature all name it
SignedParts UserInfo(const Settings& settings, const Login& login, absl::Time now);
SignedParts Renewal(const Settings& settings, const Login& login, absl::Time now);

struct MessageInput {
  absl::string_view prompt = {};
  absl::string_view model = {};        // display name: "MiniMax-M2.7"
  std::optional<ChatId> chat_id = {};  // a chat to go on with
};
SignedParts SendMessage(const Settings& settings, const Login& login, absl::Time now, const MessageInput& input);
SignedParts ChatDetail(const Settings& settings, const Login& login, absl::Time now, const ChatId& chat);
SignedParts DeleteChat(const Settings& settings, const Login& login, absl::Time now, const ChatId& chat);

// ---- The agent dialect: answers by event stream. Source: section 3.6.

SignedParts ListAgents(const Settings& settings, const Login& login, absl::Time now);
/// @param agent as listed
SignedParts OpenSession(const Settings& settings, const Login& login, absl::Time now, absl::string_view agent,
                        absl::string_view model_id);
struct TurnInput {
  std::string session = {};
  absl::string_view prompt = {};
  std::string model_id = {};  // "MiniMax-M3"
  bool thinking = false;
  std::string turn_id = {};  // a UUID, new each time
};
/// On the streaming host, where the absolute URL is what is signed.
SignedParts SayInSession(const Settings& settings, const Login& login, absl::Time now, const TurnInput& input);
/// The newest model stands for "Auto", which this dialect does not have.
std::string AgentModel(absl::string_view display_name);
/// Whether text can be a name or an id in a path.
bool IsPathId(absl::string_view text);

/// The number that `model_option` has for a display name; nullopt if the matrix dialect has no such model.
std::optional<int> ModelType(absl::string_view display_name);

/// Whether the agent profile can be told to think or not to, with this model.
bool CanChooseThinking(absl::string_view model_id);

}  // namespace switchyard::minimax
