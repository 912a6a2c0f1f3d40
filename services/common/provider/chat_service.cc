#include "services/common/provider/chat_service.h"

#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "boost/asio/post.hpp"
#include "services/common/async/sleep.h"
#include "services/common/catalogue/catalogue.h"
#include "services/common/http/observed_http.h"
#include "services/common/log/log.h"
#include "services/common/metrics/metrics.h"
#include "services/common/provider/account_use.h"
#include "services/common/provider/answer.h"
#include "services/common/provider/attachments.h"
#include "services/common/provider/choices.h"
#include "services/common/provider/prompt.h"
#include "services/common/provider/remote_parts.h"
#include "services/common/provider/structured_answer.h"
#include "services/common/provider/structured_output.h"
#include "services/common/provider/tokens.h"
#include "services/common/provider/validate.h"
#include "services/common/status/reason.h"
#include "services/common/text/utf8.h"
#include "services/common/time/backoff.h"
#include "services/common/trace/span.h"

namespace switchyard {

namespace asio = boost::asio;

namespace {

// Back-pressure: what may wait for a slow caller before the platform's socket is left unread.
constexpr size_t kMaxQueuedBytes = 64 * 1024;
// Merged deltas stay well under any message limit.
constexpr size_t kMaxMergedBytes = 32 * 1024;

constexpr BackoffPolicy kSameAccount = {
    .base = absl::Milliseconds(500), .cap = absl::Milliseconds(500), .floor = absl::Milliseconds(50)};
constexpr BackoffPolicy kSweep = {.base = absl::Seconds(1), .cap = absl::Seconds(60), .floor = absl::Milliseconds(200)};
constexpr absl::Duration kSweepPause = absl::Seconds(30);
// Of what a platform says about a refusal: a sentence or two.
constexpr int64_t kQuoteLength = 300;
constexpr absl::Duration kListLimit = absl::Seconds(5);

enum class Retry { kNo, kSameAccount, kOtherAccount, kNewToken };

// What a second try could change. A refusal of the client, of the content or of the request is final.
Retry RetryFor(Reason reason) {
  switch (reason) {
    case Reason::REASON_UPSTREAM_UNAVAILABLE:
    case Reason::REASON_SIGNATURE_REFUSED:
      return Retry::kSameAccount;
    case Reason::REASON_CREDENTIAL_EXPIRED:
      return Retry::kNewToken;
    case Reason::REASON_ACCOUNT_MUTED:
    case Reason::REASON_ACCOUNT_BANNED:
    case Reason::REASON_CAPTCHA_PENDING:
    case Reason::REASON_QUOTA_SPENT:
    case Reason::REASON_RATE_LIMITED:
      return Retry::kOtherAccount;
    default:
      return Retry::kNo;
  }
}

// What a conversation id holds of a kept conversation: how it is deleted, and how it is gone on with.
std::string PackKept(const std::string& ref, const std::string& resume_ref) {
  return absl::StrCat(ref.size(), ":", ref, resume_ref);
}
std::pair<std::string, std::string> UnpackKept(const std::string& packed) {
  const size_t colon = packed.find(':');
  size_t size = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(packed.substr(0, colon), &size) ||
      size > packed.size() - colon - 1)
    return {"", packed};
  return {packed.substr(colon + 1, size), packed.substr(colon + 1 + size)};
}

/// The turn as the provider sees it.
class ActiveTurn final : public Turn {
 public:
  ActiveTurn(ChatRequest& request, const ModelEntry& model, Choices choices, StreamWriter<ChatEvent>& out,
             const CallContext& context, HttpClient& http, SigningClient& signing, const Clock& clock, Random& random)
      : request_(request),
        model_(model),
        choices_(std::move(choices)),
        out_(out),
        context_(context),
        http_(http, model.platform, context.traceparent),
        signing_client_(signing),
        clock_(clock),
        filter_({.format = choices_.format,
                 .stop = {request.stop().begin(), request.stop().end()},
                 .max_output_tokens = request.has_max_output_tokens()
                                          ? std::optional<int64_t>(request.max_output_tokens())
                                          : std::nullopt,
                 .tools = ToolSet::Of(request, model.platform),
                 .new_call_id = [&random] { return absl::StrCat("call_", random.NextHex(24)); }}) {}

  absl::Status Prepare(chat::v1::HistoryMode default_history) {
    const auto history =
        request_.history() == chat::v1::HISTORY_MODE_UNSPECIFIED ? default_history : request_.history();
    auto attachments = AttachmentsOf(request_, model_.files);
    if (!attachments.ok()) return attachments.status();
    attachments_ = *std::move(attachments);
    if (request_.conversation_id().empty() && history != chat::v1::HISTORY_MODE_LAST) {
      auto prompt = FlattenHistory(request_, model_.platform);
      if (!prompt.ok()) return prompt.status();
      prompt_ = *std::move(prompt);
    } else {
      auto last = NewMessages(request_, model_.platform);
      if (!last.ok()) return last.status();
      prompt_ = std::move(last->text);
      if (request_.conversation_id().empty() && last->left_out > 0) {
        Notice("history_not_sent", absl::StrCat(last->left_out, " earlier messages were not sent to the platform"));
      }
    }
    auto output = StructuredOutput::From(request_.response_format());
    if (!output.ok()) return output.status();
    if (*output) {
      const bool tools = request_.tools_size() > 0 && request_.tool_choice().mode() != chat::v1::ToolChoice::MODE_NONE;
      absl::StrAppend(&prompt_, "\n\n", (*output)->Instructions(tools));
      structured_.emplace(**std::move(output));
    }
    if (!FitsTheModel(prompt_)) {
      return MakeError(Reason::REASON_CONTEXT_TOO_LONG,
                       absl::StrCat("messages: the conversation has ", CountCodePoints(prompt_), " characters and ",
                                    model_.id, " takes at most ", model_.max_prompt_chars),
                       {.field = "messages"});
    }
    for (const chat::v1::Notice& notice : choices_.notices) Notice(notice.code(), notice.message());
    return absl::OkStatus();
  }

  /// Whether the answer came and is not in the format that was asked for, and may be asked for once more.
  bool CanRepair() const {
    return !format_fault_.ok() && !repairing_ && !structured_->too_long() &&
           FitsTheModel(structured_->output().RepairPrompt(structured_->text(), format_fault_));
  }
  bool repairing() const { return repairing_; }
  bool structured() const { return structured_.has_value(); }

  /// From here on the turn is the one that asks for the answer in its format: a conversation of its own, in which there
  /// is nothing to think about and nothing to search for.
  void StartRepair() {
    repairing_ = true;
    earlier_prompt_tokens_ = EstimateTokens(prompt_);
    prompt_ = structured_->output().RepairPrompt(structured_->text(), format_fault_);
    format_fault_ = absl::OkStatus();
    structured_->StartOver();
    filter_.StartOver();
    attachments_.clear();
    conversation_ref_.clear();
    choices_.thinking = choices_.web_search = false;
  }

  void Use(AccountUse* use) {
    use_ = use;
    std::tie(kept_, conversation_ref_) = UnpackKept(use->lease().conversation_ref());
  }

  Scope& scope() override { return out_.scope(); }
  const ChatRequest& request() const override { return request_; }
  const ModelEntry& model() const override { return model_; }
  const Account& account() const override { return use_->account(); }
  const std::string& prompt() const override { return prompt_; }
  const std::vector<Attachment>& attachments() const override { return attachments_; }
  const std::string& conversation_ref() const override { return conversation_ref_; }
  bool thinking() const override { return choices_.thinking; }
  bool web_search() const override { return choices_.web_search; }
  HttpClient& http() override { return http_; }

  SignStream& signing() override {
    if (!signing_) signing_ = signing_client_.Open(out_.scope(), context_);
    return *signing_;
  }

  asio::awaitable<absl::Status> ConversationOpened(std::string ref) override {
    use_->conversations.push_back(ref);
    co_return co_await use_->lease().RecordConversation(out_.scope(), std::move(ref));
  }

  void GenerationStarted(std::string ref) override {
    may_have_begun_ = true;
    use_->generation = std::move(ref);
    out_.ForbidRetry();
  }
  void GenerationEnded() override { use_->generation.clear(); }
  void GenerationRefused() override {
    may_have_begun_ = false;
    use_->generation.clear();
  }

  asio::awaitable<absl::Status> Begin(std::string resume_ref) override {
    if (std::exchange(begun_, true)) co_return absl::OkStatus();
    ChatEvent started;
    started.mutable_started()->set_model(request_.model());
    started.mutable_started()->mutable_created()->set_seconds(absl::ToUnixSeconds(clock_.Now()));
    if (!request_.keep_conversation() && !kept_.empty()) {
      // It was kept until now, and is not any longer: back on the ledger, and deleted after the turn.
      const absl::Status recorded = co_await ConversationOpened(std::exchange(kept_, ""));
      if (!recorded.ok()) co_return recorded;
    }
    if (request_.keep_conversation() && !resume_ref.empty()) {
      const std::string ref = use_->conversations.empty() ? kept_ : use_->conversations.back();
      std::string packed = PackKept(ref, resume_ref);
      auto sealed = co_await use_->lease().KeepConversation(out_.scope(), ref, std::move(packed));
      if (!sealed.ok()) co_return sealed.status();
      use_->kept = ref;
      started.mutable_started()->set_conversation_id(*std::move(sealed));
    }
    out_.Send(std::move(started));
    for (ChatEvent& notice : notices_) out_.Send(std::move(notice));
    notices_.clear();
    co_return absl::OkStatus();
  }

  asio::awaitable<bool> Emit(std::vector<ChatEvent>& events) override {
    std::vector<ChatEvent> out;
    for (ChatEvent& event : events) filter_.Feed(std::move(event), out);
    events.clear();
    if (!out.empty() && !begun_) {
      // A platform without a word of its own for having begun.
      const absl::Status begun = co_await Begin("");
      if (!begun.ok()) co_return false;
    }
    if (structured_) structured_->Withhold(out);
    Send(out);
    const bool there = co_await out_.Room(kMaxQueuedBytes);
    co_return there && !over();
  }

  void DrainLater(std::unique_ptr<HttpResponse> response) override { use_->to_drain = std::move(response); }

  /// The end of a turn that ran through: what is to be told, or why it is an error after all.
  asio::awaitable<absl::Status> Finish(FinishReason reason) {
    const bool refused = reason == FinishReason::FINISH_REASON_CONTENT_FILTER || !filter_.refusal().empty();
    if (refused && !emitted() && !filter_.has_answer()) {
      std::string message = absl::StrCat(model_.platform, " refused to answer this conversation");
      if (!filter_.refusal().empty()) absl::StrAppend(&message, ": ", CleanQuote(filter_.refusal(), kQuoteLength));
      co_return MakeError(Reason::REASON_CONTENT_REFUSED, message);
    }
    if (!refused && !filter_.has_answer()) {
      co_return MakeError(Reason::REASON_UPSTREAM_EMPTY,
                          absl::StrCat(model_.platform, " ended its answer without having said anything"));
    }
    if (!begun_) {
      if (auto status = co_await Begin(""); !status.ok()) co_return status;
    }
    std::vector<ChatEvent> out;
    const absl::Status status = filter_.Finish(reason, earlier_prompt_tokens_ + EstimateTokens(prompt_), out);
    if (structured_ && status.ok()) {
      format_fault_ = structured_->Release(filter_.over().has_value(), out);
      if (!format_fault_.ok()) co_return structured_->output().Error(format_fault_, model_.platform);
    } else if (structured_) {
      structured_->Withhold(out);
    }
    Send(out);
    co_return status;
  }

  bool emitted() const { return first_content_.has_value(); }
  bool may_have_begun() const { return may_have_begun_; }
  bool over() const {
    return filter_.over().has_value() || !filter_.fault().ok() || (structured_ && structured_->too_long());
  }
  const std::optional<Clock::Monotonic>& first_content() const { return first_content_; }

 private:
  bool FitsTheModel(absl::string_view prompt) const {
    return model_.max_prompt_chars == 0 || CountCodePoints(prompt) <= model_.max_prompt_chars;
  }
  void Send(std::vector<ChatEvent>& events) {
    if (!events.empty() && !emitted()) first_content_ = clock_.MonotonicNow();
    for (ChatEvent& event : events) out_.Send(std::move(event));
  }
  void Notice(absl::string_view code, std::string message) {
    ChatEvent event;
    event.mutable_notice()->set_code(std::string(code));
    event.mutable_notice()->set_message(std::move(message));
    notices_.push_back(std::move(event));
  }

  ChatRequest& request_;
  const ModelEntry& model_;
  Choices choices_;
  StreamWriter<ChatEvent>& out_;
  const CallContext& context_;
  ObservedHttpClient http_;
  SigningClient& signing_client_;
  const Clock& clock_;
  std::unique_ptr<SignStream> signing_;
  AccountUse* use_ = nullptr;
  AnswerFilter filter_;
  std::optional<StructuredAnswer> structured_;  // where the request names a format
  absl::Status format_fault_;
  bool repairing_ = false;
  int64_t earlier_prompt_tokens_ = 0;
  std::string prompt_;
  std::vector<Attachment> attachments_;
  std::string conversation_ref_;  // how the platform goes on in it
  std::string kept_;              // how the platform deletes it
  std::vector<ChatEvent> notices_;
  bool begun_ = false;
  bool may_have_begun_ = false;
  std::optional<Clock::Monotonic> first_content_;
};

absl::Status StoppingError() {
  return MakeError(Reason::REASON_NO_BACKEND, "the relay is stopping", {.cause = "stopping"});
}

/// Takes a lease, in a span that is the wait for it.
asio::awaitable<absl::Status> AcquireInSpan(AccountUse& use, Scope& call, SessionClient& sessions, CallContext context,
                                            session::v1::Acquire acquire,
                                            std::function<void(const absl::Status&)> lost) {
  Span span = Span::Start("lease", SpanKind::kClient, context.traceparent);
  context.traceparent = span.traceparent();
  absl::Status acquired = co_await use.Acquire(call, sessions, std::move(context), std::move(acquire), std::move(lost));
  if (acquired.ok()) {
    span.Set("switchyard.account", use.account().label);
  } else if (span.recording()) {
    span.Fail(ReasonLabel(acquired));
  }
  co_return acquired;
}

asio::awaitable<void> RunCleanUp(std::shared_ptr<AccountUse> use, bool keep) { co_await use->CleanUp(keep); }

ModelEntry AsConfigured(ModelEntry model, const Provider& provider) {
  if (!provider.TakesUploads()) model.images = model.files = false;
  return model;
}

/// The same error, saying whose it is: what comes from the HTTP client does not know the platform.
absl::Status Attributed(const absl::Status& status, absl::string_view platform) {
  if (status.ok() || absl::StrContains(status.message(), platform)) return status;
  return WithMessage(status, absl::StrCat(platform, ": ", status.message()));
}

// A bug in a provider is that turn's error and nobody else's.
asio::awaitable<absl::StatusOr<FinishReason>> RunProvider(Provider& provider, Turn& turn) {
  std::string what;
  try {
    co_return co_await provider.Run(turn);
  } catch (const std::exception& escaped) {
    what = escaped.what();
  }
  LogError("provider_failed", {{"platform", provider.platform()}, {"error", what}});
  co_return MakeError(Reason::REASON_INTERNAL, "the relay failed unexpectedly", {.cause = "exception"});
}

/// Runs the turn and tells its end, whether the platform ended it or the answer was over before.
asio::awaitable<absl::Status> RunToItsEnd(Provider& provider, ActiveTurn& turn) {
  auto finished = co_await RunProvider(provider, turn);
  // No co_await inside a conditional: GCC 12 evaluates both sides of one.
  if (finished.ok()) co_return co_await turn.Finish(*finished);
  if (turn.over()) co_return co_await turn.Finish(FinishReason::FINISH_REASON_STOP);
  co_return finished.status();
}

}  // namespace

bool MergeDeltas(ChatEvent& queued, ChatEvent& next) {
  if (queued.has_text() && next.has_text() && queued.text().text().size() < kMaxMergedBytes) {
    queued.mutable_text()->mutable_text()->append(next.text().text());
    return true;
  }
  if (queued.has_reasoning() && next.has_reasoning() && queued.reasoning().text().size() < kMaxMergedBytes) {
    queued.mutable_reasoning()->mutable_text()->append(next.reasoning().text());
    return true;
  }
  // Of one call; its name and id come first.
  if (queued.has_tool_call() && next.has_tool_call() && next.tool_call().id().empty() &&
      queued.tool_call().arguments().size() < kMaxMergedBytes) {
    queued.mutable_tool_call()->mutable_arguments()->append(next.tool_call().arguments());
    return true;
  }
  return false;
}

ChatService::ChatService(Dependencies dependencies, Options options)
    : dependencies_(dependencies), options_(options), fetcher_(dependencies.http) {}

ChatService::~ChatService() { FinishCleanUps(absl::Seconds(15)); }

void ChatService::Add(std::unique_ptr<Provider> provider, int max_in_flight) {
  std::string platform(provider->platform());
  Metrics::Get().ShowProvider(platform);
  providers_.try_emplace(std::move(platform), std::move(provider), max_in_flight);
}

grpc::ServerWriteReactor<ChatEvent>* ChatService::Chat(grpc::CallbackServerContext* context,
                                                       const ChatRequest* request) {
  // Moved out of the call, which made it for this alone: it may hold pictures, and a turn is long.
  auto body = [this, request = std::move(*const_cast<ChatRequest*>(request))](StreamWriter<ChatEvent>& out) mutable {
    return Observe(request, out);
  };
  return ServeStream<ChatEvent>(dependencies_.runtime.Next(), context, std::move(body));
}

/// A turn's place in the list of running ones, while it runs.
class ChatService::TurnEntry {
 public:
  TurnEntry(ChatService& service, Scope& scope)
      : service_(service), slot_(std::make_shared<TurnSlot>(TurnSlot{&scope})) {
    bool ending;
    {
      absl::MutexLock lock(&service_.turns_mutex_);
      service_.turns_.emplace(slot_, scope.executor());
      ending = service_.ending_;
    }
    if (ending) scope.Cancel(StoppingError());
  }
  ~TurnEntry() {
    slot_->scope = nullptr;
    absl::MutexLock lock(&service_.turns_mutex_);
    service_.turns_.erase(slot_);
  }

  /// Ends the turn, if it still runs; on its executor.
  std::function<void(const absl::Status&)> Ender() const {
    return [slot = slot_](const absl::Status& why) {
      if (slot->scope != nullptr) slot->scope->Cancel(why);
    };
  }

 private:
  ChatService& service_;
  std::shared_ptr<TurnSlot> slot_;
};

void ChatService::EndTurns() {
  absl::MutexLock lock(&turns_mutex_);
  ending_ = true;
  for (const auto& [slot, executor] : turns_) {
    asio::post(executor, [slot = slot] {
      if (slot->scope != nullptr) slot->scope->Cancel(StoppingError());
    });
  }
}

/// Serves a turn, and counts it.
asio::awaitable<absl::Status> ChatService::Observe(ChatRequest& request, StreamWriter<ChatEvent>& out) {
  const std::string id = request.model();
  const ModelEntry* model = FindModel(id);
  const absl::string_view platform = model == nullptr ? absl::string_view() : model->platform;
  const Held running(Metrics::Get().TurnsInFlight(platform));
  CallContext context = out.context();
  if (IsRequestId(request.request_id())) context.request_id = request.request_id();
  if (context.request_id.empty()) context.request_id = absl::StrCat("req_", dependencies_.random.NextHex(24));
  Span span = Span::Start("chat", SpanKind::kServer, context.traceparent, context.tracestate);
  context.traceparent = span.traceparent();
  absl::Status status = co_await Serve(request, out, context);
  if (!status.ok() && out.scope().ended()) status = out.scope().status();
  Metrics::Get().TurnDone({.platform = platform, .model = id, .status = status});
  if (span.recording()) {
    span.Set("rpc.system", "grpc");
    span.Set("rpc.service", "switchyard.chat.v1.ChatService");
    span.Set("rpc.method", "Chat");
    span.Set("rpc.grpc.status_code", static_cast<int>(status.code()));
    span.Set("gen_ai.operation.name", "chat");
    if (model != nullptr) {
      span.Rename(absl::StrCat("chat ", model->id));
      span.Set("gen_ai.provider.name", model->platform);
      span.Set("gen_ai.request.model", model->id);
    }
    span.Set("switchyard.request_id", context.request_id);
    if (!status.ok()) span.Fail(ReasonLabel(status));
  }
  co_return status;
}

asio::awaitable<absl::Status> ChatService::Serve(ChatRequest& request, StreamWriter<ChatEvent>& out,
                                                 CallContext context) {
  TurnEntry entry(*this, out.scope());
  const auto start = dependencies_.clock.MonotonicNow();
  auto model = ResolveModel(request);
  if (!model.ok()) co_return model.status();
  const auto found = providers_.find(std::string((*model)->platform));
  if (found == providers_.end() || !found->second.provider->Serves(**model)) {
    co_return MakeError(Reason::REASON_MODEL_NOT_FOUND,
                        absl::StrCat("The model '", (*model)->id, "' is not served here."), {.field = "model"});
  }
  Provider& provider = *found->second.provider;
  const ModelEntry taken = AsConfigured(**model, provider);
  if (auto status = ValidateRequest(request, taken, options_.ignore_unsupported); !status.ok()) co_return status;
  const auto place = found->second.turns.Enter();
  if (!place) {
    co_return MakeError(Reason::REASON_OVERLOADED,
                        absl::StrCat(provider.platform(), ": as many answers are under way as may be"),
                        {.cause = "max_in_flight"});
  }
  if (auto status = co_await FetchRemoteParts(out.scope(), fetcher_, request); !status.ok()) co_return status;

  Choices choices = Choose(request, taken, provider.abilities(taken), options_.reasoning_format);
  out.set_merge(&MergeDeltas);
  ActiveTurn turn(request, taken, std::move(choices), out, context, dependencies_.http, dependencies_.signing,
                  dependencies_.clock, dependencies_.random);
  if (auto status = turn.Prepare(provider.default_history()); !status.ok()) co_return status;

  retries_.OnRequest();
  if (turn.structured()) repairs_.OnRequest();
  std::vector<std::string> tried;
  std::shared_ptr<AccountUse> use;
  absl::Status status;
  int tries = 0;
  bool token_renewed = false;
  absl::Duration lease_wait;
  Metrics& metrics = Metrics::Get();
  for (;;) {
    if (!use) {
      use = std::make_shared<AccountUse>(out.scope().executor(), provider);
      session::v1::Acquire acquire;
      acquire.set_purpose(session::v1::Acquire::PURPOSE_CHAT);
      acquire.set_platform(std::string(provider.platform()));
      acquire.set_request_id(context.request_id);
      acquire.set_caller(request.caller());
      acquire.set_conversation_id(request.conversation_id());
      if (request.credential().has_token()) acquire.set_caller_token(request.credential().token());
      acquire.set_account(request.credential().pool().account());
      for (const std::string& label : tried) acquire.add_exclude(label);
      const auto wished = dependencies_.clock.MonotonicNow();
      const absl::Status acquired =
          co_await AcquireInSpan(*use, out.scope(), dependencies_.sessions, context, std::move(acquire), entry.Ender());
      lease_wait += absl::FromChrono(dependencies_.clock.MonotonicNow() - wished);
      if (!acquired.ok()) {
        // Without another account the first one's own error says more than "no account left".
        if (tries == 0) status = acquired;
        use.reset();
        break;
      }
    }
    turn.Use(use.get());
    ++tries;
    status = co_await RunToItsEnd(provider, turn);
    if (turn.CanRepair() && !out.scope().ended() && repairs_.TakeRetry()) {
      const absl::Status unmet = status;
      metrics.Repairs(provider.platform()).Increment();
      turn.StartRepair();
      status = co_await RunToItsEnd(provider, turn);
      // The caller did not write what the platform does not take now.
      if (status.code() == absl::StatusCode::kInvalidArgument) status = unmet;
    }
    status = Attributed(status, provider.platform());
    if (ReasonOf(status) == Reason::REASON_UPSTREAM_CHANGED) metrics.UpstreamChanged(provider.platform()).Increment();
    if (out.scope().ended()) break;
    const Retry retry = RetryFor(ReasonOf(status));
    bool renewed = false;
    if (!status.ok() && retry == Retry::kNewToken && !token_renewed) {
      // Only the session service knows whether the account is at its end or its token merely old.
      const absl::Status renewal = co_await use->RenewToken(out.scope());
      renewed = token_renewed = renewal.ok();
      if (out.scope().ended()) break;
    }
    if (!renewed) use->Report(status);
    if (status.ok() || tries == 2 || turn.emitted() || turn.may_have_begun() || turn.repairing()) break;
    if (retry == Retry::kNo || !retries_.TakeRetry()) break;
    metrics.Retries(provider.platform(), status).Increment();
    if (renewed) continue;
    if (retry == Retry::kSameAccount) {
      const absl::Status slept = co_await Sleep(out.scope(), BackoffDelay(kSameAccount, 0, dependencies_.random));
      if (!slept.ok()) break;
      continue;
    }
    if (!request.conversation_id().empty()) break;  // that conversation lives on that account alone
    tried.push_back(use->account().label);
    clean_ups_.Spawn(out.scope().executor(), RunCleanUp(std::move(use), false));
    use.reset();
  }

  if (out.scope().ended()) status = out.scope().status();
  metrics.LeaseWait(provider.platform()).Observe(absl::ToDoubleSeconds(lease_wait));
  if (turn.first_content()) {
    metrics.TurnTimeToFirstToken(provider.platform())
        .Observe(absl::ToDoubleSeconds(absl::FromChrono(*turn.first_content() - start)));
  }
  // Once an account has been used, a further try was this service's own to make.
  if (tries > 0 && !status.ok()) out.ForbidRetry();
  if (options_.log_turns) {
    const auto since_start = [start](Clock::Monotonic when) {
      return absl::ToDoubleMilliseconds(absl::FromChrono(when - start));
    };
    LogInfo("turn", {{"request_id", context.request_id},
                     {"trace_id", TraceIdOf(context.traceparent)},
                     {"model", (*model)->id},
                     {"platform", provider.platform()},
                     {"account", use ? use->account().label : std::string()},
                     {"code", absl::StatusCodeToString(status.code())},
                     {"reason", status.ok() ? std::string() : ReasonLabel(status)},
                     {"cause", DetailOf(status).cause()},
                     {"tries", tries},
                     {"lease_wait_ms", absl::ToDoubleMilliseconds(lease_wait)},
                     {"first_content_ms", turn.first_content() ? since_start(*turn.first_content()) : -1.0},
                     {"duration_ms", since_start(dependencies_.clock.MonotonicNow())}});
  }
  // The caller has its answer when this returns; the account is free when the clean-up is done.
  if (use) {
    const bool keep = status.ok() && request.keep_conversation();
    clean_ups_.Spawn(out.scope().executor(), RunCleanUp(std::move(use), keep));
  }
  co_return status;
}

grpc::ServerUnaryReactor* ChatService::ListModels(grpc::CallbackServerContext* context,
                                                  const chat::v1::ListModelsRequest*,
                                                  chat::v1::ListModelsResponse* response) {
  auto body = [this, response](UnaryCall& call) { return List(call.scope(), call.context(), *response); };
  return ServeUnary(dependencies_.runtime.Next(), context, std::move(body));
}

asio::awaitable<absl::Status> ChatService::List(Scope& scope, CallContext context,
                                                chat::v1::ListModelsResponse& response) {
  Scope bounded(scope, kListLimit, MakeError(Reason::REASON_NO_BACKEND, "the session service does not answer"));
  auto accounts = co_await dependencies_.sessions.ListAccounts(bounded, std::move(context), "");
  if (!accounts.ok()) co_return accounts.status();
  for (const ModelEntry& model : AllModels()) {
    const auto provider = providers_.find(std::string(model.platform));
    if (provider == providers_.end() || !provider->second.provider->Serves(model)) continue;
    const bool has_account = std::any_of(accounts->accounts().begin(), accounts->accounts().end(),
                                         [&](const auto& account) { return account.platform() == model.platform; });
    if (!has_account) continue;
    auto* listed = response.add_models();
    listed->set_id(std::string(model.id));
    listed->set_platform(std::string(model.platform));
    listed->set_owned_by(std::string(VendorOf(model.platform)));
    listed->mutable_created()->set_seconds(absl::ToUnixSeconds(CatalogueDate()));
    listed->set_reasoning(model.reasoning);
    listed->set_web_search(model.web_search);
    listed->set_images(model.images && provider->second.provider->TakesUploads());
  }
  co_return absl::OkStatus();
}

void ChatService::StartCleanUps() {
  for (auto& [platform, served] : providers_) {
    const Executor executor = dependencies_.runtime.Next();
    auto stop = std::make_shared<Scope>(executor);
    sweeper_scopes_.push_back(stop);
    sweepers_.Spawn(executor, DeletePending(*served.provider, stop));
  }
}

asio::awaitable<void> ChatService::DeletePending(Provider& provider, std::shared_ptr<Scope> life) {
  Scope& stop = *life;
  int failures = 0;
  while (!stop.ended()) {
    auto use = std::make_shared<AccountUse>(stop.executor(), provider);
    session::v1::Acquire acquire;
    acquire.set_purpose(session::v1::Acquire::PURPOSE_CLEAN_UP);
    acquire.set_platform(std::string(provider.platform()));
    const absl::Status acquired =
        co_await use->Acquire(stop, dependencies_.sessions, CallContext(), std::move(acquire));
    if (acquired.ok()) {
      failures = 0;
      use->conversations = use->lease().pending_conversations();
      co_await use->CleanUp(false);
    }
    // More may be pending behind what was granted; an account whose deletions fail is not handed out again at once.
    absl::Duration pause = acquired.ok() ? absl::Milliseconds(200) : kSweepPause;
    if (!acquired.ok() && acquired.code() != absl::StatusCode::kNotFound) {
      pause = BackoffDelay(kSweep, failures++, dependencies_.random);
    }
    co_await Sleep(stop, pause);
  }
}

bool ChatService::FinishCleanUps(absl::Duration timeout) {
  const auto until = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
  const auto left = [until] { return absl::FromChrono(until - std::chrono::steady_clock::now()); };
  for (auto& stop : std::exchange(sweeper_scopes_, {})) {
    asio::post(stop->executor(), [stop] { stop->Cancel(absl::CancelledError("the service stops")); });
  }
  const bool swept = sweepers_.WaitIdle(left());
  return clean_ups_.WaitIdle(left()) && swept;
}

}  // namespace switchyard
