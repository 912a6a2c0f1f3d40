#include "services/metaso/provider.h"

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "boost/json/value.hpp"
#include "services/common/provider/answer_stream.h"
#include "services/common/status/reason.h"
#include "services/metaso/events.h"
#include "services/metaso/question.h"
#include "services/metaso/requests.h"
#include "services/metaso/responses.h"

namespace switchyard::metaso {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

using Response = std::unique_ptr<HttpResponse>;

// Beijing's time, by which the platform's days are counted.
constexpr absl::Duration kPlatformZone = absl::Hours(8);

absl::Time NextDay(absl::Time now) {
  const absl::Duration day = absl::Hours(24);
  const absl::Duration since_epoch = now - absl::UnixEpoch() + kPlatformZone;
  return absl::UnixEpoch() + absl::Floor(since_epoch, day) + day - kPlatformZone;
}

absl::Status ConversationError(absl::string_view what) {
  return MakeError(Reason::REASON_INVALID_REQUEST, absl::StrCat("conversation_id: ", what),
                   {.field = "conversation_id"});
}

/// One turn's exchange with the platform.
class Exchange {
 public:
  Exchange(const Settings& settings, const Clock& clock, Random& random, AccountMemory& memory, Turn& turn,
           std::optional<MessageRef> before)
      : settings_(settings),
        clock_(clock),
        random_(random),
        memory_(memory),
        turn_(turn),
        before_(std::move(before)),
        decoder_({.label_citations = settings.label_citations,
                  .conversation = before_ ? before_->conversation : std::string()}) {}

  asio::awaitable<absl::StatusOr<FinishReason>> Run() {
    auto plan = PlanOf(turn_.request(), turn_.prompt());
    if (!plan.ok()) co_return plan.status();
    plan_ = *std::move(plan);
    auto finished = co_await RunCalls();
    if (finished.ok()) {
      memory_.rests.Succeeded(turn_.account().token);
      co_return finished;
    }
    if (turn_.scope().ended()) co_return finished;
    memory_.tokens.Drop(turn_.account().token);
    const std::string cause = DetailOf(finished.status()).cause();
    if (cause == kTooManyCause || cause == kQuotaCause) {
      // So are those treated who only seem to be logged in.
      const bool anonymous = co_await IsAnonymous();
      if (anonymous) co_return ExpiredError("anonymous");
    }
    co_return Timed(finished.status());
  }

 private:
  asio::awaitable<absl::StatusOr<FinishReason>> RunCalls() {
    auto response = co_await Open();
    if (!response.ok() && token_was_kept_ && IsUnknownRefusal(response.status())) {
      // The page's token may have grown old before its time.
      memory_.tokens.Drop(turn_.account().token);
      response = co_await Open();
    }
    if (!response.ok()) co_return response.status();
    auto end = co_await Stream(**response);
    if (!end.ok()) co_return end.status();
    if (*end == AnswerEnd::kOver) co_return FinishReason::FINISH_REASON_STOP;
    turn_.GenerationEnded();
    turn_.DrainLater(*std::move(response));
    std::vector<ChatEvent> events;
    decoder_.Finish(events);
    co_await turn_.Emit(events);
    co_return FinishReason::FINISH_REASON_STOP;
  }

  asio::awaitable<absl::StatusOr<Response>> Open() {
    auto request = co_await Prepare();
    if (!request.ok()) co_return request.status();
    co_return co_await Ask(*std::move(request));
  }

  /// Everything that comes before the call that is answered by a stream.
  asio::awaitable<absl::StatusOr<HttpRequest>> Prepare() {
    if (settings_.dialect == Dialect::kSearch) {
      // A question that is too long is refused before anything is asked for it.
      auto shortest = Search(settings_, turn_.account(), plan_, Secret(), "0");
      if (!shortest.ok()) co_return shortest.status();
    }
    auto token = co_await MetaToken();
    if (!token.ok()) co_return token.status();
    if (settings_.dialect == Dialect::kChat) {
      ChatInput input;
      input.plan = plan_;
      input.before = before_;
      input.message_key = random_.NextUuid();
      input.conversation_key = random_.NextUuid();
      co_return SearchChat(settings_, turn_.account(), *token, input);
    }
    auto session = co_await OpenSession(*token);
    if (!session.ok()) co_return session.status();
    co_return Search(settings_, turn_.account(), plan_, *token, *session);
  }

  asio::awaitable<absl::StatusOr<Secret>> MetaToken() {
    std::optional<Secret> kept = memory_.tokens.Find(turn_.account().token);
    token_was_kept_ = kept.has_value();
    if (kept) co_return *std::move(kept);
    auto page = co_await Call(Page(settings_, turn_.account()), kMaxPage);
    if (!page.ok()) co_return page.status();
    auto token = ReadPage(*page, clock_.Now());
    if (token.ok()) memory_.tokens.Keep(turn_.account().token, *token);
    co_return token;
  }

  asio::awaitable<bool> IsAnonymous() {
    auto answer = co_await Call(MyInfo(settings_, turn_.account()), kMaxJsonAnswer);
    co_return answer.ok() && SaysAnonymous(*answer);
  }

  asio::awaitable<absl::StatusOr<std::string>> OpenSession(Secret token) {
    auto answer = co_await Call(CreateSession(settings_, turn_.account(), plan_, token), kMaxJsonAnswer);
    if (!answer.ok()) co_return answer.status();
    auto envelope = ReadEnvelope(*answer, clock_.Now());
    if (!envelope.ok()) co_return envelope.status();
    co_return SessionId(*envelope);
  }

  asio::awaitable<absl::StatusOr<Response>> Ask(HttpRequest request) {
    turn_.GenerationStarted("");
    auto response = co_await turn_.http().Send(turn_.scope(), std::move(request));
    if (!response.ok()) {
      if (NothingReached(response.status())) turn_.GenerationRefused();
      co_return response.status();
    }
    if (IsEventStream((*response)->status(), (*response)->headers())) co_return response;
    auto answer = co_await ReadWhole(**response, kMaxJsonAnswer);
    if (!answer.ok()) co_return answer.status();
    turn_.GenerationRefused();
    co_return NoStream(*answer, clock_.Now());
  }

  asio::awaitable<absl::StatusOr<AnswerEnd>> Stream(HttpResponse& response) {
    std::function<asio::awaitable<absl::Status>()> before_events = [this] { return NoteBegin(); };
    auto end = co_await StreamAnswer(turn_, response, decoder_, settings_.idle_limit, std::move(before_events));
    if (end.ok() || decoder_.has_content()) co_return end;
    // A limit in place of an answer: nothing was generated. Any other error leaves that open.
    const Reason reason = ReasonOf(end.status());
    if (reason == Reason::REASON_RATE_LIMITED || reason == Reason::REASON_QUOTA_SPENT ||
        reason == Reason::REASON_CREDENTIAL_EXPIRED || reason == Reason::REASON_CAPTCHA_PENDING)
      turn_.GenerationRefused();
    co_return end;
  }

  asio::awaitable<absl::Status> NoteBegin() {
    if (!decoder_.has_content() || std::exchange(begun_, true)) co_return absl::OkStatus();
    const std::string conversation = decoder_.conversation_id();
    std::string ref;
    if (!conversation.empty() && !decoder_.message_id().empty())
      ref = MessageRef{conversation, decoder_.message_id()}.ToString();
    // Nothing can be deleted here, so only a conversation that is kept has to be known.
    if (!ref.empty() && !before_ && turn_.request().keep_conversation()) {
      const absl::Status opened = co_await turn_.ConversationOpened(conversation);
      if (!opened.ok()) co_return opened;
    }
    const absl::Status begun = co_await turn_.Begin(ref);
    if (begun.ok() && ref.empty() && turn_.request().keep_conversation()) co_await TellNotKept();
    co_return begun;
  }

  asio::awaitable<void> TellNotKept() {
    std::vector<ChatEvent> events(1);
    events[0].mutable_notice()->set_code("conversation_not_kept");
    events[0].mutable_notice()->set_message("metaso's searches cannot be continued: send the history instead");
    co_await turn_.Emit(events);
  }

  /// The same error with the time to wait, where the platform did not say: a quota comes back with its next day.
  absl::Status Timed(const absl::Status& status) {
    const ErrorDetail detail = DetailOf(status);
    ErrorExtras extras;
    extras.cause = detail.cause();
    if (detail.reason() == Reason::REASON_QUOTA_SPENT) {
      extras.until = NextDay(clock_.Now());
    } else if (detail.reason() == Reason::REASON_RATE_LIMITED && !detail.has_retry_after()) {
      extras.retry_after = memory_.rests.Limited(turn_.account().token);
    } else {
      return status;
    }
    return MakeError(detail.reason(), status.message(), std::move(extras));
  }

  asio::awaitable<absl::StatusOr<Answer>> Call(HttpRequest request, size_t max_bytes) {
    auto response = co_await turn_.http().Send(turn_.scope(), std::move(request));
    if (!response.ok()) co_return response.status();
    co_return co_await ReadWhole(**response, max_bytes);
  }

  asio::awaitable<absl::StatusOr<Answer>> ReadWhole(HttpResponse& response, size_t max_bytes) {
    auto body = co_await response.ReadAll(turn_.scope(), max_bytes);
    if (!body.ok()) co_return body.status();
    Answer answer;
    answer.http_status = response.status();
    answer.headers = response.headers();
    answer.body = *std::move(body);
    co_return answer;
  }

  const Settings& settings_;
  const Clock& clock_;
  Random& random_;
  AccountMemory& memory_;
  Turn& turn_;
  const std::optional<MessageRef> before_;
  EventDecoder decoder_;
  SearchPlan plan_;
  bool token_was_kept_ = false;
  bool begun_ = false;
};

}  // namespace

MetasoProvider::MetasoProvider(Settings settings, const ProviderTools& tools)
    : settings_(std::move(settings)), clock_(tools.clock), random_(tools.random), memory_(tools.clock) {}

Abilities MetasoProvider::abilities(const ModelEntry&) const {
  return {settings_.dialect == Dialect::kSearch ? Ability::kNever : Ability::kOwnWill, Ability::kAlways};
}

chat::v1::HistoryMode MetasoProvider::default_history() const {
  return settings_.flatten_history ? chat::v1::HISTORY_MODE_FLATTEN : chat::v1::HISTORY_MODE_LAST;
}

asio::awaitable<absl::StatusOr<FinishReason>> MetasoProvider::Run(Turn& turn) {
  std::optional<MessageRef> before;
  if (!turn.conversation_ref().empty()) {
    if (settings_.dialect == Dialect::kSearch)
      co_return ConversationError("metaso's searches cannot be continued: send the history instead");
    before = MessageRef::Parse(turn.conversation_ref());
    if (!before) co_return ConversationError("it is not one of metaso's");
  }
  Exchange exchange(settings_, clock_, random_, memory_, turn, std::move(before));
  co_return co_await exchange.Run();
}

asio::awaitable<absl::Status> MetasoProvider::StopGeneration(Scope&, const Account&, const std::string&) {
  co_return absl::OkStatus();
}

asio::awaitable<absl::Status> MetasoProvider::DeleteConversation(Scope&, const Account&, const std::string&) {
  co_return absl::OkStatus();
}

}  // namespace switchyard::metaso
