#include "edge/turn.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "edge/answer.h"
#include "services/common/async/event.h"
#include "services/common/async/task_group.h"
#include "services/common/catalogue/catalogue.h"
#include "services/common/log/log.h"
#include "services/common/metrics/metrics.h"
#include "services/common/status/reason.h"

namespace switchyard {

namespace asio = boost::asio;
using chat::v1::ChatEvent;

namespace {

// Events of one answer that may wait for a slow client before its provider is left unread.
constexpr size_t kMaxWaiting = 64;

/// The events of all answers, read ahead a little, so that a wait for the next one can end early. The first call that
/// fails ends it: the answers are one response, and that one would not be whole.
class AnswerQueue {
 public:
  struct Item {
    size_t answer;
    ChatEvent event;
  };

  using StartCall = std::function<std::unique_ptr<ChatClient::ChatCall>()>;

  AnswerQueue(Scope& scope, size_t answers) : scope_(scope), arrived_(scope.executor()), running_(answers) {
    for (size_t i = 0; i < answers; ++i) readers_.emplace_back(scope.executor());
  }

  /// Runs the call of one answer until it ends. @pre runs beside the one that takes.
  asio::awaitable<void> Run(size_t answer, StartCall start) {
    Reader& reader = readers_[answer];
    absl::Status status = co_await Fill(answer, start());
    // The request itself may be what keeps the account busy: an answer that has not begun is asked for again when
    // another one of it is through.
    while (ReasonOf(status) == Reason::REASON_ACCOUNT_BUSY && !reader.begun && running_ > 1 && error_.ok()) {
      --running_;
      reader.idle = true;
      co_await reader.turn.Wait(scope_);
      reader.idle = false;
      ++running_;
      if (scope_.ended() || !error_.ok()) break;  // another has failed meanwhile: nothing more is to be asked for
      status = co_await Fill(answer, start());
    }
    if (error_.ok()) error_ = std::move(status);
    ++ended_;
    --running_;
    const auto next = std::find_if(readers_.begin(), readers_.end(), [](const Reader& one) { return one.idle; });
    if (next != readers_.end()) next->turn.Set();
    arrived_.Set();
  }

  /// Waits until there is an event, nothing more comes, or `limit` has passed.
  asio::awaitable<void> Wait(absl::Duration limit) {
    Scope patience(scope_, limit, absl::DeadlineExceededError("silence"));
    while (waiting_.empty() && !ended() && !patience.ended()) co_await arrived_.Wait(patience);
    if (!scope_.ended()) co_return;
    // The calls have been cancelled with the scope: their end comes at once, and is what there is to tell.
    Scope end(scope_.executor());
    while (waiting_.empty() && !ended()) co_await arrived_.Wait(end);
  }

  bool empty() const { return waiting_.empty(); }
  Item Take() {
    Item item = std::move(waiting_.front());
    waiting_.pop_front();
    Reader& reader = readers_[item.answer];
    --reader.waiting;
    reader.room.Set();
    return item;
  }
  /// Nothing more comes, and everything has been taken.
  bool done() const { return ended() && waiting_.empty(); }
  /// Of the first call that failed.
  const absl::Status& error() const { return error_; }

 private:
  struct Reader {
    explicit Reader(const Executor& executor) : room(executor), turn(executor) {}
    Event room;
    Event turn;  // to be asked for again
    size_t waiting = 0;
    bool idle = false;  // waits for its turn
    bool begun = false;
    bool finished = false;
  };

  /// @return how the call ended; an error too if it said that all is well without having ended the answer
  asio::awaitable<absl::Status> Fill(size_t answer, std::unique_ptr<ChatClient::ChatCall> call) {
    Reader& reader = readers_[answer];
    for (;;) {
      auto event = co_await call->Read();
      if (!event) break;
      if (reader.finished) continue;
      reader.begun = true;
      reader.finished = event->has_finished();
      waiting_.push_back(Item{answer, *std::move(event)});
      ++reader.waiting;
      arrived_.Set();
      while (reader.waiting >= kMaxWaiting && !scope_.ended()) co_await reader.room.Wait(scope_);
    }
    absl::Status status = co_await call->Finish();
    if (status.ok() && !reader.finished) {
      status =
          MakeError(Reason::REASON_UPSTREAM_BROKEN, "the answer ended before it was complete", {.cause = "no_finish"});
    }
    co_return status;
  }

  bool ended() const { return ended_ == readers_.size() || !error_.ok(); }

  Scope& scope_;
  Event arrived_;
  std::deque<Reader> readers_;
  std::deque<Item> waiting_;
  absl::Status error_;
  size_t ended_ = 0;
  size_t running_;
};

/// Field names that mean nothing here, each told once in the life of the process.
void LogIgnored(const chat::v1::ChatRequest& request) {
  constexpr size_t kMaxNames = 256;
  static absl::Mutex mutex(absl::kConstInit);
  static auto& told = *new std::set<std::string>();
  for (const std::string& name : request.ignored_fields()) {
    absl::MutexLock lock(&mutex);
    if (told.size() < kMaxNames && told.insert(name).second) LogInfo("field_ignored", {{"field", name}});
  }
}

asio::awaitable<void> SendError(const absl::Status& status, HttpResponder& responder, const CallContext& context,
                                HttpHeaders headers, RequestRecord& record) {
  record.status = status;
  ErrorAnswer answer = MakeErrorAnswer(status, record.error_form, context.request_id);
  record.http_status = answer.http_status;
  for (const auto& [name, value] : headers) answer.headers.Set(name, value);
  record.body_bytes += static_cast<int64_t>(answer.body.size());
  const absl::Status sent =
      co_await responder.Send(answer.http_status, std::move(answer.headers), std::move(answer.body));
  record.whole = sent.ok();
}

/// One response to the client, from the queue through the writer.
class Response {
 public:
  Response(HttpResponder& responder, AnswerQueue& queue, AnswerWriter& writer, const TurnRequest& request,
           const TurnOptions& options, const Clock& clock, const CallContext& context, HttpHeaders headers,
           RequestRecord& record)
      : responder_(responder),
        queue_(queue),
        writer_(writer),
        request_(request),
        options_(options),
        clock_(clock),
        context_(context),
        headers_(std::move(headers)),
        record_(record) {}

  asio::awaitable<void> Whole() {
    while (!queue_.done()) {
      co_await queue_.Wait(absl::InfiniteDuration());
      while (!queue_.empty()) {
        const AnswerQueue::Item item = queue_.Take();
        NoteContent(item.event);
        writer_.Take(item.answer, item.event);
      }
    }
    if (!queue_.error().ok()) {
      co_await Fail(queue_.error());
      co_return;
    }
    headers_.Add("Content-Type", "application/json");
    record_.http_status = 200;
    std::string body = writer_.Whole();
    record_.body_bytes += static_cast<int64_t>(body.size());
    const absl::Status sent = co_await responder_.Send(200, std::move(headers_), std::move(body));
    record_.whole = sent.ok();
  }

  asio::awaitable<void> Streamed() {
    std::string out;
    size_t unfinished = request_.answers();
    Histogram& between_chunks = Metrics::Get().TimeBetweenChunks(record_.platform);
    std::optional<Clock::Monotonic> last_chunk;
    while (!queue_.done()) {
      co_await queue_.Wait(options_.heartbeat);
      const bool silent = queue_.empty() && !queue_.done();
      if (silent && responder_.scope().ended()) co_return;
      bool content = false;
      while (!queue_.empty()) {
        const AnswerQueue::Item item = queue_.Take();
        content = NoteContent(item.event) || content;
        writer_.Write(item.answer, item.event, out);
        if (item.event.has_finished() && --unfinished == 0) writer_.End(out);
      }
      if (silent && unfinished > 0) writer_.KeepAlive(out);
      if (out.empty()) continue;
      if (content) {
        const auto now = clock_.MonotonicNow();
        if (last_chunk) between_chunks.Observe(absl::ToDoubleSeconds(absl::FromChrono(now - *last_chunk)));
        last_chunk = now;
      }
      const bool written = co_await Write(out);
      if (!written) co_return;
      out.clear();
    }
    if (unfinished > 0) {
      co_await Fail(queue_.error());
      co_return;
    }
    record_.status = queue_.error();
    const absl::Status ended = co_await responder_.End();
    record_.whole = ended.ok();
  }

 private:
  /// An error: by status if the answer has not begun, else as its last event.
  asio::awaitable<void> Fail(absl::Status status) {
    status = request_.names.In(status);
    record_.status = status;
    if (responder_.scope().ended() && responder_.scope().status().code() == absl::StatusCode::kCancelled)
      co_return;  // nobody listens
    if (!responder_.begun()) {
      co_await SendError(status, responder_, context_, headers_, record_);
      co_return;
    }
    std::string out;
    writer_.Fail(status, out);
    record_.body_bytes += static_cast<int64_t>(out.size());
    const absl::Status written = co_await responder_.Write(out);
    if (!written.ok()) co_return;
    const absl::Status ended = co_await responder_.End();
    record_.whole = ended.ok();
  }

  /// @return whether it is content
  bool NoteContent(const ChatEvent& event) {
    if (!IsContent(event)) return false;
    if (!record_.first_content) record_.first_content = clock_.MonotonicNow();
    return true;
  }

  asio::awaitable<bool> Write(const std::string& out) {
    if (!responder_.begun()) {
      HttpHeaders headers = headers_;
      headers.Add("Content-Type", "text/event-stream; charset=utf-8");
      headers.Add("Cache-Control", "no-cache");
      headers.Add("X-Accel-Buffering", "no");
      record_.http_status = 200;
      const absl::Status begun = co_await responder_.Begin(200, std::move(headers));
      if (!begun.ok()) co_return false;
    }
    record_.body_bytes += static_cast<int64_t>(out.size());
    const absl::Status written = co_await responder_.Write(out);
    co_return written.ok();
  }

  HttpResponder& responder_;
  AnswerQueue& queue_;
  AnswerWriter& writer_;
  const TurnRequest& request_;
  const TurnOptions& options_;
  const Clock& clock_;
  const CallContext& context_;
  HttpHeaders headers_;
  RequestRecord& record_;
};

}  // namespace

asio::awaitable<void> RunTurn(absl::StatusOr<TurnRequest> parsed, HttpResponder& responder, ChatClient& chat,
                              const CallContext& context, const TurnOptions& options, const Clock& clock,
                              AnswerHead head, HttpHeaders headers, RequestRecord& record) {
  if (!parsed.ok()) {
    co_await SendError(parsed.status(), responder, context, std::move(headers), record);
    co_return;
  }
  TurnRequest& request = *parsed;
  for (chat::v1::ChatRequest& prompt : request.prompts) {
    LogIgnored(prompt);
    prompt.set_request_id(context.request_id);
  }
  head.model = request.prompts.front().model();
  head.request_id = context.request_id;
  head.created = absl::ToUnixSeconds(clock.Now());
  head.now = [&clock] { return absl::ToUnixSeconds(clock.Now()); };
  if (const ModelEntry* model = FindModel(head.model)) {
    record.model = std::string(model->id);
    record.platform = std::string(model->platform);
  }

  const absl::Status late =
      MakeError(Reason::REASON_DEADLINE, "the request took longer than this relay allows", {.cause = "request_limit"});
  Scope turn(responder.scope(), options.request_limit, late);
  AnswerQueue queue(turn, request.answers());
  TaskGroup reading;
  for (size_t i = 0; i < request.answers(); ++i) {
    AnswerQueue::StartCall start = [&, i] {
      chat::v1::ChatRequest& prompt = request.prompts[i / request.answers_each];
      auto call = chat.Chat(turn, context, prompt);
      // It is on its way, may be large, and is not asked again.
      if (request.answers() == 1) prompt = chat::v1::ChatRequest();
      return call;
    };
    reading.Spawn(turn.executor(), queue.Run(i, std::move(start)));
  }
  const auto writer = request.writer(std::move(head));
  Response response(responder, queue, *writer, request, options, clock, context, std::move(headers), record);
  if (request.stream) {
    co_await response.Streamed();
  } else {
    co_await response.Whole();
  }
  // A client that stopped listening, or a failed answer beside others, ends the calls; their end is waited for, so that
  // nothing outlives what it refers to.
  turn.Cancel(absl::CancelledError("the client went away"));
  Scope rest(turn.executor());
  co_await reading.Join(rest);
}

}  // namespace switchyard
