#include "services/common/provider/answer_stream.h"

#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"

namespace switchyard {

boost::asio::awaitable<absl::StatusOr<AnswerEnd>> StreamAnswer(
    Turn& turn, HttpResponse& response, AnswerDecoder& decoder, absl::Duration idle,
    std::function<boost::asio::awaitable<absl::Status>()> before_events) {
  const std::string platform(turn.model().platform);
  const absl::Status silent =
      MakeError(Reason::REASON_DEADLINE, absl::StrCat(platform, " said nothing for ", absl::FormatDuration(idle)),
                {.cause = "idle_timeout"});
  Scope patience(turn.scope(), idle, silent);
  std::vector<ChatEvent> events;
  int64_t seen = decoder.progress();
  for (;;) {
    auto bytes = co_await response.Read(patience);
    absl::Status status = bytes.status();
    const bool ended = bytes.ok() && bytes->empty();
    if (ended) {
      status = decoder.End(events);
    } else if (bytes.ok()) {
      status = decoder.Feed(*bytes, events);
    }
    const absl::Status ready = co_await before_events();
    if (!ready.ok()) co_return ready;
    // What came before the end, whichever end, reaches the caller.
    if (!events.empty()) {
      const bool wanted = co_await turn.Emit(events);
      if (!wanted) co_return AnswerEnd::kOver;
    }
    if (!status.ok()) co_return status;
    if (decoder.complete() || ended) co_return AnswerEnd::kComplete;
    if (decoder.progress() != seen) {
      seen = decoder.progress();
      patience.ExtendTo(std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(idle));
    }
  }
}

}  // namespace switchyard
