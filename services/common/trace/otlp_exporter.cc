#include "services/common/trace/otlp_exporter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "boost/asio/post.hpp"
#include "services/common/async/sleep.h"
#include "services/common/log/log.h"
#include "services/common/time/backoff.h"

namespace switchyard {

namespace asio = boost::asio;

namespace {

constexpr int kTries = 4;
constexpr size_t kMaxAnswerBytes = 64 * 1024;
constexpr BackoffPolicy kBackoff = {
    .base = absl::Seconds(1), .cap = absl::Seconds(30), .floor = absl::Milliseconds(100)};
constexpr absl::Duration kLastMoment = absl::Milliseconds(500);

// Source: OTLP, "Retryable Response Codes".
bool IsRetryable(int http_status) {
  return http_status == 429 || http_status == 502 || http_status == 503 || http_status == 504;
}

}  // namespace

OtlpExporter::OtlpExporter(Options options, Executor executor, HttpClient& http, Metrics& metrics, Random& random)
    : options_(std::move(options)),
      executor_(executor),
      http_(http),
      random_(random),
      exported_(metrics.SpansExported()),
      dropped_full_(metrics.SpansDropped(Metrics::SpanLoss::kQueueFull)),
      dropped_failed_(metrics.SpansDropped(Metrics::SpanLoss::kExportFailed)),
      life_(executor),
      patience_(executor),
      wake_(executor) {
  task_.Spawn(executor_, Run());
}

OtlpExporter::~OtlpExporter() = default;

void OtlpExporter::Take(SpanData span) {
  bool batch_is_full;
  {
    absl::MutexLock lock(&mutex_);
    if (queue_.size() >= options_.queue_spans) {
      dropped_full_.Increment();
      return;
    }
    queue_.push_back(std::move(span));
    batch_is_full = queue_.size() == options_.batch_spans;
  }
  if (batch_is_full) asio::post(executor_, [this] { wake_.Set(); });
}

void OtlpExporter::Finish(absl::Duration limit) {
  asio::post(executor_, [this] { life_.Cancel(absl::CancelledError("the program ends")); });
  if (task_.WaitIdle(limit)) return;
  asio::post(executor_, [this] { patience_.Cancel(absl::CancelledError("the program ends")); });
  task_.WaitIdle(kLastMoment);
}

std::vector<SpanData> OtlpExporter::NextBatch() {
  absl::MutexLock lock(&mutex_);
  const size_t count = std::min(queue_.size(), options_.batch_spans);
  std::vector<SpanData> batch(std::make_move_iterator(queue_.begin()),
                              std::make_move_iterator(queue_.begin() + static_cast<int64_t>(count)));
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<int64_t>(count));
  return batch;
}

asio::awaitable<void> OtlpExporter::Run() {
  for (bool last = false; !last;) {
    {
      Scope pause(life_, options_.pause, absl::DeadlineExceededError("the pause is over"));
      co_await wake_.Wait(pause);
    }
    last = life_.ended();
    for (;;) {
      const std::vector<SpanData> batch = NextBatch();
      if (batch.empty()) break;
      co_await Export(batch);
    }
  }
}

asio::awaitable<void> OtlpExporter::Export(const std::vector<SpanData>& batch) {
  const auto count = static_cast<double>(batch.size());
  const std::string body = OtlpJson(options_.resource, batch);
  for (int attempt = 0; attempt < kTries; ++attempt) {
    const Verdict verdict = co_await Post(body);
    if (verdict == Verdict::kTaken) {
      exported_.Increment(count);
      Tell(false, "");
      co_return;
    }
    Tell(true, why_);
    if (verdict == Verdict::kNever || life_.ended() || attempt + 1 == kTries) break;
    const absl::Status slept = co_await Sleep(life_, BackoffDelay(kBackoff, attempt, random_));
    // At the end there is one more try, and no further one.
    if (!slept.ok()) attempt = kTries - 2;
  }
  dropped_failed_.Increment(count);
}

asio::awaitable<OtlpExporter::Verdict> OtlpExporter::Post(std::string body) {
  Scope bounded(patience_, options_.request_limit, absl::DeadlineExceededError("the collector took too long"));
  HttpRequest request;
  request.method = "POST";
  request.url = options_.url;
  request.headers.Add("Content-Type", "application/json");
  request.body = std::move(body);
  auto response = co_await http_.Send(bounded, std::move(request));
  if (!response.ok()) {
    why_ = std::string(response.status().message());
    co_return Verdict::kLater;
  }
  const int status = (*response)->status();
  auto rest = co_await (*response)->ReadAll(bounded, kMaxAnswerBytes);  // so that the connection is kept
  if (status / 100 == 2) co_return Verdict::kTaken;
  why_ = absl::StrCat("the collector answered ", status);
  co_return IsRetryable(status) ? Verdict::kLater : Verdict::kNever;
}

// Once when it begins, once when it is over.
void OtlpExporter::Tell(bool failing, absl::string_view why) {
  if (std::exchange(failing_, failing) == failing) return;
  if (failing) {
    LogWarning("spans_not_exported", {{"error", why}});
  } else {
    LogInfo("spans_exported_again");
  }
}

}  // namespace switchyard
