// Structured log lines: one JSON object a line on stderr, every value escaped and bounded in length, so no input can
// forge a line.
//
//   LogInfo("request", {{"request_id", id}, {"status", 200}, {"ms", 12.5}});
//
// Thread-safe. Lines go through a bounded queue to one writer thread; when it is full, lines are dropped and counted,
// and nobody waits. A Secret does not fit into a field.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <variant>

#include "absl/strings/string_view.h"

namespace switchyard {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogField {
  absl::string_view name;
  std::variant<std::string, int64_t, double, bool> value;

  LogField(absl::string_view field, absl::string_view text) : name(field), value(std::string(text)) {}
  LogField(absl::string_view field, const char* text) : name(field), value(std::string(text)) {}
  LogField(absl::string_view field, const std::string& text) : name(field), value(text) {}
  LogField(absl::string_view field, bool truth) : name(field), value(truth) {}
  LogField(absl::string_view field, double number) : name(field), value(number) {}
  LogField(absl::string_view field, int64_t number) : name(field), value(number) {}
  LogField(absl::string_view field, int number) : name(field), value(int64_t{number}) {}
  LogField(absl::string_view field, size_t number) : name(field), value(static_cast<int64_t>(number)) {}
};

/// Sets the lowest level that is written, and the name that every line carries. Once, before other threads start;
/// without it, warnings and errors alone are written.
void InitLogging(LogLevel level, absl::string_view program);

/// Writes what is queued and ends the writer. At exit. @return false if that took more than 1 s, because nobody reads
/// the output: the writer is still in it, and the process can only end by _exit().
bool FlushLogs();

/// Lines dropped so far because the queue was full.
uint64_t DroppedLogLines();

void Log(LogLevel level, absl::string_view event, std::initializer_list<LogField> fields);

inline void LogDebug(absl::string_view event, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kDebug, event, fields);
}
inline void LogInfo(absl::string_view event, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kInfo, event, fields);
}
inline void LogWarning(absl::string_view event, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kWarning, event, fields);
}
inline void LogError(absl::string_view event, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kError, event, fields);
}

}  // namespace switchyard
