#include "services/common/trace/span.h"

#include <atomic>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace switchyard {
namespace {

constexpr int kTraceIdDigits = 32;
constexpr int kSpanIdDigits = 16;

// The flag is looked at for every span, the pointer only where there is one.
std::atomic<bool> g_tracing{false};
absl::Mutex g_mutex(absl::kConstInit);
std::shared_ptr<Tracer>& Current() {
  static auto& current = *new std::shared_ptr<Tracer>();
  return current;
}

}  // namespace

std::shared_ptr<Tracer> Tracer::Get() {
  if (!g_tracing.load(std::memory_order_acquire)) return nullptr;
  absl::MutexLock lock(&g_mutex);
  return Current();
}

void Tracer::Set(std::shared_ptr<Tracer> tracer) {
  absl::MutexLock lock(&g_mutex);
  g_tracing.store(tracer != nullptr, std::memory_order_release);
  Current() = std::move(tracer);
}

Span Span::Start(absl::string_view name, SpanKind kind, absl::string_view traceparent, absl::string_view tracestate) {
  Span span;
  span.traceparent_ = std::string(traceparent);
  std::shared_ptr<Tracer> tracer = Tracer::Get();
  if (tracer == nullptr) return span;
  Random& random = tracer->options_.random;
  TraceContext context;
  std::string parent_id;
  if (auto parent = ParseTraceparent(traceparent)) {
    context = *std::move(parent);
    parent_id = std::move(context.span_id);
  } else {
    context.trace_id = random.NextHex(kTraceIdDigits);
    context.sampled = random.NextUnit() < tracer->options_.sample_ratio;
  }
  context.span_id = random.NextHex(kSpanIdDigits);
  if (!context.sampled) {
    // Whoever is called next has to decide the same.
    if (parent_id.empty()) span.traceparent_ = FormatTraceparent(context);
    return span;
  }
  span.traceparent_ = FormatTraceparent(context);
  span.data_ = std::make_unique<SpanData>();
  span.data_->context = std::move(context);
  span.data_->parent_id = std::move(parent_id);
  if (!span.data_->parent_id.empty()) span.data_->tracestate = std::string(tracestate);
  span.data_->name = std::string(name);
  span.data_->kind = kind;
  span.data_->start = tracer->options_.clock.Now();
  span.tracer_ = std::move(tracer);
  return span;
}

Span& Span::operator=(Span&& other) noexcept {
  if (this != &other) {
    End();
    tracer_ = std::move(other.tracer_);
    data_ = std::move(other.data_);
    traceparent_ = std::move(other.traceparent_);
  }
  return *this;
}

void Span::Rename(absl::string_view name) {
  if (data_) data_->name = std::string(name);
}

void Span::Set(absl::string_view name, absl::string_view text) {
  if (data_) data_->attributes.emplace_back(std::string(name), std::string(text));
}

void Span::Set(absl::string_view name, int number) {
  if (data_) data_->attributes.emplace_back(std::string(name), int64_t{number});
}

void Span::Fail(absl::string_view error) {
  if (data_ && !error.empty()) data_->error = std::string(error);
}

void Span::End() {
  if (!data_) return;
  data_->end = tracer_->options_.clock.Now();
  tracer_->options_.take(std::move(*std::exchange(data_, nullptr)));
  tracer_.reset();
}

}  // namespace switchyard
