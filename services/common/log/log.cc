#include "services/common/log/log.h"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cmath>
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "services/common/text/utf8.h"

namespace switchyard {
namespace {

constexpr size_t kMaxValueBytes = 1024;
constexpr size_t kQueueLines = 8192;
constexpr absl::Duration kFlushLimit = absl::Seconds(1);

std::atomic<LogLevel> g_level{LogLevel::kWarning};
std::atomic<spdlog::logger*> g_logger{nullptr};

std::shared_ptr<spdlog::logger>& Owner() {
  static std::shared_ptr<spdlog::logger> owner;
  return owner;
}

std::string& Program() {
  static std::string program = "switchyard";
  return program;
}

/// Whether it turns the direction of the text that follows, so that a terminal shows a line as something else than it
/// is: U+202A to U+202E, U+2066 to U+2069.
bool TurnsDirection(absl::string_view character) {
  return (character >= "\u202A" && character <= "\u202E") || (character >= "\u2066" && character <= "\u2069");
}

// Control characters, quotes and broken UTF-8 become escapes, so a line stays a line, stays JSON, and reads as it is.
void AppendJsonString(absl::string_view text, std::string& out) {
  out.push_back('"');
  size_t at = 0;
  while (at < text.size()) {
    if (at >= kMaxValueBytes) {
      out += "…";
      break;
    }
    const auto c = static_cast<unsigned char>(text[at]);
    const size_t length = Utf8SequenceLength(text.substr(at));
    if (length == 0) {
      out += "\\ufffd";
      ++at;
      continue;
    }
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(static_cast<char>(c));
    } else if (c < 0x20 || c == 0x7F) {
      absl::StrAppendFormat(&out, "\\u%04x", c);
    } else if (TurnsDirection(text.substr(at, length))) {
      // Three bytes, of four, six and six bits.
      const unsigned low = static_cast<unsigned char>(text[at + 2]) & 0x3F;
      const unsigned middle = static_cast<unsigned char>(text[at + 1]) & 0x3F;
      absl::StrAppendFormat(&out, "\\u%04x", 0x2000 | middle << 6 | low);
    } else {
      out.append(text.data() + at, length);
    }
    at += length;
  }
  out.push_back('"');
}

absl::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

struct ValueWriter {
  std::string& out;
  void operator()(const std::string& text) const { AppendJsonString(text, out); }
  void operator()(int64_t number) const { absl::StrAppend(&out, number); }
  void operator()(double number) const {
    if (std::isfinite(number)) {
      absl::StrAppend(&out, number);
    } else {
      out += "null";
    }
  }
  void operator()(bool truth) const { out += truth ? "true" : "false"; }
};

}  // namespace

void InitLogging(LogLevel level, absl::string_view program) {
  g_level = level;
  Program() = std::string(program);
  if (g_logger.load() != nullptr) return;
  spdlog::init_thread_pool(kQueueLines, 1);
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  sink->set_pattern("%v");
  auto logger = std::make_shared<spdlog::async_logger>("switchyard", std::move(sink), spdlog::thread_pool(),
                                                       spdlog::async_overflow_policy::overrun_oldest);
  logger->set_level(spdlog::level::trace);
  logger->flush_on(spdlog::level::info);
  Owner() = logger;
  g_logger = logger.get();
}

bool FlushLogs() {
  spdlog::logger* logger = g_logger.exchange(nullptr);
  if (logger == nullptr) return true;
  auto ended = std::make_shared<absl::Notification>();
  std::thread([logger, ended] {
    logger->flush();
    Owner().reset();
    spdlog::shutdown();  // joins the writer thread once its queue is empty
    ended->Notify();
  }).detach();
  return ended->WaitForNotificationWithTimeout(kFlushLimit);
}

uint64_t DroppedLogLines() {
  if (g_logger.load() == nullptr) return 0;
  const auto pool = spdlog::thread_pool();
  return pool == nullptr ? 0 : pool->overrun_counter();
}

void Log(LogLevel level, absl::string_view event, std::initializer_list<LogField> fields) {
  if (level < g_level.load(std::memory_order_relaxed)) return;
  std::string line =
      absl::StrCat("{\"time\":\"", absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone()),
                   "\",\"level\":\"", LevelName(level), "\",\"program\":");
  AppendJsonString(Program(), line);
  line += ",\"event\":";
  AppendJsonString(event, line);
  for (const LogField& field : fields) {
    line.push_back(',');
    AppendJsonString(field.name, line);
    line.push_back(':');
    std::visit(ValueWriter{line}, field.value);
  }
  line.push_back('}');
  if (spdlog::logger* logger = g_logger.load()) {
    logger->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
  } else {
    line.push_back('\n');
    fwrite(line.data(), 1, line.size(), stderr);
  }
}

}  // namespace switchyard
