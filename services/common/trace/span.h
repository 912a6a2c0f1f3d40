// Spans: what each program did for a request, and how long it took, for whoever collects traces.
//
//   Span span = Span::Start("chat deepseek-chat", SpanKind::kServer, context.traceparent, context.tracestate);
//   context.traceparent = span.traceparent();       // what is called from here on is below this span
//   span.Set("gen_ai.request.model", model);
//   span.Fail("account_busy");                      // ends when destroyed
//
// Without a Tracer, or where the request is not sampled, a span is empty and costs nothing, and its traceparent() is
// the parent's: the context is passed on all the same. No attribute is ever a prompt, an answer or a secret; names are
// OpenTelemetry's where it has one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/common/time/clock.h"
#include "services/common/time/random.h"
#include "services/common/trace/trace_context.h"

namespace switchyard {

/// Numbers as OTLP has them.
enum class SpanKind { kInternal = 1, kServer = 2, kClient = 3 };

/// What is told of a span once it has ended.
struct SpanData {
  using Value = std::variant<std::string, int64_t, double, bool>;
  TraceContext context;   // its own id as span_id
  std::string parent_id;  // empty for a root
  std::string tracestate;
  std::string name;
  SpanKind kind = SpanKind::kInternal;
  absl::Time start;
  absl::Time end;
  std::vector<std::pair<std::string, Value>> attributes;
  std::string error;  // a short stable word; empty if all went well
};

/// Decides what is sampled, makes ids, and takes what has ended. Thread-safe.
class Tracer {
 public:
  struct Options {
    double sample_ratio = 1;                  // of the requests that come without a context
    std::function<void(SpanData span)> take;  // on any thread; must not block
    const Clock& clock;
    Random& random;
  };
  explicit Tracer(Options options) : options_(std::move(options)) {}

  /// The process's; nullptr for none. Set before requests come and reset after the last; spans that are still open then
  /// keep it alive.
  static std::shared_ptr<Tracer> Get();
  static void Set(std::shared_ptr<Tracer> tracer);

 private:
  friend class Span;
  Options options_;
};

/// Lives on one thread at a time. Movable; an empty one takes everything and does nothing.
class Span {
 public:
  Span() = default;
  /// @param traceparent of the parent, or ""; @param tracestate is passed on
  static Span Start(absl::string_view name, SpanKind kind, absl::string_view traceparent,
                    absl::string_view tracestate = "");
  Span(Span&&) noexcept = default;
  Span& operator=(Span&& other) noexcept;
  ~Span() { End(); }

  /// Whether anybody will see it: for what is dear to say.
  bool recording() const { return data_ != nullptr; }
  /// For what is called on behalf of this span; "" if there is no trace.
  const std::string& traceparent() const { return traceparent_; }

  void Rename(absl::string_view name);
  void Set(absl::string_view name, absl::string_view text);
  void Set(absl::string_view name, const std::string& text) { Set(name, absl::string_view(text)); }
  void Set(absl::string_view name, const char* text) { Set(name, absl::string_view(text)); }
  void Set(absl::string_view name, int number);
  /// It did not go well. @param error a short stable word; "" changes nothing
  void Fail(absl::string_view error);
  /// Now, instead of when it is destroyed.
  void End();

 private:
  std::shared_ptr<Tracer> tracer_;
  std::unique_ptr<SpanData> data_;
  std::string traceparent_;
};

}  // namespace switchyard
