// What MiniMax's answers say: both envelopes of its calls, and every way it says no. One table of its codes.
//
// Pure. Source: protocol notes of MiniMax, sections 2.3 to 2.6, 3.3 to 3.5 and 7.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "boost/json/value.hpp"
#include "services/common/http/http_types.h"
#include "services/common/text/secret.h"
#include "services/minimax/requests.h"

namespace switchyard::minimax {

struct Answer {
  int http_status = 0;
  HttpHeaders headers = {};
  std::string body = {};
};

/// The object of a call that succeeded, by `base_resp` or by `statusInfo`. Otherwise the platform's error by its
/// reason.
absl::StatusOr<boost::json::value> ReadAnswer(const Answer& answer, absl::Time now);
/// The same of a call whose answers have no envelope when they succeed.
absl::StatusOr<boost::json::value> ReadBareAnswer(const Answer& answer, absl::Time now);

/// The error in an object that may stand in the middle of an answer; OK if there is none.
absl::Status InnerError(const boost::json::value& object);

/// An id wherever it is: a number or a string of digits.
std::optional<ChatId> IdOf(const boost::json::value* value);

/// Of send_msg.
struct Sent {
  ChatId chat;
  ChatId message;
};
/// UPSTREAM_CHANGED if it does not say which chat.
absl::StatusOr<Sent> ReadSent(const boost::json::value& object);

/// Whether a chat was not deleted because its answer is still being made.
bool IsStillRunning(const absl::Status& status);
/// Whether the platform does not know the chat.
bool IsUnknownChat(const absl::Status& status);
/// Whether a poll that failed like this may be followed by one that does not.
bool MayPass(const absl::Status& status);

/// The agent that answers chats, of the list of agents. UPSTREAM_CHANGED if there is none.
absl::StatusOr<std::string> ReadAgent(const boost::json::value& object);
/// Of a new session: its id.
absl::StatusOr<std::string> ReadSession(const boost::json::value& object);
/// Whether a session failed in a way that a new one may not.
bool IsSessionTrouble(const absl::Status& status);

/// Of user/info: OK if it is a user.
absl::Status ReadUserInfo(const boost::json::value& object);
/// Of user/renewal: the new JWT. UPSTREAM_CHANGED if there is none.
absl::StatusOr<Secret> ReadRenewal(const boost::json::value& object);

}  // namespace switchyard::minimax
