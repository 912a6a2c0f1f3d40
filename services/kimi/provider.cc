#include "services/kimi/provider.h"

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "services/common/provider/answer_stream.h"
#include "services/common/provider/attachments.h"
#include "services/common/status/reason.h"
#include "services/kimi/events.h"
#include "services/kimi/message_body.h"
#include "services/kimi/requests.h"
#include "services/kimi/responses.h"

namespace switchyard::kimi {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

// How long the end frame may take after the platform said that it is done: an error may still be in it.
constexpr absl::Duration kEndFrameLimit = absl::Seconds(3);
// Of a WebSocket: a whole frame and its header may be one.
constexpr size_t kMaxMessage = kMaxFrame + 1024;

asio::awaitable<absl::StatusOr<Answer>> ReadWhole(HttpResponse& response, Scope& scope) {
  auto body = co_await response.ReadAll(scope, kMaxJsonAnswer);
  if (!body.ok()) co_return body.status();
  Answer answer;
  answer.http_status = response.status();
  answer.headers = response.headers();
  answer.body = *std::move(body);
  co_return answer;
}

/// The answer's body; once the decoder has seen `done`, silence ends it.
class AnswerBody final : public HttpResponse {
 public:
  AnswerBody(HttpResponse& response, const EventDecoder& decoder) : response_(response), decoder_(decoder) {}

  int status() const override { return response_.status(); }
  const HttpHeaders& headers() const override { return response_.headers(); }
  asio::awaitable<absl::StatusOr<std::string>> Read(Scope& scope) override {
    if (!decoder_.finished()) co_return co_await response_.Read(scope);
    const absl::Status silent = MakeError(Reason::REASON_DEADLINE, "no end frame", {.cause = "end_frame"});
    Scope patience(scope, kEndFrameLimit, silent);
    auto bytes = co_await response_.Read(patience);
    if (!bytes.ok() && !scope.ended()) co_return std::string();
    co_return bytes;
  }

 private:
  HttpResponse& response_;
  const EventDecoder& decoder_;
};

/// One turn's exchange with the platform.
class Exchange {
 public:
  Exchange(const Settings& settings, const Clock& clock, Random& random, Turn& turn)
      : settings_(settings), clock_(clock), random_(random), turn_(turn) {}

  asio::awaitable<absl::StatusOr<FinishReason>> Run() {
    ChatInput input;
    if (!turn_.conversation_ref().empty()) {
      input.after = MessageRef::Parse(turn_.conversation_ref());
      if (!input.after) co_return UnknownConversation("conversation_id: it is not one of kimi's");
    }
    // One after the other: parallel uploads trip the platform's limits.
    for (const Attachment& attachment : turn_.attachments()) {
      auto file = co_await Send(attachment);
      if (!file.ok()) co_return file.status();
      input.files.push_back(*std::move(file));
    }
    input.prompt = turn_.prompt();
    input.generation = turn_.model().upstream;
    input.thinking = turn_.thinking();
    input.effort = turn_.request().reasoning().effort();
    input.search = turn_.web_search();
    chat_known_ = input.after.has_value();
    auto response = co_await Ask(input);
    if (!response.ok()) co_return response.status();
    auto end = co_await Stream(**response);
    if (!end.ok()) {
      if (decoder_.refused()) turn_.GenerationRefused();
      co_return Continued(end.status());
    }
    if (*end == AnswerEnd::kOver) co_return FinishReason::FINISH_REASON_STOP;
    turn_.GenerationEnded();
    if (messages_ != nullptr) messages_->Finish();
    turn_.DrainLater(*std::move(response));
    co_return decoder_.filtered() ? FinishReason::FINISH_REASON_CONTENT_FILTER : FinishReason::FINISH_REASON_STOP;
  }

 private:
  static absl::Status UnknownConversation(absl::string_view message) {
    return MakeError(Reason::REASON_INVALID_REQUEST, message, {.field = "conversation_id"});
  }

  /// A conversation that is gone is the caller's to know: the id was good once.
  absl::Status Continued(const absl::Status& status) const {
    const bool continued = !turn_.conversation_ref().empty() && !decoder_.has_content();
    return continued && SaysNotFound(status)
               ? UnknownConversation("conversation_id: kimi no longer has this conversation")
               : status;
  }

  asio::awaitable<absl::StatusOr<std::string>> Send(const Attachment& attachment) {
    HttpRequest request = Upload(settings_, turn_.account(), attachment, random_.NextHex(16));
    auto response = co_await turn_.http().Send(turn_.scope(), std::move(request));
    if (!response.ok()) co_return response.status();
    auto answer = co_await ReadWhole(**response, turn_.scope());
    if (!answer.ok()) co_return answer.status();
    auto uploaded = ReadUnary(*answer, clock_.Now());
    if (IsBadArgument(uploaded.status())) co_return RefusedAttachment(attachment, uploaded.status());
    if (!uploaded.ok()) co_return uploaded.status();
    co_return FileId(*uploaded);
  }

  asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> Ask(const ChatInput& input) {
    if (settings_.web_socket) co_return co_await AskBySocket(input);
    turn_.GenerationStarted("");
    HttpRequest request = Chat(settings_, turn_.account(), input);
    auto response = co_await turn_.http().Send(turn_.scope(), std::move(request));
    if (!response.ok()) {
      if (NothingReached(response.status())) turn_.GenerationRefused();
      co_return response.status();
    }
    if (IsConnectStream((*response)->status(), (*response)->headers())) co_return response;
    auto answer = co_await ReadWhole(**response, turn_.scope());
    if (!answer.ok()) co_return answer.status();
    turn_.GenerationRefused();
    co_return Continued(NoStream(*answer, clock_.Now()));
  }

  asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> AskBySocket(const ChatInput& input) {
    HttpRequest handshake = ChatHandshake(settings_, turn_.account());
    auto opened = co_await turn_.http().OpenWebSocket(turn_.scope(), std::move(handshake), kMaxMessage);
    if (!opened.ok()) co_return opened.status();
    if (!opened->socket) {
      Answer refusal;
      refusal.http_status = opened->status;
      refusal.headers = std::move(opened->headers);
      refusal.body = std::move(opened->body);
      co_return NoStream(refusal, clock_.Now());
    }
    turn_.GenerationStarted("");
    std::string envelope = ChatEnvelope(settings_, input);
    const absl::Status sent = co_await opened->socket->Send(turn_.scope(), std::move(envelope));
    if (!sent.ok()) {
      turn_.GenerationRefused();
      co_return sent;
    }
    auto messages = std::make_unique<MessageBody>(*std::move(opened));
    messages_ = messages.get();
    co_return messages;
  }

  asio::awaitable<absl::StatusOr<AnswerEnd>> Stream(HttpResponse& response) {
    decoder_.set_encoding(response.headers().Get("connect-content-encoding"));
    AnswerBody body(response, decoder_);
    std::function<asio::awaitable<absl::Status>()> before_events = [this] { return NoteBegin(); };
    co_return co_await StreamAnswer(turn_, body, decoder_, settings_.idle_limit, std::move(before_events));
  }

  asio::awaitable<absl::Status> NoteBegin() {
    if (!chat_known_ && !decoder_.chat_id().empty()) {
      chat_known_ = true;
      const absl::Status recorded = co_await turn_.ConversationOpened(decoder_.chat_id());
      if (!recorded.ok()) co_return recorded;
    }
    if (!decoder_.has_content() || std::exchange(begun_, true)) co_return absl::OkStatus();
    MessageRef ref;
    ref.chat = decoder_.chat_id();
    ref.message = decoder_.message_id();
    if (ref.chat.empty() && !turn_.conversation_ref().empty())
      ref.chat = MessageRef::Parse(turn_.conversation_ref())->chat;
    std::string resume;
    if (!ref.chat.empty() && !ref.message.empty()) resume = ref.ToString();
    co_return co_await turn_.Begin(std::move(resume));
  }

  const Settings& settings_;
  const Clock& clock_;
  Random& random_;
  Turn& turn_;
  EventDecoder decoder_;
  MessageBody* messages_ = nullptr;  // the response, where it is a WebSocket's
  bool chat_known_ = false;
  bool begun_ = false;
};

asio::awaitable<absl::Status> Perform(HttpClient& http, Scope& scope, HttpRequest request, absl::Time now) {
  auto response = co_await http.Send(scope, std::move(request));
  if (!response.ok()) co_return response.status();
  auto answer = co_await ReadWhole(**response, scope);
  if (!answer.ok()) co_return answer.status();
  // A deletion may be answered with nothing at all.
  if (answer->http_status == 200 && answer->body.empty()) co_return absl::OkStatus();
  co_return ReadUnary(*answer, now).status();
}

}  // namespace

KimiProvider::KimiProvider(Settings settings, const ProviderTools& tools)
    : settings_(std::move(settings)), http_(tools.http), clock_(tools.clock), random_(tools.random) {}

bool KimiProvider::Serves(const ModelEntry& model) const { return CanName(settings_, model.upstream); }

asio::awaitable<absl::StatusOr<FinishReason>> KimiProvider::Run(Turn& turn) {
  Exchange exchange(settings_, clock_, random_, turn);
  co_return co_await exchange.Run();
}

asio::awaitable<absl::Status> KimiProvider::StopGeneration(Scope&, const Account&, const std::string&) {
  co_return absl::OkStatus();
}

asio::awaitable<absl::Status> KimiProvider::DeleteConversation(Scope& scope, const Account& account,
                                                               const std::string& ref) {
  HttpRequest request = DeleteChat(settings_, account, kDeleteChat, ref);
  absl::Status status = co_await Perform(http_, scope, std::move(request), clock_.Now());
  if (!IsUnknownChat(status)) co_return status;
  // Sources disagree on the path of this call.
  HttpRequest again = DeleteChat(settings_, account, kDeleteChatGateway, ref);
  status = co_await Perform(http_, scope, std::move(again), clock_.Now());
  co_return IsUnknownChat(status) ? absl::NotFoundError("there is no such conversation") : status;
}

}  // namespace switchyard::kimi
