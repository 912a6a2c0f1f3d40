// Reads a platform's answer to its end: bytes into the platform's decoder, events out to the caller.
#pragma once

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "boost/asio/awaitable.hpp"
#include "services/common/provider/provider.h"

namespace switchyard {

/// What a platform makes of its own bytes. Pure: bytes in, events out; any chunking gives the same.
///
/// Errors in an answer mean the same on every platform: what is no frame, and a code or word that is not in the
/// platform's table, is UPSTREAM_CHANGED (not understood); trouble that the platform names, or tells without a code, is
/// UPSTREAM_BROKEN (ended early) after some content, and UPSTREAM_UNAVAILABLE where nothing can have been generated; a
/// stream without its end is UPSTREAM_BROKEN; what concerns the account or the request keeps its reason.
class AnswerDecoder {
 public:
  virtual ~AnswerDecoder() = default;
  /// Appends what `bytes` bring. An error ends the answer; what was appended before it still counts.
  virtual absl::Status Feed(absl::string_view bytes, std::vector<ChatEvent>& events) = 0;
  /// The answer is complete: what follows is of no interest.
  virtual bool complete() const = 0;
  /// The body ended. OK if that is a proper end: complete(), or becomes so.
  virtual absl::Status End(std::vector<ChatEvent>& events) = 0;
  /// Counts what showed that the platform is at work, so that bytes without meaning do not hold a turn open.
  virtual int64_t progress() const = 0;
};

enum class AnswerEnd {
  kComplete,  // by the platform; the response may have a rest to drain
  kOver,      // the caller wants no more: stop sequence, limit, or gone
};

/// @param idle how long the platform may be silent: 1 s to 600 s
/// @param before_events awaited whenever the decoder took something, before what came of it is passed on; an error ends
/// the answer
boost::asio::awaitable<absl::StatusOr<AnswerEnd>> StreamAnswer(
    Turn& turn, HttpResponse& response, AnswerDecoder& decoder, absl::Duration idle,
    std::function<boost::asio::awaitable<absl::Status>()> before_events);

}  // namespace switchyard
