#include "edge/key_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/files.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

ApiKey Key(const std::string& name) {
  ApiKey key;
  key.name = name;
  key.digest = DigestOf(name);
  return key;
}

TEST(KeyFile, NewKeysAreLongAndDiffer) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const auto key = NewApiKey();
    ASSERT_TRUE(key.ok()) << key.status();
    EXPECT_TRUE(absl::StartsWith(key->Reveal(), "sk-sy-"));
    EXPECT_EQ(key->Reveal().size(), 6u + 43u) << "32 bytes in base64";
    EXPECT_EQ(key->Reveal().find_first_of("+/= "), std::string::npos);
    seen.insert(key->Reveal());
  }
  EXPECT_EQ(seen.size(), 100u);
}

TEST(KeyFile, TheHashIsSha256) {
  // FIPS 180-2, appendix B.1.
  EXPECT_EQ(DigestOf("abc"), std::string("\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23"
                                         "\xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad",
                                         32));
}

TEST(KeyFile, WhatIsWrittenIsRead) {
  ApiKey full = Key("laptop");
  full.models = {"deepseek-chat", "MiniMax-M2.5"};
  full.requests_per_minute = 60;
  full.concurrent_streams = 2;
  full.created = "2026-11-25T08:00:00Z";
  const auto read = ParseKeyFile(FormatKeyFile({full, Key("phone")}), "keys.yaml");
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ(read->at(0).name, "laptop");
  EXPECT_EQ(read->at(0).digest, full.digest);
  EXPECT_EQ(read->at(0).models, full.models);
  EXPECT_EQ(read->at(0).requests_per_minute, 60);
  EXPECT_EQ(read->at(0).concurrent_streams, 2);
  EXPECT_EQ(read->at(0).created, full.created);
  EXPECT_TRUE(read->at(1).models.empty());
  EXPECT_EQ(read->at(1).requests_per_minute, 0);
  const auto none = ParseKeyFile(FormatKeyFile({}), "keys.yaml");
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_TRUE(none->empty());
}

TEST(KeyFile, EveryFaultIsToldWithItsLine) {
  const std::string hash(64, 'a');
  const auto read = ParseKeyFile(absl::StrCat("keys:\n"
                                              "  - name: two words\n"         // 2
                                              "    sha256: canary-no-hash\n"  // 3
                                              "  - name: a\n"                 // 4
                                              "    sha256: ",
                                              hash,
                                              "\n"                               // 5
                                              "    models: []\n"                 // 6
                                              "    requests_per_minute: lots\n"  // 7
                                              "    concurrent_streams: 0\n"      // 8
                                              "    colour: red\n"                // 9
                                              "  - name: a\n"                    // 10
                                              "    sha256: ",
                                              hash,
                                              "\n"                        // 11
                                              "  - name: configured-1\n"  // 12
                                              "  - 7\n"                   // 13
                                              "more: 1\n"),               // 14
                                 "keys.yaml");
  ASSERT_FALSE(read.ok());
  const std::string all(read.status().message());
  for (const char* fault :
       {"keys.yaml:2: name:", "keys.yaml:3: sha256: must be 64 hex digits",
        "keys.yaml:6: models:", "keys.yaml:7: requests_per_minute: must be a whole number from 1",
        "keys.yaml:8: concurrent_streams:", "keys.yaml:9: a key has", "keys.yaml:10: name: a is already on line 4",
        "keys.yaml:11: sha256: is already on line 5", "keys.yaml:12: name: names that begin with configured-",
        "keys.yaml:12: a key needs its sha256", "keys.yaml:13: a key must be a map",
        "keys.yaml:14: there is nothing"}) {
    EXPECT_TRUE(absl::StrContains(all, fault)) << fault << "\nnot in\n" << all;
  }
  EXPECT_FALSE(absl::StrContains(all, "canary")) << all;
}

TEST(KeyFile, WhatIsNoKeyFile) {
  // What is cut is not a file without keys.
  for (const char* text : {"", "# a comment\n", "keys", "keys:\n", "- a\n", "keys: [1", "keys: {}\n", "{}\n"}) {
    const auto read = ParseKeyFile(text, "keys.yaml");
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_TRUE(absl::StrContains(read.status().message(), "keys.yaml:")) << read.status();
  }
  EXPECT_EQ(ReadKeyFile("/nonexistent/keys.yaml").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(ReadKeyFile("/dev/zero").ok());
  EXPECT_FALSE(ReadKeyFile(FreshDirectory()).ok());
}

TEST(KeyFile, AFileThatIsCutAnywhereIsNeverAShorterOne) {
  ApiKey limited = Key("laptop");
  limited.models = {"deepseek-chat"};
  const std::string whole = FormatKeyFile({limited, Key("phone")});
  int parsed = 0;
  for (size_t cut = 0; cut < whole.size(); ++cut) {
    const auto read = ParseKeyFile(whole.substr(0, cut), "keys.yaml");
    if (!read.ok()) continue;
    // YAML itself has no end; between two keys, or behind an optional member, there is nothing to see.
    ++parsed;
    EXPECT_GE(read->size(), 1u) << "cut at " << cut;
  }
  EXPECT_LT(parsed, static_cast<int>(whole.size()) / 4);
}

TEST(KeyFile, IsReplacedWholeAndPrivate) {
  const std::string path = FreshDirectory() + "/deep/er/keys.yaml";
  const auto add = [&](const std::string& name) {
    return UpdateKeyFile(path, false, [&](std::vector<ApiKey>& keys) {
      keys.push_back(Key(name));
      return absl::OkStatus();
    });
  };
  EXPECT_EQ(UpdateKeyFile(path, true, [](auto&) { return absl::OkStatus(); }).code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(add("a").ok());
  struct stat first, second;
  ASSERT_EQ(stat(path.c_str(), &first), 0);
  EXPECT_EQ(first.st_mode & 0777, 0600u);
  // Somebody was killed in the middle.
  std::ofstream(path + ".new") << "half";
  ASSERT_TRUE(add("b").ok());
  ASSERT_EQ(stat(path.c_str(), &second), 0);
  EXPECT_NE(first.st_ino, second.st_ino) << "written in place: a reader may see half of it";
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
  EXPECT_EQ(ReadKeyFile(path)->size(), 2u);
  EXPECT_EQ(UpdateKeyFile(path, true,
                          [](auto& keys) {
                            keys.clear();
                            return absl::NotFoundError("no");
                          })
                .code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadKeyFile(path)->size(), 2u);
  std::ofstream(path) << "keys: [";
  EXPECT_EQ(add("c").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadTestFile(path), "keys: [") << "a damaged file is not overwritten";
}

TEST(KeyFile, WritersTakeTurns) {
  const std::string path = FreshDirectory() + "/keys.yaml";
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&path, i] {
      for (int j = 0; j < 5; ++j) {
        EXPECT_TRUE(UpdateKeyFile(path, false, [i, j](std::vector<ApiKey>& keys) {
                      keys.push_back(Key(absl::StrCat("k", i, "-", j)));
                      return absl::OkStatus();
                    }).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ReadKeyFile(path)->size(), 40u);
}

}  // namespace
}  // namespace switchyard
