// Chat events in text format, for tables, and server-sent events taken apart again.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "boost/json/parse.hpp"
#include "edge/answer_writer.h"
#include "google/protobuf/text_format.h"

namespace switchyard {

/// "text { text: 'a' }".
inline chat::v1::ChatEvent EventOf(const std::string& text) {
  chat::v1::ChatEvent event;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &event)) << text;
  return event;
}

/// Everything that a writer makes of one answer's events.
inline std::string Written(AnswerWriter& writer, const std::vector<std::string>& events) {
  std::string out;
  for (const std::string& event : events) writer.Write(0, EventOf(event), out);
  writer.End(out);
  return out;
}

inline boost::json::value WholeOf(AnswerWriter& writer, const std::vector<std::string>& events) {
  for (const std::string& event : events) writer.Take(0, EventOf(event));
  return boost::json::parse(writer.Whole());
}

struct SentEvent {
  std::string name;  // of the `event:` line
  std::string data;
};
inline std::vector<SentEvent> SentEvents(const std::string& bytes) {
  std::vector<SentEvent> events;
  EXPECT_TRUE(bytes.empty() || absl::EndsWith(bytes, "\n\n"));
  for (const absl::string_view block : absl::StrSplit(bytes, "\n\n", absl::SkipEmpty())) {
    SentEvent& event = events.emplace_back();
    for (const absl::string_view line : absl::StrSplit(block, '\n')) {
      if (absl::StartsWith(line, "event: ")) event.name = std::string(line.substr(7));
      if (absl::StartsWith(line, "data: ")) event.data += std::string(line.substr(6));
    }
  }
  return events;
}

}  // namespace switchyard
