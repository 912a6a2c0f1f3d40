// `switchyard keys`, as an operator uses it.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/files.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

struct Told {
  int status = -1;
  std::string output;
};

class KeysCommandTest : public ::testing::Test {
 protected:
  /// @param words a shell's, so that the two outputs can be told apart
  Told Keys(const std::string& words) {
    Process process({"/bin/sh", "-c", absl::StrCat("deploy/all_in_one/switchyard keys ", words)},
                    {{"SWITCHYARD_STATE_DIR", state_}});
    Told told;
    told.status = process.WaitExit(absl::Seconds(20)).value_or(-1);
    told.output = process.output();
    return told;
  }
  std::string state_ = FreshDirectory() + "/state";
  std::string file_ = state_ + "/keys.yaml";
};

TEST_F(KeysCommandTest, AKeyIsShownOnceAndItsHashIsKept) {
  const Told added =
      Keys("add laptop --models deepseek-chat,kimi --requests-per-minute 60 --concurrent-streams 2 2> /dev/null");
  EXPECT_EQ(added.status, 0) << added.output;
  const std::string key(absl::StripAsciiWhitespace(added.output));
  EXPECT_EQ(key.size(), 49u) << "more than the key on the standard output: " << added.output;
  EXPECT_TRUE(absl::StartsWith(key, "sk-sy-"));
  struct stat info;
  ASSERT_EQ(stat(file_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_FALSE(absl::StrContains(ReadTestFile(file_), key.substr(6)));
  EXPECT_EQ(Keys("add phone > /dev/null").status, 0);

  const Told listed = Keys("list");
  EXPECT_EQ(listed.status, 0);
  for (const char* text : {"laptop", "deepseek-chat,kimi", " 60 ", "phone", "all"})
    EXPECT_TRUE(absl::StrContains(listed.output, text)) << text << "\n" << listed.output;
  EXPECT_FALSE(absl::StrContains(listed.output, key.substr(6)));

  EXPECT_EQ(Keys("revoke laptop").status, 0);
  EXPECT_FALSE(absl::StrContains(Keys("list").output, "laptop"));
  EXPECT_TRUE(absl::StrContains(Keys("revoke phone").output, "no key left"));
  EXPECT_TRUE(std::filesystem::exists(file_)) << "a relay without keys would serve everybody";
  EXPECT_EQ(Keys("list").status, 0);
}

TEST_F(KeysCommandTest, WhatCannotBeDoneIsSaid) {
  EXPECT_EQ(Keys("add laptop").status, 0);
  struct Row {
    const char* words;
    int status;
    const char* said;
  };
  for (const Row& row : {
           Row{"add laptop", 1, "there is a key named laptop already"},
           Row{"add", 2, "add takes the name"},
           Row{"", 2, "say add, list or revoke"},
           Row{"remove laptop", 2, "say add, list or revoke"},
           Row{"list laptop", 2, "list takes no name"},
           Row{"add 'two words'", 2, "the name of a key must be"},
           Row{"add configured-1", 2, "for keys from the configuration"},
           Row{"add x --models no-such-model", 2, "there is no model 'no-such-model'"},
           Row{"add x --models ,", 2, "at least one model"},
           Row{"add x --requests-per-minute 0", 2, "a whole number from 1"},
           Row{"add x --concurrent-streams many", 2, "a whole number from 1"},
           Row{"revoke x", 1, "there is no key named x"},
           Row{"revoke laptop --models kimi", 2, "go with add alone"},
           Row{"list --env-file /nonexistent/.env", 2, "/nonexistent/.env: there is no such file"},
           Row{"list --config /nonexistent.yaml", 2, "/nonexistent.yaml: there is no such file"},
           Row{"list --colour", 2, "--help"},
           Row{"revoke sk-sy-canary/canary", 2, "the name of a key must be"},
       }) {
    const Told told = Keys(row.words);
    EXPECT_EQ(told.status, row.status) << row.words << "\n" << told.output;
    EXPECT_TRUE(absl::StrContains(told.output, row.said)) << row.words << "\n" << told.output;
    EXPECT_FALSE(absl::StrContains(told.output, "canary")) << told.output;
  }
  std::ofstream(file_) << "keys:\n  - name: laptop\n";
  for (const char* words : {"add x", "revoke laptop", "list"}) {
    const Told told = Keys(words);
    EXPECT_EQ(told.status, 1) << words;
    EXPECT_TRUE(absl::StrContains(told.output, absl::StrCat(file_, ":2: a key needs its sha256"))) << told.output;
  }
  EXPECT_EQ(ReadTestFile(file_), "keys:\n  - name: laptop\n");
}

TEST_F(KeysCommandTest, AFileThatIsNotThereHasNoKeys) {
  const Told listed = Keys("list");
  EXPECT_EQ(listed.status, 0);
  EXPECT_TRUE(absl::StrContains(listed.output, "There is no key in ")) << listed.output;
  EXPECT_EQ(Keys("revoke x").status, 1);
  EXPECT_FALSE(std::filesystem::exists(state_)) << "made by looking";
}

}  // namespace
}  // namespace switchyard
