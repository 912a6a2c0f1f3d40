#include "tests/support/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace switchyard {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr absl::Duration kLook = absl::Milliseconds(5);

}  // namespace

namespace support_internal {

bool Poll(bool (*condition)(void*), void* context) {
  const absl::Time until = absl::Now() + kPatience;
  for (;;) {
    if (condition(context)) return true;
    if (absl::Now() > until) return false;
    absl::SleepFor(kLook);
  }
}

}  // namespace support_internal

Process::Process(std::vector<std::string> command, std::map<std::string, std::string> environment) {
  static int count = 0;
  log_ = absl::StrCat(FreshDirectory(), "/output-", ++count);
  environment.emplace("PATH", "/usr/bin:/bin");
  environment.emplace("HOME", "/nonexistent");
  for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) environment.emplace(name, value);
  }
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment) variables.push_back(absl::StrCat(name, "=", value));
  std::vector<char*> argv, envp;
  for (std::string& word : command) argv.push_back(word.data());
  for (std::string& variable : variables) envp.push_back(variable.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    const int out = open(log_.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
}

Process::~Process() {
  if (running()) {
    Signal(SIGKILL);
    WaitExit(kPatience);
  }
  if (::testing::Test::HasFailure()) std::fprintf(stderr, "---- output of process %d\n%s\n", pid_, output().c_str());
}

std::string Process::output() const {
  std::ifstream in(log_, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

bool Process::running() { return !WaitExit(absl::ZeroDuration()).has_value(); }

std::optional<int> Process::WaitExit(absl::Duration limit) {
  const absl::Time until = absl::Now() + limit;
  while (!exit_) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
      break;
    }
    if (absl::Now() >= until) return std::nullopt;
    absl::SleepFor(kLook);
  }
  return exit_;
}

bool Process::WaitForOutput(const std::string& text) {
  bool seen = false;
  Eventually([&] {
    seen = output().find(text) != std::string::npos;
    return seen || !running();
  });
  return seen || output().find(text) != std::string::npos;
}

int Process::PortAfter(const std::string& text) {
  if (!WaitForOutput(text)) {
    ADD_FAILURE() << "never said '" << text << "':\n" << output();
    return 0;
  }
  const std::string all = output();
  return std::atoi(all.c_str() + all.find(text) + text.size());
}

std::string FreshDirectory() {
  std::string directory = absl::StrCat(::testing::TempDir(), "/switchyard-XXXXXX");
  return mkdtemp(directory.data()) == nullptr ? ::testing::TempDir() : directory;
}

}  // namespace switchyard
