// What the simulator is told to do with one turn: in the prompt, or by its control endpoint.
//
//   [[sim: fault=cut at=3 chunks=50 chunk_ms=20]]
//
//   text=Red,+green   the answer; '+' stands for a space, '%0A' and the like for other bytes
//   think=Hmm.        the reasoning, where the request asks for some
//   chunks=N          pieces of text (default: one a word)
//   chunk_ms=N        pause before each piece (default 0)
//   first_ms=N        pause before the response header
//   tag=NAME          the state then tells in `peers` which address asked for this turn
//   dialect=2026 | 2025-11 | 2025-mid
//   fault=NAME        what goes wrong, see the platform's server
//   at=N              after how many pieces (default 2)
//   stamp=1           every piece is the time it was made, for measuring delays
//   split=N           bytes a write of the body (default: whole events)
//   comments=1        comment lines and empty events between the events
//   continue=rest | snapshot | message | refuse | pow     how an incomplete answer is continued
#pragma once

#include <map>
#include <string>

namespace simulator {

struct Script {
  std::map<std::string, std::string> values;

  std::string Text(const std::string& name, const std::string& fallback = "") const;
  int Number(const std::string& name, int fallback) const;
  std::string fault() const { return Text("fault"); }
};

/// The last directive in `prompt`; an empty script if there is none.
Script ScriptIn(const std::string& prompt);
/// "fault=cut at=3".
Script ParseScript(const std::string& text);

}  // namespace simulator
