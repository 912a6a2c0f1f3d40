#include "tests/simulator/deepseek/delta_encoder.h"

#include <string_view>

#include "boost/json/serialize.hpp"

namespace simulator::deepseek {

namespace json = boost::json;

namespace {

std::string Spaced(const json::value& value) {
  if (value.is_object()) {
    std::string out = "{";
    for (const auto& member : value.get_object()) {
      if (out.size() > 1) out += ", ";
      out += json::serialize(json::value(member.key())) + ": " + Spaced(member.value());
    }
    return out + "}";
  }
  if (value.is_array()) {
    std::string out = "[";
    for (const json::value& item : value.get_array()) {
      if (out.size() > 1) out += ", ";
      out += Spaced(item);
    }
    return out + "]";
  }
  return json::serialize(value);
}

}  // namespace

std::string DeltaEncoder::Spell(const json::value& value) const {
  return spaced_ ? Spaced(value) : json::serialize(value);
}

std::string DeltaEncoder::Event(const json::value& object) const { return "data: " + Spell(object) + "\n\n"; }

json::object DeltaEncoder::Encode(const Change& change, std::string& path, std::string& operation,
                                  bool spell_out) const {
  json::object out;
  const bool with_path = change.path != path;
  const bool with_operation = spell_out || change.operation != operation;
  path = change.path;
  operation = change.operation;
  if (spaced_) out["v"] = change.value;
  if (with_path) out["p"] = change.path;
  if (with_operation) out["o"] = change.operation;
  if (!spaced_) out["v"] = change.value;
  return out;
}

std::string DeltaEncoder::Snapshot(const json::value& document) {
  json::object out;
  out["v"] = document;
  first_ = true;
  return Event(out);
}

std::string DeltaEncoder::Patch(const Change& change) {
  const bool spell_out = first_;
  first_ = false;
  return Event(Encode(change, path_, operation_, spell_out));
}

std::string DeltaEncoder::Batch(const std::string& path, const std::vector<Change>& changes) {
  std::string inner_path, inner_operation = "SET";
  json::array items;
  for (const Change& change : changes) items.push_back(Encode(change, inner_path, inner_operation, false));
  return Patch({path, "BATCH", std::move(items)});
}

}  // namespace simulator::deepseek
