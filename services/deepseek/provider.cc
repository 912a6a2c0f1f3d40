#include "services/deepseek/provider.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "boost/json/value.hpp"
#include "services/common/async/sleep.h"
#include "services/common/log/log.h"
#include "services/common/provider/answer_stream.h"
#include "services/common/provider/attachments.h"
#include "services/common/status/reason.h"
#include "services/deepseek/events.h"
#include "services/deepseek/requests.h"
#include "services/deepseek/responses.h"

namespace switchyard::deepseek {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

// A challenge lives five minutes by the platform's clock; a proof that takes this long is asked for anew.
constexpr absl::Duration kProofLimit = absl::Seconds(60);
constexpr absl::Duration kDrainLimit = absl::Seconds(2);
// Of a file that was uploaded: how long it may take the platform to read it, and how often it is asked.
constexpr absl::Duration kReadLimit = absl::Seconds(90);
constexpr absl::Duration kReadPause = absl::Seconds(1);
constexpr int kBoundaryDigits = 16;
// Message ids count from 1 in a session: the question is 1, its answer 2, and so on.
constexpr int64_t kQuestionAndAnswer = 2;

/// One turn's exchange with the platform.
class Exchange {
 public:
  Exchange(const Settings& settings, const Clock& clock, Random& random, Turn& turn)
      : settings_(settings),
        clock_(clock),
        random_(random),
        turn_(turn),
        decoder_({.search = turn.web_search(),
                  .keep_markers = settings.keep_citation_markers,
                  .first_turn = turn.conversation_ref().empty()}) {}

  asio::awaitable<absl::StatusOr<FinishReason>> Run() {
    if (auto opened = co_await Open(); !opened.ok()) co_return opened;
    if (auto uploaded = co_await Upload(); !uploaded.ok()) co_return uploaded;
    auto proof = co_await Prove(kCompletion);
    if (!proof.ok()) co_return proof.status();
    auto response = co_await Ask(*std::move(proof));
    if (!response.ok()) co_return response.status();

    for (int continuations = 0;; ++continuations) {
      if (*response != nullptr) {
        auto end = co_await Stream(**response);
        if (!end.ok()) co_return end.status();
        if (*end == AnswerEnd::kOver) co_return FinishReason::FINISH_REASON_STOP;
      }
      if (decoder_.ending() != Ending::kIncomplete || continuations == settings_.max_continuations) break;
      if (*response != nullptr) co_await Drain(**response);
      response = co_await ContinueAnswer();
      if (!response.ok()) co_return response.status();
      if (*response == nullptr && decoder_.ending() == Ending::kIncomplete) break;
    }

    turn_.GenerationEnded();
    if (*response != nullptr) turn_.DrainLater(*std::move(response));
    std::vector<ChatEvent> events;
    decoder_.Finish(events);
    co_await turn_.Emit(events);
    co_return FinishedBy();
  }

 private:
  FinishReason FinishedBy() const {
    switch (decoder_.ending()) {
      case Ending::kContentFilter:
        return FinishReason::FINISH_REASON_CONTENT_FILTER;
      case Ending::kOpen:  // sent whole, and still not complete
      case Ending::kLength:
      case Ending::kIncomplete:
        return FinishReason::FINISH_REASON_LENGTH;
      default:
        return FinishReason::FINISH_REASON_STOP;
    }
  }

  /// The session: a new one, or that of an earlier turn.
  asio::awaitable<absl::Status> Open() {
    if (!turn_.conversation_ref().empty()) {
      auto before = MessageRef::Parse(turn_.conversation_ref());
      if (!before)
        co_return MakeError(Reason::REASON_INVALID_REQUEST, "conversation_id: it is not one of deepseek's",
                            {.field = "conversation_id"});
      answer_.session = before->session;
      parent_ = before->message;
      answer_.message = before->message + kQuestionAndAnswer;
      co_return absl::OkStatus();
    }
    auto data = co_await Call(CreateSession(settings_, turn_.account()));
    if (!data.ok()) co_return data.status();
    auto id = SessionId(*data);
    if (!id.ok()) co_return id.status();
    answer_.session = *std::move(id);
    answer_.message = kQuestionAndAnswer;
    co_return co_await turn_.ConversationOpened(answer_.session);
  }

  /// Everything that goes beside the prompt, one after the other; waits until the platform has read it all.
  asio::awaitable<absl::Status> Upload() {
    const std::vector<Attachment>& attachments = turn_.attachments();
    std::vector<FileState> files;
    for (const Attachment& attachment : attachments) {
      UploadInput input;
      input.model_type = turn_.model().upstream;
      input.thinking = turn_.thinking();
      auto proof = co_await Prove(kUploadFile);
      if (!proof.ok()) co_return proof.status();
      input.proof = *std::move(proof);
      input.digits = random_.NextHex(kBoundaryDigits);
      HttpRequest upload = UploadFile(settings_, turn_.account(), attachment, input);
      auto data = co_await Call(std::move(upload));
      if (!data.ok()) co_return data.status();
      auto file = UploadedFile(*data);
      if (!file.ok()) co_return file.status();
      files_.push_back(file->id);
      files.push_back(*std::move(file));
    }
    const absl::Status late =
        MakeError(Reason::REASON_DEADLINE, "deepseek did not read the files in time", {.cause = "file_status"});
    Scope patience(turn_.scope(), kReadLimit, late);
    for (bool first = true;; first = false) {
      for (size_t i = 0; i < files.size(); ++i) {
        const absl::Status fault = FileError(files[i]);
        if (ReasonOf(fault) == Reason::REASON_INVALID_REQUEST) co_return RefusedAttachment(attachments[i], fault);
        if (!fault.ok()) co_return fault;
      }
      if (std::all_of(files.begin(), files.end(), IsRead)) co_return absl::OkStatus();
      if (!first) {
        const absl::Status slept = co_await Sleep(patience, kReadPause);
        if (!slept.ok()) co_return slept;
      }
      HttpRequest question = FetchFiles(settings_, turn_.account(), files_);
      auto data = co_await Call(std::move(question));
      if (!data.ok()) co_return data.status();
      auto states = FileStates(*data);
      if (!states.ok()) co_return states.status();
      for (FileState& file : files) {
        const auto same = [&file](const FileState& state) { return state.id == file.id; };
        if (const auto state = std::find_if(states->begin(), states->end(), same); state != states->end())
          file = *state;
      }
    }
  }

  asio::awaitable<absl::StatusOr<std::string>> Prove(absl::string_view path) {
    auto data = co_await Call(CreateChallenge(settings_, turn_.account(), path));
    if (!data.ok()) co_return data.status();
    auto challenge = Challenge(*data, path);
    if (!challenge.ok()) co_return challenge.status();
    auto proof = co_await turn_.signing().SolveDeepSeek(*std::move(challenge), clock_.Now() + kProofLimit);
    if (!proof.ok()) co_return proof.status();
    co_return proof->header();
  }

  asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> Ask(std::string proof) {
    CompletionInput input;
    input.session = answer_.session;
    input.parent_message = parent_;
    input.prompt = turn_.prompt();
    input.model_type = turn_.model().upstream;
    input.thinking = turn_.thinking();
    input.search = turn_.web_search();
    input.proof = std::move(proof);
    input.files = files_;
    turn_.GenerationStarted(answer_.ToString());
    auto response = co_await turn_.http().Send(turn_.scope(), Completion(settings_, turn_.account(), input));
    if (!response.ok()) {
      if (NothingReached(response.status())) turn_.GenerationRefused();
      co_return response.status();
    }
    if (IsEventStream((*response)->status(), (*response)->headers())) co_return response;
    auto answer = co_await ReadWhole(**response);
    if (!answer.ok()) co_return answer.status();
    turn_.GenerationRefused();
    co_return NoStream(*answer, clock_.Now());
  }

  asio::awaitable<absl::StatusOr<AnswerEnd>> Stream(HttpResponse& response) {
    std::function<asio::awaitable<absl::Status>()> before_events = [this] { return NoteBegin(); };
    auto end = co_await StreamAnswer(turn_, response, decoder_, settings_.idle_limit, std::move(before_events));
    // A hint in place of an answer: nothing was generated.
    if (!end.ok() && DetailOf(end.status()).cause() == "hint" && !decoder_.has_content()) turn_.GenerationRefused();
    co_return end;
  }

  asio::awaitable<absl::Status> NoteBegin() {
    if (decoder_.response_message_id() && answer_.message != *decoder_.response_message_id()) {
      answer_.message = *decoder_.response_message_id();
      turn_.GenerationStarted(answer_.ToString());
    }
    // Not before the first content: the platform takes a request and may still refuse it.
    if (!decoder_.has_content() || std::exchange(begun_, true)) co_return absl::OkStatus();
    co_return co_await turn_.Begin(answer_.ToString());
  }

  /// @return nullptr if the platform sent the message whole, or will not continue it.
  asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> ContinueAnswer() {
    std::string proof;
    // Sources disagree on whether this call needs a proof: without, then with.
    for (int attempt = 0; attempt < 2; ++attempt) {
      auto response = co_await turn_.http().Send(turn_.scope(), Continue(settings_, turn_.account(), answer_, proof));
      if (!response.ok()) co_return GiveUp(response.status());
      if (IsEventStream((*response)->status(), (*response)->headers())) {
        decoder_.BeginContinuation();
        co_return response;
      }
      auto answer = co_await ReadWhole(**response);
      if (!answer.ok()) co_return GiveUp(answer.status());
      if (const json::value message = WholeMessage(*answer); message.is_object()) {
        decoder_.BeginContinuation();
        std::vector<ChatEvent> events;
        const absl::Status fed = decoder_.FeedMessage(message, events);
        co_await turn_.Emit(events);
        if (!fed.ok()) co_return fed;
        co_return std::unique_ptr<HttpResponse>();
      }
      const absl::Status refused = NoStream(*answer, clock_.Now());
      if (attempt == 1 || ReasonOf(refused) != Reason::REASON_SIGNATURE_REFUSED) co_return GiveUp(refused);
      auto proved = co_await Prove(kContinue);
      if (!proved.ok()) co_return GiveUp(proved.status());
      proof = *std::move(proved);
    }
    co_return std::unique_ptr<HttpResponse>();
  }

  // An answer that cannot be continued is one that was cut: what is there of it stands.
  absl::StatusOr<std::unique_ptr<HttpResponse>> GiveUp(const absl::Status& why) {
    if (turn_.scope().ended()) return turn_.scope().status();
    LogWarning("not_continued",
               {{"platform", kPlatform}, {"account", turn_.account().label}, {"reason", ReasonName(ReasonOf(why))}});
    return std::unique_ptr<HttpResponse>();
  }

  asio::awaitable<absl::StatusOr<json::value>> Call(HttpRequest request) {
    auto response = co_await turn_.http().Send(turn_.scope(), std::move(request));
    if (!response.ok()) co_return response.status();
    auto answer = co_await ReadWhole(**response);
    if (!answer.ok()) co_return answer.status();
    co_return ReadEnvelope(*answer, clock_.Now());
  }

  asio::awaitable<absl::StatusOr<Answer>> ReadWhole(HttpResponse& response) {
    auto body = co_await response.ReadAll(turn_.scope(), kMaxJsonAnswer);
    if (!body.ok()) co_return body.status();
    Answer answer;
    answer.http_status = response.status();
    answer.headers = response.headers();
    answer.body = *std::move(body);
    co_return answer;
  }

  asio::awaitable<void> Drain(HttpResponse& response) {
    Scope scope(turn_.scope(), kDrainLimit, MakeError(Reason::REASON_DEADLINE, "nothing more to read"));
    co_await response.ReadAll(scope, kMaxJsonAnswer);
  }

  const Settings& settings_;
  const Clock& clock_;
  Random& random_;
  Turn& turn_;
  EventDecoder decoder_;
  MessageRef answer_;
  std::vector<std::string> files_;
  std::optional<int64_t> parent_;
  bool begun_ = false;
};

/// A call outside a turn: the envelope alone counts.
asio::awaitable<absl::Status> Perform(HttpClient& http, Scope& scope, HttpRequest request, absl::Time now) {
  auto response = co_await http.Send(scope, std::move(request));
  if (!response.ok()) co_return response.status();
  auto body = co_await (*response)->ReadAll(scope, kMaxJsonAnswer);
  if (!body.ok()) co_return body.status();
  Answer answer;
  answer.http_status = (*response)->status();
  answer.headers = (*response)->headers();
  answer.body = *std::move(body);
  const absl::Status status = ReadEnvelope(answer, now).status();
  co_return IsUnknownSession(status) ? absl::NotFoundError("there is no such conversation") : status;
}

}  // namespace

DeepSeekProvider::DeepSeekProvider(Settings settings, const ProviderTools& tools)
    : settings_(std::move(settings)), http_(tools.http), clock_(tools.clock), random_(tools.random) {}

asio::awaitable<absl::StatusOr<FinishReason>> DeepSeekProvider::Run(Turn& turn) {
  Exchange exchange(settings_, clock_, random_, turn);
  co_return co_await exchange.Run();
}

asio::awaitable<absl::Status> DeepSeekProvider::StopGeneration(Scope& scope, const Account& account,
                                                               const std::string& ref) {
  const auto answer = MessageRef::Parse(ref);
  if (!answer) co_return absl::InternalError("not a reference to an answer");
  co_return co_await Perform(http_, scope, StopStream(settings_, account, *answer), clock_.Now());
}

asio::awaitable<absl::Status> DeepSeekProvider::DeleteConversation(Scope& scope, const Account& account,
                                                                   const std::string& ref) {
  co_return co_await Perform(http_, scope, DeleteSession(settings_, account, ref), clock_.Now());
}

}  // namespace switchyard::deepseek
