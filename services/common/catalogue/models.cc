// THE model table.
#include <array>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "services/common/catalogue/catalogue.h"

namespace switchyard {
namespace {

// DeepSeek. No model name is on the wire; three fields decide: model_type, thinking_enabled and search_enabled. Each id
// has a twin with the suffix "-search". Source: protocol notes of DeepSeek, sections 1.2 and 1.3 (prompt limits: one
// source).
constexpr int64_t kDeepSeekPrompt = 2'621'440;
constexpr int64_t kDeepSeekExpertPrompt = 163'840;
constexpr std::array kDeepSeek = {
    ModelEntry{"deepseek", "deepseek", "default", false, false, false, kDeepSeekPrompt},
    ModelEntry{"deepseek-search", "deepseek", "default", false, true, false, kDeepSeekPrompt},
    ModelEntry{"deepseek-chat", "deepseek", "default", false, false, false, kDeepSeekPrompt},
    ModelEntry{"deepseek-chat-search", "deepseek", "default", false, true, false, kDeepSeekPrompt},
    ModelEntry{"deepseek-default", "deepseek", "default", false, false, false, kDeepSeekPrompt},
    ModelEntry{"deepseek-default-search", "deepseek", "default", false, true, false, kDeepSeekPrompt},
    ModelEntry{"deepseek-v3", "deepseek", "default", false, false, false, kDeepSeekPrompt},
    ModelEntry{"deepseek-v3-search", "deepseek", "default", false, true, false, kDeepSeekPrompt},
    ModelEntry{"deepseek-v4-flash", "deepseek", "default", false, false, false, kDeepSeekPrompt},
    ModelEntry{"deepseek-v4-flash-search", "deepseek", "default", false, true, false, kDeepSeekPrompt},
    ModelEntry{"deepseek-reasoner", "deepseek", "default", true, false, false, kDeepSeekPrompt},
    ModelEntry{"deepseek-reasoner-search", "deepseek", "default", true, true, false, kDeepSeekPrompt},
    ModelEntry{"deepseek-r1", "deepseek", "default", true, false, false, kDeepSeekPrompt},
    ModelEntry{"deepseek-r1-search", "deepseek", "default", true, true, false, kDeepSeekPrompt},
    ModelEntry{"deepseek-think", "deepseek", "default", true, false, false, kDeepSeekPrompt},
    ModelEntry{"deepseek-think-search", "deepseek", "default", true, true, false, kDeepSeekPrompt},
    ModelEntry{"deepseek-v4-pro", "deepseek", "expert", true, false, false, kDeepSeekExpertPrompt},
    ModelEntry{"deepseek-v4-pro-search", "deepseek", "expert", true, true, false, kDeepSeekExpertPrompt},
    ModelEntry{"deepseek-expert", "deepseek", "expert", true, false, false, kDeepSeekExpertPrompt},
    ModelEntry{"deepseek-expert-search", "deepseek", "expert", true, true, false, kDeepSeekExpertPrompt},
    ModelEntry{"deepseek-vision", "deepseek", "vision", false, false, false, kDeepSeekPrompt},
    ModelEntry{"deepseek-vision-search", "deepseek", "vision", false, true, false, kDeepSeekPrompt},
};

constexpr std::array kVendors = {
    std::pair<absl::string_view, absl::string_view>{"deepseek", "deepseek"},
};

using Index = absl::flat_hash_map<absl::string_view, const ModelEntry*>;

const Index& ById() {
  static const Index& index = *[] {
    auto* made = new Index;
    for (const ModelEntry& model : AllModels()) made->emplace(model.id, &model);
    return made;
  }();
  return index;
}

}  // namespace

const std::vector<ModelEntry>& AllModels() {
  static const auto& all = *new std::vector<ModelEntry>(kDeepSeek.begin(), kDeepSeek.end());
  return all;
}

const ModelEntry* FindModel(absl::string_view id) {
  const auto found = ById().find(id);
  return found == ById().end() ? nullptr : found->second;
}

absl::string_view VendorOf(absl::string_view platform) {
  for (const auto& [name, vendor] : kVendors) {
    if (name == platform) return vendor;
  }
  return platform;
}

absl::Time CatalogueDate() {
  static const absl::Time date = absl::FromCivil(absl::CivilDay(2026, 1, 1), absl::UTCTimeZone());
  return date;
}

}  // namespace switchyard
