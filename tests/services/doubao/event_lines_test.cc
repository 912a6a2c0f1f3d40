#include "services/doubao/event_lines.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace switchyard::doubao {
namespace {

TEST(EventLines, WhateverTheChunking) {
  struct Row {
    std::string in, out;
  };
  for (const Row& row :
       {Row{"id: 7 event: A data: {\"x\":\" data: \"}\n\n", "event: A\ndata: {\"x\":\" data: \"}\n\n\n"},
        Row{"id: 7 event: A data: {}\r\n", "event: A\ndata: {}\n\r\n"},
        Row{"id: 7\nevent: A\ndata: {}\n\n", "id: 7\nevent: A\ndata: {}\n\n"},
        Row{"id: 7 data: x event: A\n", "id: 7 data: x event: A\n"},
        Row{"data: id: 7 event: A data: x\n", "data: id: 7 event: A data: x\n"}, Row{"i\nid\n: c\n", "i\nid\n: c\n"}}) {
    for (size_t at = 0; at <= row.in.size(); ++at) {
      EventLines lines;
      const std::string first = lines.Feed(row.in.substr(0, at));
      EXPECT_EQ(absl::StrCat(first, lines.Feed(row.in.substr(at))), row.out) << at;
    }
  }
}

TEST(EventLines, ALineWithoutEndIsNotKept) {
  EventLines lines;
  EXPECT_GT(lines.Feed("id:" + std::string(2 * 1024 * 1024, 'x')).size(), 1024u * 1024u);
}

}  // namespace
}  // namespace switchyard::doubao
