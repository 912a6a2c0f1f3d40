#include "services/zhipu/provider.h"

#include <functional>
#include <utility>
#include <vector>

#include "services/common/async/sleep.h"
#include "services/common/provider/attachments.h"
#include "services/common/status/reason.h"
#include "services/zhipu/events.h"
#include "services/zhipu/requests.h"
#include "services/zhipu/responses.h"

namespace switchyard::zhipu {

namespace asio = boost::asio;

namespace {

constexpr int kBoundaryDigits = 16;

asio::awaitable<absl::StatusOr<Stamp>> MakeStamp(SignStream& signing, const ProviderTools& tools) {
  Stamp stamp;
  stamp.request_id = tools.random.NextHex(32);
  stamp.nonce = tools.random.NextHex(32);
  signing::v1::ZhipuSignature input;
  input.set_time_ms(absl::ToUnixMillis(tools.clock.Now()));
  input.set_nonce(stamp.nonce);
  auto result = co_await signing.SignZhipu(std::move(input));
  if (!result.ok()) co_return result.status();
  stamp.timestamp = result->timestamp();
  stamp.sign = result->sign();
  co_return stamp;
}

asio::awaitable<absl::StatusOr<Answer>> ReadWhole(Scope& scope, HttpResponse& response) {
  auto body = co_await response.ReadAll(scope, kMaxJsonAnswer);
  if (!body.ok()) co_return body.status();
  Answer answer;
  answer.http_status = response.status();
  answer.headers = response.headers();
  answer.body = *std::move(body);
  co_return answer;
}

/// One turn's exchange with the platform.
class Exchange {
 public:
  Exchange(const Settings& settings, const ProviderTools& tools, Turn& turn, ConversationRef conversation)
      : settings_(settings),
        tools_(tools),
        turn_(turn),
        continued_(!conversation.conversation.empty()),
        conversation_(std::move(conversation)),
        decoder_(continued_) {}

  asio::awaitable<absl::StatusOr<FinishReason>> Run() {
    for (const Attachment& attachment : turn_.attachments()) {
      const absl::Status sent = co_await Send(attachment);
      if (!sent.ok()) co_return sent;
    }
    auto response = co_await Ask();
    if (!response.ok()) co_return response.status();
    std::function<asio::awaitable<absl::Status>()> before_events = [this] { return Note(); };
    auto end = co_await StreamAnswer(turn_, **response, decoder_, settings_.idle_limit, std::move(before_events));
    if (!end.ok()) {
      // Not a byte came: nothing was begun, and with a new token it may be.
      if (DetailOf(end.status()).cause() == "nothing_streamed") turn_.GenerationRefused();
      co_return end.status();
    }
    if (*end == AnswerEnd::kOver) co_return FinishReason::FINISH_REASON_STOP;
    if (!decoder_.ended()) {
      const bool wanted = co_await ReadOn(**response);
      if (!wanted) co_return FinishReason::FINISH_REASON_STOP;
    }
    if (decoder_.ended()) {
      turn_.GenerationEnded();
      turn_.DrainLater(*std::move(response));
    }
    std::vector<ChatEvent> events;
    decoder_.Finish(events);
    co_await turn_.Emit(events);
    co_return decoder_.intervened() ? FinishReason::FINISH_REASON_CONTENT_FILTER : FinishReason::FINISH_REASON_STOP;
  }

 private:
  asio::awaitable<absl::Status> Send(const Attachment& attachment) {
    auto stamp = co_await MakeStamp(turn_.signing(), tools_);
    if (!stamp.ok()) co_return stamp.status();
    HttpRequest request = Upload(settings_, turn_.account(), *stamp, conversation_.assistant, attachment,
                                 tools_.random.NextHex(kBoundaryDigits));
    auto response = co_await turn_.http().Send(turn_.scope(), std::move(request));
    if (!response.ok()) co_return response.status();
    auto answer = co_await ReadWhole(turn_.scope(), **response);
    if (!answer.ok()) co_return answer.status();
    auto result = ReadUpload(*answer, tools_.clock.Now());
    if (IsUnknownCode(result.status())) co_return RefusedAttachment(attachment, result.status());
    if (!result.ok()) co_return result.status();
    UploadedFile file;
    file.image = attachment.image;
    file.id = std::move(result->id);
    file.url = std::move(result->url);
    file.name = attachment.filename;
    file.bytes = static_cast<int64_t>(attachment.bytes.size());
    if (attachment.image) {
      const ImageSize size = SizeOfImage(attachment.bytes);
      file.width = size.width;
      file.height = size.height;
    }
    files_.push_back(std::move(file));
    co_return absl::OkStatus();
  }

  /// Repeats what the risk filter refused, with a new signature and at growing distances; it never lets a request
  /// begin that it refuses.
  asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> Ask() {
    absl::Duration pause = settings_.risk_pause;
    for (int tries = 0;; ++tries) {
      auto response = co_await AskOnce();
      if (response.ok() || !IsRiskFilter(response.status()) || tries == settings_.risk_retries) co_return response;
      const absl::Duration jittered = pause * (0.5 + tools_.random.NextUnit());
      const absl::Status slept = co_await Sleep(turn_.scope(), jittered);
      if (!slept.ok()) co_return slept;
      pause *= 2;
    }
  }

  asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> AskOnce() {
    auto stamp = co_await MakeStamp(turn_.signing(), tools_);
    if (!stamp.ok()) co_return stamp.status();
    StreamInput input;
    input.conversation = conversation_;
    input.prompt = turn_.prompt();
    input.upstream = turn_.model().upstream;
    input.thinking = turn_.thinking();
    input.hardest = turn_.request().reasoning().effort() == chat::v1::ReasoningOptions::EFFORT_MAX;
    input.search = turn_.web_search();
    input.files = files_;
    turn_.GenerationStarted("");
    HttpRequest request = StreamAnswerOf(settings_, turn_.account(), *stamp, input);
    auto response = co_await turn_.http().Send(turn_.scope(), std::move(request));
    if (!response.ok()) {
      if (NothingReached(response.status())) turn_.GenerationRefused();
      co_return response.status();
    }
    if (IsEventStream((*response)->status(), (*response)->headers())) co_return response;
    auto answer = co_await ReadWhole(turn_.scope(), **response);
    if (!answer.ok()) co_return answer.status();
    turn_.GenerationRefused();
    co_return NoStream(*answer, tools_.clock.Now());
  }

  asio::awaitable<absl::Status> Note() {
    if (!continued_ && conversation_.conversation.empty() && !decoder_.conversation().empty()) {
      conversation_.conversation = decoder_.conversation();
      std::string ref = conversation_.ToString();
      const absl::Status opened = co_await turn_.ConversationOpened(std::move(ref));
      if (!opened.ok()) co_return opened;
    }
    if (part_.empty() && !decoder_.part().empty()) {
      part_ = decoder_.part();
      turn_.GenerationStarted(part_);
    }
    if (!decoder_.has_content() || std::exchange(begun_, true)) co_return absl::OkStatus();
    std::string resume;
    if (!conversation_.conversation.empty()) resume = conversation_.ToString();
    co_return co_await turn_.Begin(std::move(resume));
  }

  /// Behind the platform's stepping in, what still comes, for a little while. @return false if nobody wants it
  asio::awaitable<bool> ReadOn(HttpResponse& response) {
    Scope patience(turn_.scope(), settings_.intervene_limit,
                   MakeError(Reason::REASON_DEADLINE, "nothing came behind zhipu's stepping in"));
    while (!decoder_.ended()) {
      auto bytes = co_await response.Read(patience);
      if (!bytes.ok() || bytes->empty()) break;
      std::vector<ChatEvent> events;
      const absl::Status fed = decoder_.Feed(*bytes, events);
      if (!events.empty()) {
        const bool wanted = co_await turn_.Emit(events);
        if (!wanted) co_return false;
      }
      if (!fed.ok()) break;
    }
    co_return true;
  }

  const Settings& settings_;
  const ProviderTools& tools_;
  Turn& turn_;
  const bool continued_;
  ConversationRef conversation_;
  EventDecoder decoder_;
  std::vector<UploadedFile> files_;
  std::string part_;
  bool begun_ = false;
};

}  // namespace

Abilities ZhipuProvider::abilities(const ModelEntry& model) const {
  const bool choice = settings_.dialect == Dialect::kCurrent && model.upstream != "deep_research";
  return {choice ? Ability::kChoice : Ability::kOwnWill, Ability::kChoice};
}

asio::awaitable<absl::StatusOr<FinishReason>> ZhipuProvider::Run(Turn& turn) {
  ConversationRef conversation;
  conversation.assistant = turn.model().upstream == "assistant" ? turn.request().model() : kAssistant;
  if (!turn.conversation_ref().empty()) {
    auto before = ConversationRef::Parse(turn.conversation_ref());
    if (!before)
      co_return MakeError(Reason::REASON_INVALID_REQUEST, "conversation_id: it is not one of zhipu's",
                          {.field = "conversation_id"});
    conversation = *std::move(before);
  }
  Exchange exchange(settings_, tools_, turn, std::move(conversation));
  co_return co_await exchange.Run();
}

asio::awaitable<absl::Status> ZhipuProvider::Perform(Scope& scope, HttpRequest request, int& http_status) {
  auto response = co_await tools_.http.Send(scope, std::move(request));
  if (!response.ok()) co_return response.status();
  auto answer = co_await ReadWhole(scope, **response);
  if (!answer.ok()) co_return answer.status();
  http_status = answer->http_status;
  co_return ReadEnvelope(*answer, tools_.clock.Now());
}

asio::awaitable<absl::Status> ZhipuProvider::StopGeneration(Scope& scope, const Account& account,
                                                            const std::string& ref) {
  // Before the answer has a name, closing its connection is all there is.
  if (ref.empty()) co_return absl::OkStatus();
  auto signing = tools_.signing.Open(scope, CallContext());
  auto stamp = co_await MakeStamp(*signing, tools_);
  if (!stamp.ok()) co_return stamp.status();
  int http_status = 0;
  co_return co_await Perform(scope, StopStream(settings_, account, *stamp, ref), http_status);
}

asio::awaitable<absl::Status> ZhipuProvider::DeleteConversation(Scope& scope, const Account& account,
                                                                const std::string& ref) {
  const auto conversation = ConversationRef::Parse(ref);
  if (!conversation) co_return absl::InternalError("not a reference to a conversation");
  auto signing = tools_.signing.Open(scope, CallContext());
  absl::Status status;
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto stamp = co_await MakeStamp(*signing, tools_);
    if (!stamp.ok()) co_return stamp.status();
    int http_status = 0;
    status = co_await Perform(scope, Delete(settings_, account, *stamp, *conversation, attempt == 1), http_status);
    // The site has moved this call before.
    if (http_status != 404 && http_status != 405) break;
  }
  co_return status;
}

}  // namespace switchyard::zhipu
