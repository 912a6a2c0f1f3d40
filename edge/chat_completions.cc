#include "edge/chat_completions.h"

#include <algorithm>
#include <deque>
#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "edge/completion_writer.h"
#include "edge/error_body.h"
#include "edge/openai_request.h"
#include "services/common/async/event.h"
#include "services/common/async/task_group.h"
#include "services/common/catalogue/catalogue.h"
#include "services/common/log/log.h"
#include "services/common/sse/sse_encoder.h"
#include "services/common/status/reason.h"

namespace switchyard {

namespace asio = boost::asio;
using chat::v1::ChatEvent;

namespace {

// Events that may wait for a slow client before the provider is left unread.
constexpr size_t kMaxWaiting = 64;

/// The events of a call, read ahead a little, so that a wait for the next one can end early.
class EventQueue {
 public:
  EventQueue(Scope& scope, ChatClient::ChatCall& call)
      : scope_(scope), call_(call), arrived_(scope.executor()), room_(scope.executor()) {}

  /// Reads until the call ends. @pre runs beside the one that takes.
  asio::awaitable<void> Fill() {
    for (;;) {
      auto event = co_await call_.Read();
      if (!event) break;
      waiting_.push_back(*std::move(event));
      arrived_.Set();
      while (waiting_.size() >= kMaxWaiting && !scope_.ended()) co_await room_.Wait(scope_);
    }
    status_ = co_await call_.Finish();
    ended_ = true;
    arrived_.Set();
  }

  /// Waits until there is an event, the call has ended, or `limit` has passed.
  asio::awaitable<void> Wait(absl::Duration limit) {
    Scope patience(scope_, limit, absl::DeadlineExceededError("silence"));
    while (waiting_.empty() && !ended_ && !patience.ended()) co_await arrived_.Wait(patience);
    if (!scope_.ended()) co_return;
    // The call has been cancelled with the scope: its end comes at once, and is what there is to tell.
    Scope end(scope_.executor());
    while (waiting_.empty() && !ended_) co_await arrived_.Wait(end);
  }

  bool empty() const { return waiting_.empty(); }
  ChatEvent Take() {
    ChatEvent event = std::move(waiting_.front());
    waiting_.pop_front();
    room_.Set();
    return event;
  }
  /// Nothing more comes, and everything has been taken.
  bool done() const { return ended_ && waiting_.empty(); }
  const absl::Status& status() const { return status_; }

 private:
  Scope& scope_;
  ChatClient::ChatCall& call_;
  Event arrived_;
  Event room_;
  std::deque<ChatEvent> waiting_;
  absl::Status status_;
  bool ended_ = false;
};

/// A call that ended without error and without an end of the answer is a broken one.
absl::Status EndingError(const absl::Status& status) {
  return status.ok() ? MakeError(Reason::REASON_UPSTREAM_BROKEN, "the answer ended before it was complete",
                                 {.cause = "no_finish"})
                     : status;
}

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

class Completion {
 public:
  Completion(HttpResponder& responder, EventQueue& events, const ChatCompletionsOptions& options, const Clock& clock,
             CompletionHead head, HttpHeaders headers, RequestRecord& record)
      : responder_(responder),
        events_(events),
        options_(options),
        clock_(clock),
        head_(std::move(head)),
        headers_(std::move(headers)),
        record_(record) {}

  asio::awaitable<void> Whole() {
    CompletionFolder folder(head_);
    while (!events_.done()) {
      co_await events_.Wait(absl::InfiniteDuration());
      while (!events_.empty()) {
        const ChatEvent event = events_.Take();
        NoteContent(event);
        folder.Take(event);
      }
    }
    if (!events_.status().ok() || !folder.finished()) {
      co_await Fail(EndingError(events_.status()));
      co_return;
    }
    headers_.Add("Content-Type", "application/json");
    record_.http_status = 200;
    co_await responder_.Send(200, std::move(headers_), folder.Body());
  }

  asio::awaitable<void> Streamed() {
    ChunkWriter chunks(head_);
    std::string out;
    while (!events_.done()) {
      co_await events_.Wait(options_.heartbeat);
      const bool silent = events_.empty() && !events_.done();
      if (silent && responder_.scope().ended()) co_return;
      while (!events_.empty()) {
        const ChatEvent event = events_.Take();
        NoteContent(event);
        chunks.Write(event, out);
      }
      if (silent) AppendSseComment(out, "waiting");
      if (out.empty()) continue;
      if (!co_await Write(out)) co_return;
      out.clear();
    }
    if (!events_.status().ok() || !chunks.ended()) {
      co_await Fail(EndingError(events_.status()));
      co_return;
    }
    co_await responder_.End();
  }

  /// An error: by status if the answer has not begun, else as its last event.
  asio::awaitable<void> Fail(const absl::Status& status) {
    record_.status = status;
    if (responder_.scope().ended() && responder_.scope().status().code() == absl::StatusCode::kCancelled)
      co_return;  // nobody listens
    if (!responder_.begun()) {
      ErrorAnswer answer = MakeErrorAnswer(status);
      for (const auto& [name, value] : headers_) answer.headers.Set(name, value);
      record_.http_status = answer.http_status;
      co_await responder_.Send(answer.http_status, std::move(answer.headers), std::move(answer.body));
      co_return;
    }
    std::string out;
    AppendSseEvent(out, ErrorObject(status));
    const absl::Status written = co_await responder_.Write(out);
    if (written.ok()) co_await responder_.End();
  }

 private:
  void NoteContent(const ChatEvent& event) {
    if (!record_.first_content && IsContent(event)) record_.first_content = clock_.MonotonicNow();
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
    const absl::Status written = co_await responder_.Write(out);
    co_return written.ok();
  }

  HttpResponder& responder_;
  EventQueue& events_;
  const ChatCompletionsOptions& options_;
  const Clock& clock_;
  CompletionHead head_;
  HttpHeaders headers_;
  RequestRecord& record_;
};

}  // namespace

asio::awaitable<void> ServeChatCompletion(HttpServerRequest& request, HttpResponder& responder, ChatClient& chat,
                                          const Caller& caller, const CallContext& context,
                                          const ChatCompletionsOptions& options, const Clock& clock, std::string id,
                                          HttpHeaders headers, RequestRecord& record) {
  auto parsed = ParseChatCompletion(request.body);
  if (parsed.ok()) {
    if (absl::Status admitted = caller.Admit(parsed->request); !admitted.ok()) parsed = std::move(admitted);
  }
  request.body = std::string();  // it may be large, and the turn long
  const absl::Status late =
      MakeError(Reason::REASON_DEADLINE, "the request took longer than this relay allows", {.cause = "request_limit"});
  Scope turn(responder.scope(), options.request_limit, late);
  CompletionHead head;
  head.id = std::move(id);
  head.created = absl::ToUnixSeconds(clock.Now());
  if (parsed.ok()) {
    LogIgnored(parsed->request);
    parsed->request.set_request_id(context.request_id);
    head.model = parsed->request.model();
    head.include_usage = parsed->include_usage;
    if (const ModelEntry* model = FindModel(head.model)) {
      record.model = std::string(model->id);
      record.platform = std::string(model->platform);
    }
  } else {
    const ErrorAnswer answer = MakeErrorAnswer(parsed.status());
    record.status = parsed.status();
    record.http_status = answer.http_status;
    for (const auto& [name, value] : answer.headers) headers.Add(name, value);
    co_await responder.Send(answer.http_status, std::move(headers), answer.body);
    co_return;
  }

  auto call = chat.Chat(turn, context, parsed->request);
  parsed->request = chat::v1::ChatRequest();  // it is on its way, and may be large
  EventQueue events(turn, *call);
  TaskGroup reading;
  reading.Spawn(turn.executor(), events.Fill());
  Completion completion(responder, events, options, clock, std::move(head), std::move(headers), record);
  if (parsed->stream) {
    co_await completion.Streamed();
  } else {
    co_await completion.Whole();
  }
  // A client that stopped listening ends the call; its end is waited for, so nothing outlives what it refers to.
  turn.Cancel(absl::CancelledError("the client went away"));
  Scope rest(turn.executor());
  co_await reading.Join(rest);
}

}  // namespace switchyard
