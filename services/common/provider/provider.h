// The one interface a platform implements, and what a turn gives it.
//
//   asio::awaitable<absl::StatusOr<FinishReason>> DeepSeekProvider::Run(Turn& turn) {
//     … auto response = co_await turn.http().Send(turn.scope(), std::move(request)); …
//     if (!co_await turn.Emit(events)) co_return FinishReason::FINISH_REASON_STOP;   // the answer is over
//   }
//
// A provider holds only what is particular to its platform. Leases, retries, history, stop sequences, limits, reasoning
// formats, usage and clean-up are the framework's.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "boost/asio/awaitable.hpp"
#include "services/common/async/scope.h"
#include "services/common/catalogue/catalogue.h"
#include "services/common/config/config.h"
#include "services/common/http/http_client.h"
#include "services/common/provider/attachment.h"
#include "services/common/text/secret.h"
#include "services/common/time/clock.h"
#include "services/common/time/random.h"
#include "services/signing/client/signing_client.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

using chat::v1::ChatEvent;
using chat::v1::ChatRequest;
using chat::v1::FinishReason;

/// An account as its borrower sees it.
struct Account {
  std::string label;  // safe to show
  Secret token;
  std::map<std::string, std::string> identity;  // device ids made once, by name
};

/// One chat turn on one account. Lives on one executor.
class Turn {
 public:
  virtual ~Turn() = default;

  /// Ends with the caller or its deadline. Bounds every call of Run().
  virtual Scope& scope() = 0;
  virtual const ChatRequest& request() const = 0;
  virtual const ModelEntry& model() const = 0;
  virtual const Account& account() const = 0;

  /// The conversation as one prompt; the last user message alone where `conversation_ref` is set.
  virtual const std::string& prompt() const = 0;
  /// The pictures and files that belong to the prompt, in order; only for models that take some. The prompt says where
  /// each stands: "[Image 1]". Text files are in the prompt itself.
  virtual const std::vector<Attachment>& attachments() const = 0;
  /// Continue this platform conversation: what an earlier turn gave to Begin(). Empty: a new one.
  virtual const std::string& conversation_ref() const = 0;
  /// The model's own way, or what the request asks for instead, within the provider's abilities().
  virtual bool thinking() const = 0;
  virtual bool web_search() const = 0;

  virtual HttpClient& http() = 0;
  virtual SignStream& signing() = 0;

  /// Records, durably, a conversation that was made on the platform; to be awaited before anything is said in it. It is
  /// deleted after the turn unless the caller keeps it.
  virtual boost::asio::awaitable<absl::Status> ConversationOpened(std::string ref) = 0;

  /// From here on the platform may be answering, so the turn is never tried again; with `ref`, a generation that is
  /// stopped, by StopGeneration(), unless GenerationEnded() is called.
  virtual void GenerationStarted(std::string ref) = 0;
  virtual void GenerationEnded() = 0;
  /// The platform refused before it began: another try is harmless after all.
  virtual void GenerationRefused() = 0;

  /// The platform took the request. @param resume_ref what conversation_ref() is to be in the next turn of this
  /// conversation; empty if it cannot be continued.
  virtual boost::asio::awaitable<absl::Status> Begin(std::string resume_ref) = 0;

  /// Passes events on, in order, and waits while the caller is slow. Takes text, reasoning, citation, refusal, usage
  /// and notice events; empties `events`. @return false if the answer is over: stop sequence, limit, or the caller is
  /// gone.
  virtual boost::asio::awaitable<bool> Emit(std::vector<ChatEvent>& events) = 0;

  /// Reads the rest of a response in which nothing of interest follows, after the turn, so that its connection is kept.
  virtual void DrainLater(std::unique_ptr<HttpResponse> response) = 0;
};

/// What a provider borrows; all outlives it.
struct ProviderTools {
  HttpClient& http;        // calls outside a turn; within one, Turn::http()
  SigningClient& signing;  // the same
  const Clock& clock;
  Random& random;
};

/// Whether a platform does something: when it is asked to, or whatever it is asked.
enum class Ability {
  kChoice,   // as Turn::thinking() or Turn::web_search() says
  kNever,    // it cannot
  kAlways,   // it cannot but
  kOwnWill,  // the platform decides
};
struct Abilities {
  Ability thinking = Ability::kChoice;
  Ability web_search = Ability::kChoice;
};

/// Thread-safe: one object serves every turn of the platform.
class Provider {
 public:
  virtual ~Provider() = default;

  virtual absl::string_view platform() const = 0;

  /// Whether this platform, as it is configured, has the model; otherwise it is neither listed nor found.
  virtual bool Serves(const ModelEntry& model) const {
    (void)model;
    return true;
  }

  /// What a request for reasoning or for web search can change, with this model and as the platform is configured.
  virtual Abilities abilities(const ModelEntry& model) const {
    (void)model;
    return {};
  }

  /// Whether pictures and files can be uploaded as the platform is configured; otherwise no model takes any.
  virtual bool TakesUploads() const { return true; }

  /// How the history reaches the platform where the request does not say.
  virtual chat::v1::HistoryMode default_history() const { return chat::v1::HISTORY_MODE_FLATTEN; }

  /// Runs the turn to its end and returns why the platform finished. Errors by reason, see switchyard.common.v1.Reason;
  /// the scope's status if that ended. FINISH_REASON_CONTENT_FILTER after a refusal event if the answer was withdrawn.
  virtual boost::asio::awaitable<absl::StatusOr<FinishReason>> Run(Turn& turn) = 0;

  /// Undo what Run() left. `ref` as given to GenerationStarted() and ConversationOpened(). NOT_FOUND is as good as OK.
  virtual boost::asio::awaitable<absl::Status> StopGeneration(Scope& scope, const Account& account,
                                                              const std::string& ref) = 0;
  virtual boost::asio::awaitable<absl::Status> DeleteConversation(Scope& scope, const Account& account,
                                                                  const std::string& ref) = 0;
};

/// How programs make a platform's provider: P has a nested Settings with `static Settings From(const Config&)`.
template <typename P>
std::unique_ptr<Provider> MakeProvider(const Config& config, const ProviderTools& tools) {
  return std::make_unique<P>(P::Settings::From(config), tools);
}

}  // namespace switchyard
