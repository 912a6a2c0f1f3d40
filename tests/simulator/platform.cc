#include "tests/simulator/platform.h"

#include <algorithm>
#include <utility>

#include "services/common/async/sleep.h"

namespace simulator {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

constexpr size_t kKeptRequests = 64;

size_t CodePointStart(const std::string& text, size_t at) {
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  return at;
}

std::vector<std::string> Words(const std::string& text) {
  std::vector<std::string> words;
  size_t from = 0;
  while (from < text.size()) {
    size_t to = text.find(' ', from + 1);
    if (to == std::string::npos) to = text.size();
    words.push_back(text.substr(from, to - from));
    from = to;
  }
  return words;
}

std::string LastLineOf(std::string prompt) {
  while (!prompt.empty() && (prompt.back() == '\n' || prompt.back() == ' ')) prompt.pop_back();
  const size_t line = prompt.rfind('\n');
  std::string last = line == std::string::npos ? prompt : prompt.substr(line + 1);
  constexpr size_t kLongest = 160;
  if (last.size() > kLongest) last = last.substr(0, CodePointStart(last, kLongest)) + "…";
  return last;
}

}  // namespace

std::vector<std::string> TextPieces(const Script& script, const std::string& prompt) {
  if (script.fault() == "empty") return {};
  const std::string text =
      script.Text("text", "This is a simulated answer; no platform was asked. You said: " + LastLineOf(prompt));
  const int chunks = script.Number("chunks", 0);
  if (chunks <= 0) return Words(text);
  std::vector<std::string> pieces;
  if (script.Text("text").empty()) {
    for (int i = 0; i < chunks; ++i) pieces.push_back((i == 0 ? "piece " : " piece ") + std::to_string(i));
    return pieces;
  }
  size_t from = 0;
  for (int i = 0; i < chunks; ++i) {
    const size_t to = CodePointStart(text, text.size() * static_cast<size_t>(i + 1) / static_cast<size_t>(chunks));
    if (to > from) pieces.push_back(text.substr(from, to - from));
    from = std::max(from, to);
  }
  return pieces;
}

std::vector<std::string> ThoughtPieces(const Script& script) {
  if (script.fault() == "empty") return {};
  return Words(script.Text("think", "The question is clear; a short answer will do."));
}

// ---- Journal

void Journal::Count(const std::string& name, int64_t by) {
  absl::MutexLock lock(&mutex_);
  counts_[name] += by;
}

void Journal::Violate(const std::string& what) {
  absl::MutexLock lock(&mutex_);
  violations_.push_back(what);
}

void Journal::Refuse(const std::string& why) {
  absl::MutexLock lock(&mutex_);
  ++refusals_[why];
}

void Journal::Opened(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  open_.insert(id);
}

void Journal::Closed(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  open_.erase(id);
}

void Journal::Record(json::value request) {
  absl::MutexLock lock(&mutex_);
  requests_.push_back(std::move(request));
  if (requests_.size() > kKeptRequests) requests_.pop_front();
}

void Journal::Asked(const Script& script, const std::string& remote_address) {
  const std::string tag = script.Text("tag");
  if (tag.empty()) return;
  absl::MutexLock lock(&mutex_);
  peers_[tag] = remote_address;
}

int Journal::Begin(const std::string& account) {
  absl::MutexLock lock(&mutex_);
  const int now = ++running_[account];
  counts_["max_running"] = std::max<int64_t>(counts_["max_running"], now);
  return now;
}

void Journal::End(const std::string& account) {
  absl::MutexLock lock(&mutex_);
  const auto running = running_.find(account);
  if (running != running_.end() && --running->second <= 0) running_.erase(running);
}

void Journal::Plan(const std::string& account, Script script, int times) {
  absl::MutexLock lock(&mutex_);
  planned_.push_back({account, std::move(script), times});
}

Script Journal::Take(const std::string& account, const std::string& prompt) {
  Script script = ScriptIn(prompt);
  absl::MutexLock lock(&mutex_);
  for (auto planned = planned_.begin(); planned != planned_.end(); ++planned) {
    if (!planned->account.empty() && planned->account != account) continue;
    for (const auto& [name, value] : planned->script.values) script.values[name] = value;
    if (--planned->times <= 0) planned_.erase(planned);
    break;
  }
  return script;
}

Script Journal::Peek(const std::string& account) const {
  absl::MutexLock lock(&mutex_);
  for (const Planned& planned : planned_) {
    if (planned.account.empty() || planned.account == account) return planned.script;
  }
  return {};
}

json::object Journal::State() const {
  absl::MutexLock lock(&mutex_);
  json::object counts, refusals, peers;
  for (const auto& [name, count] : counts_) counts[name] = count;
  for (const auto& [why, count] : refusals_) refusals[why] = count;
  for (const auto& [tag, peer] : peers_) peers[tag] = peer;
  json::array violations(violations_.begin(), violations_.end());
  json::array completions(requests_.begin(), requests_.end());
  int64_t running = 0;
  for (const auto& [account, count] : running_) running += count;
  json::object state;
  state["open_conversations"] = open_.size();
  state["running"] = running;
  state["counts"] = std::move(counts);
  state["refusals"] = std::move(refusals);
  state["violations"] = std::move(violations);
  state["completions"] = std::move(completions);
  state["peers"] = std::move(peers);
  return state;
}

void Journal::Reset() {
  absl::MutexLock lock(&mutex_);
  counts_.clear();
  refusals_.clear();
  violations_.clear();
  open_.clear();
  peers_.clear();
  requests_.clear();
  planned_.clear();
}

// ---- ScriptedBody

asio::awaitable<bool> ScriptedBody::Begin(switchyard::HttpHeaders headers) {
  if (const int first_ms = script_.Number("first_ms", 0); first_ms > 0)
    co_await switchyard::Sleep(responder_.scope(), absl::Milliseconds(first_ms));
  const absl::Status begun = co_await responder_.Begin(200, std::move(headers));
  gone_ = !begun.ok();
  co_return begun.ok();
}

bool ScriptedBody::Now(const std::string& fault, size_t index) const {
  return script_.fault() == fault && index == static_cast<size_t>(std::max(0, script_.Number("at", 2)));
}

asio::awaitable<bool> ScriptedBody::Cut(size_t index) {
  if (Now("cut", index) || Now("reset", index)) {
    responder_.Abort(script_.fault() == "reset");
    co_return true;
  }
  if (!Now("stall", index)) co_return false;
  const absl::Status slept = co_await switchyard::Sleep(responder_.scope(), absl::Seconds(600));
  gone_ = !slept.ok();
  if (slept.ok()) responder_.Abort(false);
  co_return true;
}

asio::awaitable<bool> ScriptedBody::BeforePiece(size_t index) {
  const bool cut = co_await Cut(index);
  if (cut) co_return false;
  if (const int pause = script_.Number("chunk_ms", 0); pause > 0) {
    const absl::Status slept = co_await switchyard::Sleep(responder_.scope(), absl::Milliseconds(pause));
    gone_ = !slept.ok();
  }
  co_return !gone_;
}

asio::awaitable<bool> ScriptedBody::BeforeEnd(size_t pieces) {
  const size_t at = static_cast<size_t>(std::max(0, script_.Number("at", 2)));
  const bool cut = co_await Cut(std::max(pieces, at));
  co_return !cut;
}

asio::awaitable<bool> ScriptedBody::Write(std::string bytes) {
  const auto split = static_cast<size_t>(std::max(0, script_.Number("split", 0)));
  const size_t step = split == 0 ? bytes.size() : split;
  for (size_t from = 0; from < bytes.size(); from += step) {
    const absl::Status written = co_await responder_.Write(absl::string_view(bytes).substr(from, step));
    if (written.ok()) continue;
    gone_ = true;
    co_return false;
  }
  co_return true;
}

asio::awaitable<void> ScriptedBody::End() { co_await responder_.End(); }

}  // namespace simulator
