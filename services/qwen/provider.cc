#include "services/qwen/provider.h"

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "boost/json/value.hpp"
#include "services/common/async/sleep.h"
#include "services/common/provider/answer_stream.h"
#include "services/common/provider/attachments.h"
#include "services/common/status/reason.h"
#include "services/qwen/chat2_events.h"
#include "services/qwen/events.h"
#include "services/qwen/requests.h"
#include "services/qwen/responses.h"

namespace switchyard::qwen {

namespace asio = boost::asio;

namespace {

constexpr int kRequestIdDigits = 32;
constexpr int kNonceDigits = 10;
constexpr int kObjectDigits = 32;
constexpr int kBoundaryDigits = 16;
// Of a document: how long it may take to be looked through, and how often that is asked.
constexpr absl::Duration kDocumentLimit = absl::Seconds(120);
constexpr absl::Duration kDocumentPause = absl::Seconds(1);

/// The account's login with the XSRF token that is good now.
absl::StatusOr<QwenCookie> LoginOf(const Account& account, const XsrfMemory& xsrf) {
  auto login = ParseQwenCookie(account.token.Reveal());
  if (!login.ok())
    return MakeError(Reason::REASON_CREDENTIAL_EXPIRED, "qwen: the account's login cannot be used", {.cause = "form"});
  xsrf.Apply(*login);
  return login;
}

/// Kept by the account; a caller's own login, for one turn, has none.
std::string DeviceOf(const Account& account, Random& random) {
  const auto kept = account.identity.find("device_id");
  return kept == account.identity.end() ? random.NextUuid() : kept->second;
}

std::unique_ptr<StreamDecoder> MakeDecoder(Dialect dialect) {
  if (dialect == Dialect::kChat2) return std::make_unique<Chat2Decoder>();
  return std::make_unique<EventDecoder>();
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
  Exchange(const Settings& settings, const Clock& clock, Random& random, XsrfMemory& xsrf, Turn& turn,
           std::optional<MessageRef> before)
      : settings_(settings),
        clock_(clock),
        random_(random),
        xsrf_(xsrf),
        turn_(turn),
        before_(std::move(before)),
        decoder_(MakeDecoder(settings.dialect)) {}

  asio::awaitable<absl::StatusOr<FinishReason>> Run() {
    if (!turn_.attachments().empty()) {
      const absl::Status uploaded = co_await Upload();
      if (!uploaded.ok()) co_return uploaded;
    }
    auto response = co_await Ask();
    if (!response.ok()) co_return response.status();
    auto end = co_await Stream(**response);
    if (!end.ok()) co_return end.status();
    if (*end == AnswerEnd::kOver) co_return FinishReason::FINISH_REASON_STOP;
    turn_.GenerationEnded();
    turn_.DrainLater(*std::move(response));
    co_return decoder_->ending() == Ending::kContentFilter ? FinishReason::FINISH_REASON_CONTENT_FILTER
                                                           : FinishReason::FINISH_REASON_STOP;
  }

 private:
  bool chat2() const { return settings_.dialect == Dialect::kChat2; }

  /// The answer of a call beside the chat.
  asio::awaitable<absl::StatusOr<Answer>> Call(const QwenCookie& login, HttpRequest request) {
    auto response = co_await turn_.http().Send(turn_.scope(), std::move(request));
    if (!response.ok()) co_return response.status();
    xsrf_.Note(login, (*response)->headers());
    co_return co_await ReadWhole(turn_.scope(), **response);
  }

  asio::awaitable<absl::StatusOr<boost::json::value>> CallForData(const QwenCookie& login, HttpRequest request) {
    auto answer = co_await Call(login, std::move(request));
    if (!answer.ok()) co_return answer.status();
    co_return ReadData(*answer, clock_.Now());
  }

  /// Everything that goes beside the prompt, one after the other.
  asio::awaitable<absl::Status> Upload() {
    for (const Attachment& attachment : turn_.attachments()) {
      // Anew for each: an answer may have replaced the XSRF token.
      auto login = LoginOf(turn_.account(), xsrf_);
      if (!login.ok()) co_return login.status();
      HttpRequest question = UploadToken(settings_, *login);
      auto data = co_await CallForData(*login, std::move(question));
      if (!data.ok()) co_return data.status();
      auto ticket = TicketIn(*data);
      if (!ticket.ok()) co_return ticket.status();
      const size_t dot = attachment.filename.rfind('.');
      const std::string name = random_.NextHex(kObjectDigits) + attachment.filename.substr(dot);
      HttpRequest put = PutObject(settings_, *ticket, name, attachment, random_.NextHex(kBoundaryDigits));
      auto stored = co_await turn_.http().Send(turn_.scope(), std::move(put));
      if (!stored.ok()) co_return stored.status();
      auto answer = co_await ReadWhole(turn_.scope(), **stored);
      if (!answer.ok()) co_return answer.status();
      if (auto refused = StoreError(*answer); !refused.ok()) co_return refused;
      auto url = co_await Link(*login, attachment, name, ticket->dir);
      if (IsAboutDocument(url.status())) co_return RefusedAttachment(attachment, url.status());
      if (!url.ok()) co_return url.status();
      UploadedObject object;
      object.image = attachment.image;
      object.url = *std::move(url);
      object.bytes = static_cast<int64_t>(attachment.bytes.size());
      objects_.push_back(std::move(object));
    }
    co_return absl::OkStatus();
  }

  /// Where the platform itself will find the object; of a document, once it has been looked through.
  asio::awaitable<absl::StatusOr<std::string>> Link(const QwenCookie& login, const Attachment& attachment,
                                                    const std::string& name, const std::string& dir) {
    HttpRequest question =
        attachment.image ? ImageLink(settings_, login, name, dir) : DocumentLink(settings_, login, name, dir);
    auto data = co_await CallForData(login, std::move(question));
    if (!data.ok()) co_return data.status();
    auto url = attachment.image ? ImageUrl(*data) : DocumentUrl(*data);
    if (attachment.image || !url.ok()) co_return url;
    const absl::Status late = MakeError(Reason::REASON_DEADLINE, "qwen did not look through the document in time",
                                        {.cause = "document_wait"});
    Scope patience(turn_.scope(), kDocumentLimit, late);
    for (;;) {
      HttpRequest again = SecurityResult(settings_, login, *url);
      auto result = co_await CallForData(login, std::move(again));
      if (!result.ok()) co_return result.status();
      auto done = IsLookedThrough(*result);
      if (!done.ok()) co_return done.status();
      if (*done) co_return url;
      const absl::Status slept = co_await Sleep(patience, kDocumentPause);
      if (!slept.ok()) co_return slept;
    }
  }

  HttpRequest NewConversation(const QwenCookie& login) {
    ConversationInput input;
    input.request_id = random_.NextHex(kRequestIdDigits);
    input.before = before_;
    input.prompt = turn_.prompt();
    input.model = ModelCode(turn_.model().upstream, turn_.thinking());
    input.objects = objects_;
    if (!objects_.empty()) input.batch = random_.NextUuid();
    return Conversation(settings_, login, input);
  }

  HttpRequest NewChat2(const QwenCookie& login) {
    session_ = random_.NextHex(kRequestIdDigits);
    Chat2Input input;
    input.request_id = random_.NextHex(kRequestIdDigits);
    input.session = session_;
    input.device = DeviceOf(turn_.account(), random_);
    input.nonce = random_.NextHex(kNonceDigits);
    input.now = clock_.Now();
    input.prompt = turn_.prompt();
    input.model = ModelCode(turn_.model().upstream, turn_.thinking());
    input.thinking = turn_.thinking();
    input.search = turn_.web_search();
    return Chat2(settings_, login, input);
  }

  asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> Ask() {
    auto login = LoginOf(turn_.account(), xsrf_);
    if (!login.ok()) co_return login.status();
    HttpRequest request = chat2() ? NewChat2(*login) : NewConversation(*login);
    if (chat2()) {
      // The session is named by the client, so it is known before the platform has it.
      opened_ = true;
      const absl::Status opened = co_await turn_.ConversationOpened(session_);
      if (!opened.ok()) co_return opened;
    }
    turn_.GenerationStarted("");
    auto response = co_await turn_.http().Send(turn_.scope(), std::move(request));
    if (!response.ok()) {
      if (NothingReached(response.status())) turn_.GenerationRefused();
      co_return response.status();
    }
    xsrf_.Note(*login, (*response)->headers());
    if (IsEventStream((*response)->status(), (*response)->headers())) co_return response;
    auto answer = co_await ReadWhole(turn_.scope(), **response);
    if (!answer.ok()) co_return answer.status();
    turn_.GenerationRefused();
    co_return chat2() ? NoChat2Stream(*answer, clock_.Now()) : NoStream(*answer, clock_.Now());
  }

  asio::awaitable<absl::StatusOr<AnswerEnd>> Stream(HttpResponse& response) {
    std::function<asio::awaitable<absl::Status>()> before_events = [this] { return NoteBegin(); };
    auto end = co_await StreamAnswer(turn_, response, *decoder_, settings_.idle_limit, std::move(before_events));
    if (!end.ok() && !decoder_->has_content() && IsRefusal(end.status())) turn_.GenerationRefused();
    co_return end;
  }

  asio::awaitable<absl::Status> NoteBegin() {
    if (!decoder_->session().empty() && !before_ && !std::exchange(opened_, true)) {
      const absl::Status opened = co_await turn_.ConversationOpened(decoder_->session());
      if (!opened.ok()) co_return opened;
    }
    // Not before the first content: the platform takes a request and may still refuse it.
    if (!decoder_->has_content() || std::exchange(begun_, true)) co_return absl::OkStatus();
    std::string ref;
    // How the newer call goes on with a conversation is not known.
    if (!chat2() && !decoder_->session().empty() && !decoder_->message().empty())
      ref = MessageRef{decoder_->session(), decoder_->message()}.ToString();
    co_return co_await turn_.Begin(std::move(ref));
  }

  const Settings& settings_;
  const Clock& clock_;
  Random& random_;
  XsrfMemory& xsrf_;
  Turn& turn_;
  const std::optional<MessageRef> before_;
  const std::unique_ptr<StreamDecoder> decoder_;
  std::vector<UploadedObject> objects_;
  std::string session_;  // of dialect b
  bool opened_ = false;
  bool begun_ = false;
};

}  // namespace

QwenProvider::QwenProvider(Settings settings, const ProviderTools& tools)
    : settings_(std::move(settings)), http_(tools.http), clock_(tools.clock), random_(tools.random) {}

Abilities QwenProvider::abilities(const ModelEntry& model) const {
  if (settings_.dialect == Dialect::kChat2) return {};
  // The model's code alone says whether it thinks.
  const bool twins = ModelCode(model.upstream, true) != ModelCode(model.upstream, false);
  return {twins ? Ability::kChoice : Ability::kNever, Ability::kNever};
}

asio::awaitable<absl::StatusOr<FinishReason>> QwenProvider::Run(Turn& turn) {
  std::optional<MessageRef> before;
  if (!turn.conversation_ref().empty()) {
    if (settings_.dialect == Dialect::kDialog) before = MessageRef::Parse(turn.conversation_ref());
    if (!before) {
      co_return MakeError(Reason::REASON_INVALID_REQUEST, "conversation_id: it is not one of qwen's",
                          {.field = "conversation_id"});
    }
  }
  Exchange exchange(settings_, clock_, random_, xsrf_, turn, std::move(before));
  co_return co_await exchange.Run();
}

asio::awaitable<absl::Status> QwenProvider::StopGeneration(Scope&, const Account&, const std::string&) {
  co_return absl::OkStatus();
}

asio::awaitable<absl::Status> QwenProvider::DeleteConversation(Scope& scope, const Account& account,
                                                               const std::string& ref) {
  auto login = LoginOf(account, xsrf_);
  if (!login.ok()) co_return login.status();
  HttpRequest request = settings_.dialect == Dialect::kChat2
                            ? DeleteChat2(settings_, *login, ref, DeviceOf(account, random_))
                            : DeleteSession(settings_, *login, ref);
  auto response = co_await http_.Send(scope, std::move(request));
  if (!response.ok()) co_return response.status();
  xsrf_.Note(*login, (*response)->headers());
  auto answer = co_await ReadWhole(scope, **response);
  if (!answer.ok()) co_return answer.status();
  const absl::Status status = ReadEnvelope(*answer, clock_.Now());
  co_return IsUnknownSession(status) ? absl::NotFoundError("there is no such conversation") : status;
}

}  // namespace switchyard::qwen
