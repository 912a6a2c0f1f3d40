#include "tests/simulator/script.h"

#include <cstdlib>
#include <sstream>

namespace simulator {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::string Unescape(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 && HexDigit(text[i + 2]) >= 0) {
      out += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::string Script::Text(const std::string& name, const std::string& fallback) const {
  const auto found = values.find(name);
  return found == values.end() ? fallback : found->second;
}

int Script::Number(const std::string& name, int fallback) const {
  const auto found = values.find(name);
  return found == values.end() ? fallback : std::atoi(found->second.c_str());
}

Script ParseScript(const std::string& text) {
  Script script;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    if (equals != std::string::npos) script.values[word.substr(0, equals)] = Unescape(word.substr(equals + 1));
  }
  return script;
}

Script ScriptIn(const std::string& prompt) {
  const std::string opening = "[[sim:";
  const size_t at = prompt.rfind(opening);
  if (at == std::string::npos) return {};
  const size_t end = prompt.find("]]", at);
  if (end == std::string::npos) return {};
  return ParseScript(prompt.substr(at + opening.size(), end - at - opening.size()));
}

}  // namespace simulator
