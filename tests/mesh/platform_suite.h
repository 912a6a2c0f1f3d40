// What is expected of every platform alike, from an HTTP client through every layer to the simulated platform and back.
// Each platform's test says which models, which faults and which parameters are its own.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "boost/json/value.hpp"
#include "tests/mesh/model_table.h"
#include "tests/support/relay.h"

namespace switchyard {

struct PlatformFault {
  const char* script;                  // "fault=http_429 retry_after=7"
  int status;                          // of a whole answer, and of a stream that had not begun
  const char* code;                    // of the error object; of a status of 200, the finish reason
  const char* retry_after = nullptr;   // header, if one is due
  const char* should_retry = nullptr;  // header, if one is due
  const char* text = "";               // what comes out of a stream before the error; the error is then inside it
};
using PlatformFaults = std::vector<PlatformFault>;

/// One relay and one simulator; conversations and violations are looked at after every check.
class PlatformSuite {
 public:
  /// @param more further settings of the relay (SWITCHYARD_…)
  explicit PlatformSuite(std::string platform, Variables more = {});

  const SimulatedPlatforms& platforms() const { return platforms_; }
  Relay& relay() { return *relay_; }
  int port() const { return relay_->port(); }
  const std::string& platform() const { return platform_; }

  /// What the simulator recorded of the newest request; its member "prompt" is the prompt's text.
  boost::json::object Recorded() const;
  std::string Prompt() const;

  /// Nothing is left over on the platform and nothing was done that it would not like.
  void ExpectClean() const;

  /// Whole and streamed give the script's text, the right ends and usage.
  void ExpectAnswers(const std::string& model);
  /// Every id of the table answers, is listed, and told the platform what its row says.
  void ExpectModels(const std::vector<ModelRow>& rows);
  /// A system prompt and three turns all reach the platform, by the one convention.
  void ExpectHistory(const std::string& model);
  /// think, tags, separate and hidden, streamed and whole.
  void ExpectReasoningFormats(const std::string& thinking_model);
  /// `stop` and `max_tokens` end the answer.
  void ExpectStops(const std::string& model);
  /// A kept conversation is continued by its id, and forged ids are refused.
  void ExpectContinuation(const std::string& model);
  /// A kept conversation that goes on without being kept is deleted; on platforms that can delete one.
  void ExpectForgetting(const std::string& model);
  /// A client that leaves ends the turn on the platform; the account is free and nothing is left over.
  void ExpectAbort(const std::string& model);
  /// The script's text arrives whole whatever the chunking.
  void ExpectAnyChunking(const std::string& model, const std::string& script = "");

 private:
  std::string platform_;
  SimulatedPlatforms platforms_;
  std::unique_ptr<Relay> relay_;
};

/// Parts of a user message, as JSON: a PNG of one pixel as a data URL, and a file.
std::string ImagePart();
std::string FilePart(const std::string& name, const std::string& media_type, const std::string& bytes);
/// One message of the user with "What is it?" and these parts. @param more further members: R"(,"stream":true)"
Whole ChatWithParts(int port, const std::string& model, const std::vector<std::string>& parts,
                    const std::string& more = "");

/// One fault, streamed and whole, each on a relay of its own, since most spoil the account. The script's text is "One
/// two three". Limits on silence are a second where the script is silent.
void ExpectFault(const std::string& platform, const std::string& model, const PlatformFault& fault,
                 const Variables& more = {});

constexpr char kBeforeTheEnd[] = "before the end";

/// Every row; and none is missing: all that the simulated platform can be told to do wrong in `dialect`, a cut before
/// the end and before the first word, a first byte that does not come, and a limit with and without a time to wait.
/// @param elsewhere faults that have tests of their own; kBeforeTheEnd where there is nothing between text and end
void ExpectFaults(const std::string& platform, const std::string& dialect, const std::string& model,
                  const PlatformFaults& faults, const std::set<std::string>& elsewhere = {},
                  const Variables& more = {});

/// Whether every member of `wanted` is in `value`, at any depth.
bool Contains(const boost::json::value& value, const boost::json::value& wanted);

}  // namespace switchyard
