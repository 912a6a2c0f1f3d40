#include "services/doubao/provider.h"

#include <functional>
#include <memory>
#include <utility>

#include "services/common/provider/answer_stream.h"
#include "services/common/status/reason.h"
#include "services/doubao/events.h"
#include "services/doubao/requests.h"
#include "services/doubao/responses.h"
#include "services/doubao/samantha_events.h"

namespace switchyard::doubao {

namespace asio = boost::asio;

namespace {

asio::awaitable<absl::StatusOr<Answer>> ReadWhole(Scope& scope, HttpResponse& response) {
  auto body = co_await response.ReadAll(scope, kMaxJsonAnswer);
  if (!body.ok()) co_return body.status();
  Answer answer;
  answer.http_status = response.status();
  answer.headers = response.headers();
  answer.body = *std::move(body);
  co_return answer;
}

std::unique_ptr<DoubaoDecoder> DecoderFor(Dialect dialect) {
  if (dialect == Dialect::kSamantha) return std::make_unique<SamanthaDecoder>();
  return std::make_unique<EventDecoder>();
}

/// One turn's exchange with the platform.
class Exchange {
 public:
  Exchange(const Settings& settings, const Clock& clock, Random& random, Turn& turn)
      : settings_(settings), clock_(clock), random_(random), turn_(turn), decoder_(DecoderFor(settings.dialect)) {}

  asio::awaitable<absl::StatusOr<FinishReason>> Run() {
    if (!turn_.conversation_ref().empty()) {
      auto before = ConversationPoint::Parse(turn_.conversation_ref());
      if (!before || settings_.dialect == Dialect::kSamantha)
        co_return MakeError(Reason::REASON_INVALID_REQUEST, "conversation_id: it is not one of doubao's",
                            {.field = "conversation_id"});
      before_ = *std::move(before);
    }
    auto response = co_await Ask();
    if (!response.ok()) co_return response.status();
    std::function<asio::awaitable<absl::Status>()> before_events = [this] { return NoteProgress(); };
    auto end = co_await StreamAnswer(turn_, **response, *decoder_, settings_.idle_limit, std::move(before_events));
    if (!end.ok()) {
      // An error in place of an answer, before the request was even taken.
      if (decoder_->point().conversation.empty() && !decoder_->has_content() && decoder_->progress() > 0)
        turn_.GenerationRefused();
      co_return end.status();
    }
    if (*end == AnswerEnd::kComplete) {
      turn_.GenerationEnded();
      turn_.DrainLater(*std::move(response));
    }
    co_return FinishReason::FINISH_REASON_STOP;
  }

 private:
  HttpRequest Request() {
    const absl::Time now = clock_.Now();
    CompletionInput input;
    input.after = before_;
    input.prompt = turn_.prompt();
    input.model = turn_.model().upstream;
    input.thinking = turn_.thinking();
    input.ids = MessageIds::Make(random_, now);
    input.now = now;
    return settings_.dialect == Dialect::kSamantha ? SamanthaCompletion(settings_, turn_.account(), input)
                                                   : Completion(settings_, turn_.account(), input);
  }

  asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> Ask() {
    turn_.GenerationStarted("");
    HttpRequest request = Request();
    auto response = co_await turn_.http().Send(turn_.scope(), std::move(request));
    if (!response.ok()) {
      if (NothingReached(response.status())) turn_.GenerationRefused();
      co_return response.status();
    }
    if (IsEventStream((*response)->headers())) co_return response;
    auto answer = co_await ReadWhole(turn_.scope(), **response);
    if (!answer.ok()) co_return answer.status();
    turn_.GenerationRefused();
    co_return NoStream(*answer, clock_.Now());
  }

  /// The conversation's id comes in the stream: it is recorded before anything said in it is passed on.
  asio::awaitable<absl::Status> NoteProgress() {
    const ConversationPoint& point = decoder_->point();
    if (before_.conversation.empty() && !point.conversation.empty() && !std::exchange(opened_, true)) {
      const absl::Status recorded = co_await turn_.ConversationOpened(point.conversation);
      if (!recorded.ok()) co_return recorded;
    }
    // Not before the first content: the platform takes a request and may still refuse it.
    if (!decoder_->has_content() || std::exchange(begun_, true)) co_return absl::OkStatus();
    co_return co_await turn_.Begin(ResumeRef());
  }

  std::string ResumeRef() const {
    if (settings_.dialect == Dialect::kSamantha) return "";  // how it goes on is not known
    ConversationPoint point = decoder_->point();
    if (point.conversation.empty()) point.conversation = before_.conversation;
    if (point.section.empty()) point.section = before_.section;
    return ConversationPoint::Parse(point.ToString()) ? point.ToString() : std::string();
  }

  const Settings& settings_;
  const Clock& clock_;
  Random& random_;
  Turn& turn_;
  std::unique_ptr<DoubaoDecoder> decoder_;
  ConversationPoint before_;
  bool opened_ = false;
  bool begun_ = false;
};

}  // namespace

DoubaoProvider::DoubaoProvider(Settings settings, const ProviderTools& tools)
    : settings_(std::move(settings)), http_(tools.http), clock_(tools.clock), random_(tools.random) {}

Abilities DoubaoProvider::abilities(const ModelEntry&) const { return {Ability::kChoice, Ability::kOwnWill}; }

asio::awaitable<absl::StatusOr<FinishReason>> DoubaoProvider::Run(Turn& turn) {
  Exchange exchange(settings_, clock_, random_, turn);
  co_return co_await exchange.Run();
}

asio::awaitable<absl::Status> DoubaoProvider::StopGeneration(Scope&, const Account&, const std::string&) {
  co_return absl::OkStatus();
}

asio::awaitable<absl::Status> DoubaoProvider::DeleteConversation(Scope& scope, const Account& account,
                                                                 const std::string& ref) {
  HttpRequest request = doubao::DeleteConversation(settings_, account, ref, random_.NextUuid());
  auto response = co_await http_.Send(scope, std::move(request));
  if (!response.ok()) co_return response.status();
  auto answer = co_await ReadWhole(scope, **response);
  if (!answer.ok()) co_return answer.status();
  co_return ReadDeletion(*answer, ref, clock_.Now());
}

}  // namespace switchyard::doubao
