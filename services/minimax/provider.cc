#include "services/minimax/provider.h"

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "boost/json/value.hpp"
#include "services/common/async/sleep.h"
#include "services/common/log/log.h"
#include "services/common/status/reason.h"
#include "services/minimax/agent_turn.h"
#include "services/minimax/events.h"
#include "services/minimax/fetch.h"
#include "services/minimax/login.h"
#include "services/minimax/poll_pace.h"
#include "services/minimax/requests.h"
#include "services/minimax/responses.h"

namespace switchyard::minimax {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

constexpr int kDeleteTries = 4;  // the first and three more

/// One turn's exchange with the platform.
class Exchange {
 public:
  Exchange(const Settings& settings, const ProviderTools& tools, Turn& turn)
      : settings_(settings),
        tools_(tools),
        turn_(turn),
        login_(LoginOf(turn.account().token, turn.account().identity)) {}

  asio::awaitable<absl::StatusOr<FinishReason>> Run() {
    if (auto known = co_await LookBack(); !known.ok()) co_return known;
    if (auto sent = co_await Say(); !sent.ok()) co_return sent;
    co_return co_await Poll();
  }

 private:
  /// In a chat that goes on: what was said in it before.
  asio::awaitable<absl::Status> LookBack() {
    if (turn_.conversation_ref().empty()) co_return absl::OkStatus();
    chat_ = ChatId::Parse(turn_.conversation_ref());
    if (!chat_)
      co_return MakeError(Reason::REASON_INVALID_REQUEST, "conversation_id: it is not one of minimax's",
                          {.field = "conversation_id"});
    auto detail = co_await Call(turn_.scope(), ChatDetail(settings_, login_, tools_.clock.Now(), *chat_));
    if (detail.ok()) before_ = MessageIds(*detail);
    co_return detail.status();
  }

  asio::awaitable<absl::Status> Say() {
    MessageInput input;
    input.prompt = turn_.prompt();
    input.model = turn_.model().upstream;
    input.chat_id = chat_;
    // Without a reference: the platform has no call that stops an answer.
    turn_.GenerationStarted("");
    SignedParts parts = SendMessage(settings_, login_, tools_.clock.Now(), input);
    auto answer = co_await Fetch(turn_.scope(), turn_.http(), turn_.signing(), std::move(parts));
    if (!answer.ok()) {
      if (NothingReached(answer.status())) turn_.GenerationRefused();
      co_return answer.status();
    }
    auto object = ReadAnswer(*answer, tools_.clock.Now());
    if (!object.ok()) {
      turn_.GenerationRefused();
      co_return object.status();
    }
    auto sent = ReadSent(*object);
    if (!sent.ok()) co_return sent.status();
    message_ = sent->message;
    if (std::exchange(chat_, sent->chat)) co_return absl::OkStatus();
    co_return co_await turn_.ConversationOpened(chat_->ToString());
  }

  asio::awaitable<absl::StatusOr<FinishReason>> Poll() {
    const absl::Status silent =
        MakeError(Reason::REASON_DEADLINE,
                  absl::StrCat("minimax's answer did not change for ", absl::FormatDuration(settings_.silence)),
                  {.cause = "idle_timeout"});
    Scope patience(turn_.scope(), settings_.silence, silent);
    PollDecoder::Options options;
    options.message = message_;
    options.before = before_;
    PollDecoder decoder(std::move(options));
    PollPace pace(settings_, tools_.random);
    const auto begun_at = tools_.clock.MonotonicNow();
    for (int64_t seen = 0; !decoder.complete();) {
      auto detail = co_await Call(patience, ChatDetail(settings_, login_, tools_.clock.Now(), *chat_));
      if (patience.ended()) co_return patience.status();
      const absl::Duration elapsed = absl::FromChrono(tools_.clock.MonotonicNow() - begun_at);
      std::optional<absl::Duration> pause;
      if (detail.ok()) {
        pause = pace.AfterAnswer(elapsed);
        std::vector<ChatEvent> events;
        const absl::Status fed = decoder.Feed(*detail, events);
        auto wanted = co_await Pass(decoder, events);
        if (!wanted.ok()) co_return wanted.status();
        if (!*wanted) co_return FinishReason::FINISH_REASON_STOP;
        if (!fed.ok()) co_return fed;
        if (decoder.complete()) break;
      } else {
        if (MayPass(detail.status())) pause = pace.AfterFailure(elapsed);
        if (!pause) co_return BrokenOff(detail.status(), decoder);
      }
      if (std::exchange(seen, decoder.progress()) != decoder.progress())
        patience.ExtendTo(std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(settings_.silence));
      const absl::Status slept = co_await Sleep(patience, *pause);
      if (!slept.ok()) co_return slept;
    }
    turn_.GenerationEnded();
    co_return FinishReason::FINISH_REASON_STOP;
  }

  /// @return false if the caller wants no more
  asio::awaitable<absl::StatusOr<bool>> Pass(const PollDecoder& decoder, std::vector<ChatEvent>& events) {
    if (events.empty()) co_return true;
    if (decoder.has_content() && !std::exchange(begun_, true)) {
      const absl::Status begun = co_await turn_.Begin(chat_->ToString());
      if (!begun.ok()) co_return begun;
    }
    const bool wanted = co_await turn_.Emit(events);
    co_return wanted;
  }

  // The chat cannot be reached any more. Once it has begun, that is an answer that broke off, whatever the way broke.
  static absl::Status BrokenOff(const absl::Status& status, const PollDecoder& decoder) {
    const Reason reason = ReasonOf(status);
    const bool lost = reason == Reason::REASON_UPSTREAM_UNAVAILABLE || reason == Reason::REASON_UPSTREAM_BROKEN;
    if (!decoder.has_content() || !lost) return status;
    return MakeError(Reason::REASON_UPSTREAM_BROKEN, "minimax's answer broke off: it could not be read any further",
                     {.cause = "poll_failed"});
  }

  asio::awaitable<absl::StatusOr<json::value>> Call(Scope& scope, SignedParts parts) {
    auto answer = co_await Fetch(scope, turn_.http(), turn_.signing(), std::move(parts));
    if (!answer.ok()) co_return answer.status();
    co_return ReadAnswer(*answer, tools_.clock.Now());
  }

  const Settings& settings_;
  const ProviderTools& tools_;
  Turn& turn_;
  const Login login_;
  std::optional<ChatId> chat_;
  ChatId message_;
  std::set<std::string> before_;
  bool begun_ = false;
};

}  // namespace

MiniMaxProvider::MiniMaxProvider(Settings settings, const ProviderTools& tools)
    : settings_(std::move(settings)), tools_(tools) {}

bool MiniMaxProvider::Serves(const ModelEntry& model) const {
  return settings_.agent || ModelType(model.upstream).has_value();
}

Abilities MiniMaxProvider::abilities(const ModelEntry& model) const {
  const bool choice = settings_.agent && CanChooseThinking(AgentModel(model.upstream));
  return {choice ? Ability::kChoice : Ability::kOwnWill, Ability::kOwnWill};
}

asio::awaitable<absl::StatusOr<FinishReason>> MiniMaxProvider::Run(Turn& turn) {
  if (settings_.agent) co_return co_await RunAgentTurn(settings_, tools_, turn);
  Exchange exchange(settings_, tools_, turn);
  co_return co_await exchange.Run();
}

asio::awaitable<absl::Status> MiniMaxProvider::StopGeneration(Scope&, const Account&, const std::string&) {
  co_return absl::OkStatus();
}

asio::awaitable<absl::Status> MiniMaxProvider::DeleteConversation(Scope& scope, const Account& account,
                                                                  const std::string& ref) {
  const auto chat = ChatId::Parse(ref);
  if (!chat) co_return absl::InternalError("not a reference to a chat");
  const Login login = LoginOf(account.token, account.identity);
  const CallContext context;
  auto signing = tools_.signing.Open(scope, context);
  absl::Status status;
  for (int attempt = 0; attempt < kDeleteTries; ++attempt) {
    if (attempt > 0) {
      const absl::Status slept = co_await Sleep(scope, settings_.delete_retry);
      if (!slept.ok()) co_return slept;
    }
    SignedParts parts = DeleteChat(settings_, login, tools_.clock.Now(), *chat);
    auto answer = co_await Fetch(scope, tools_.http, *signing, std::move(parts));
    status = answer.ok() ? ReadAnswer(*answer, tools_.clock.Now()).status() : answer.status();
    if (!IsStillRunning(status)) break;
  }
  co_return IsUnknownChat(status) ? absl::NotFoundError("there is no such chat") : status;
}

}  // namespace switchyard::minimax
