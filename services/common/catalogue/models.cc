// THE model table.
#include <algorithm>
#include <array>
#include <deque>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "services/common/catalogue/catalogue.h"

namespace switchyard {
namespace {

// A model and the twins that its name has: "-thinking" thinks, "-search" searches, "-thinking-search" does both.
struct Row {
  absl::string_view id;
  absl::string_view upstream;
  unsigned traits = 0;
  int64_t max_prompt_chars = 0;
};
enum Trait : unsigned {
  kThinks = 1,
  kSearches = 2,
  kSees = 4,          // takes images
  kThinkingTwin = 8,  // "-thinking"
  kSearchTwin = 16,   // "-search"
  kReads = 32,        // takes documents
};
constexpr unsigned kTwins = kThinkingTwin | kSearchTwin;
constexpr unsigned kUploads = kSees | kReads;

// No model name is on the wire; three fields decide: model_type, thinking_enabled and search_enabled. Source: protocol
// notes of DeepSeek, sections 1.2, 1.3 (prompt limits: one source) and 5.2: pictures are for the vision model alone,
// and the expert one drops files silently.
constexpr int64_t kDeepSeekPrompt = 2'621'440;
constexpr int64_t kDeepSeekExpertPrompt = 163'840;
constexpr std::array kDeepSeek = {
    Row{"deepseek", "default", kReads | kSearchTwin, kDeepSeekPrompt},
    Row{"deepseek-chat", "default", kReads | kSearchTwin, kDeepSeekPrompt},
    Row{"deepseek-default", "default", kReads | kSearchTwin, kDeepSeekPrompt},
    Row{"deepseek-v3", "default", kReads | kSearchTwin, kDeepSeekPrompt},
    Row{"deepseek-v4-flash", "default", kReads | kSearchTwin, kDeepSeekPrompt},
    Row{"deepseek-reasoner", "default", kReads | kThinks | kSearchTwin, kDeepSeekPrompt},
    Row{"deepseek-r1", "default", kReads | kThinks | kSearchTwin, kDeepSeekPrompt},
    Row{"deepseek-think", "default", kReads | kThinks | kSearchTwin, kDeepSeekPrompt},
    Row{"deepseek-v4-pro", "expert", kThinks | kSearchTwin, kDeepSeekExpertPrompt},
    Row{"deepseek-expert", "expert", kThinks | kSearchTwin, kDeepSeekExpertPrompt},
    Row{"deepseek-vision", "vision", kSees | kSearchTwin, kDeepSeekPrompt},
};

// The generation; the provider makes scenario and options of it. Source: protocol notes of Kimi, sections 1 and 5.2.
constexpr std::array kKimi = {
    Row{"kimi", "k2.5", kUploads | kTwins},
    Row{"kimi-latest", "k2.5", kUploads | kTwins},
    Row{"kimi-vision", "k2.5", kUploads | kTwins},
    Row{"kimi-k2.6", "k2.6", kUploads | kTwins},
    Row{"kimi-k2.5", "k2.5", kUploads | kTwins},
    Row{"kimi-k2", "k2.5", kUploads | kTwins},
    Row{"kimi-k1.5", "k1.5", kTwins},
    Row{"kimi-k1", "k1.5", kTwins},
    Row{"kimi-k3", "k3", kThinks | kSearchTwin},
    Row{"moonshot-v1-8k", "k2.5", kTwins},
    Row{"moonshot-v1-32k", "k2.5", kTwins},
    Row{"moonshot-v1-128k", "k2.5", kTwins},
};

// The name's part behind "metaso"; see modes.h there. It always searches. Source: protocol notes of Metaso, section 1.
constexpr std::array kMetaso = {
    Row{"metaso", "", kSearches},
    Row{"metaso-fast", "fast", kSearches},
    Row{"metaso-concise", "concise", kSearches},
    Row{"metaso-detail", "detail", kSearches},
    Row{"metaso-research", "research", kSearches},
    Row{"metaso-scholar", "scholar", kSearches},
    Row{"metaso-concise-scholar", "concise-scholar", kSearches},
    Row{"metaso-detail-scholar", "detail-scholar", kSearches},
    Row{"metaso-research-scholar", "research-scholar", kSearches},
};

// Which assistant; the name itself does not reach the server. Source: protocol notes of Doubao, section 1.
constexpr std::array kDoubao = {
    Row{"doubao", "default", kThinkingTwin},         Row{"doubao-pro", "default", kThinkingTwin},
    Row{"doubao-1.5-pro", "default", kThinkingTwin}, Row{"doubao-lite", "lite", kThinkingTwin},
    Row{"doubao-expert", "expert", kThinks},
};

// The site's model code (dialect A). Source: protocol notes of Qwen, sections 1 and 5.
constexpr std::array kQwen = {
    Row{"qwen", "Qwen"},
    Row{"qwen3", "Qwen"},
    Row{"qwen3-max", "Qwen3-Max"},
    Row{"qwen3-max-thinking", "Qwen3-Max-Thinking-Preview", kThinks},
    Row{"qwen3-flash", "Qwen3-Flash"},
    Row{"qwen3-coder", "Qwen3-Coder"},
    Row{"qwen-long", "Qwen-Long", kReads},
    Row{"qwen3.5-plus", "Qwen3.5-Plus"},
    Row{"qwen3.6-plus", "Qwen3.6-Plus"},
    Row{"qwen-vl-plus", "Qwen-VL-Max", kSees},
    Row{"qwen-vl-max", "Qwen-VL-Max", kSees},
};

// The newest `selected_model`; the classic dialect sends none. A 24-digit hex id is an assistant. Source: protocol
// notes of Zhipu, sections 1.3 and 3.2: pictures and files are the assistant's, whatever the model.
constexpr std::array kZhipu = {
    Row{"zhipu", "glm-5.3-flash", kUploads | kTwins},
    Row{"chatglm", "glm-5.3-flash", kUploads | kTwins},
    Row{"glm-5", "glm-5.3-flash", kUploads | kTwins},
    Row{"glm-5-plus", "glm-5.3-flash", kUploads | kTwins},
    Row{"glm-5.1", "glm-5.3-flash", kUploads | kTwins},
    Row{"glm-5.1-plus", "glm-5.3-flash", kUploads | kTwins},
    Row{"glm-5.3", "glm-5.3", kUploads | kTwins},
    Row{"glm-5.3-flash", "glm-5.3-flash", kUploads | kTwins},
    Row{"glm-4", "glm-5.3-flash", kUploads | kTwins},
    Row{"glm-4-plus", "glm-5.3-flash", kUploads | kTwins},
    Row{"glm-4-air", "glm-5.3-flash", kUploads | kTwins},
    Row{"glm-4-airx", "glm-5.3-flash", kUploads | kTwins},
    Row{"glm-4-flash", "glm-5.3-flash", kUploads | kTwins},
    Row{"glm-4-long", "glm-5.3-flash", kUploads | kTwins},
    Row{"glm-4v", "glm-5.3-flash", kUploads | kTwins},
    Row{"glm-4v-plus", "glm-5.3-flash", kUploads | kTwins},
    Row{"glm-deepresearch", "deep_research"},
};
constexpr ModelEntry kZhipuAssistant{
    .id = "zhipu-assistant", .platform = "zhipu", .upstream = "assistant", .images = true, .files = true};
constexpr size_t kAssistantDigits = 24;

// Display names of the matrix profile, model ids of the agent profile. Source: protocol notes of MiniMax, sections 1.2
// and 1.3.
constexpr std::array kMiniMax = {
    Row{"minimax", "Auto"},
    Row{"minimax-auto", "Auto"},
    Row{"MiniMax-M2.5", "MiniMax-M2.5"},
    Row{"MiniMax-M2.7", "MiniMax-M2.7"},
    Row{"MiniMax-M2.7-highspeed", "MiniMax-M2.7-highspeed"},
    Row{"MiniMax-M3", "MiniMax-M3", kThinkingTwin},
};

constexpr std::array kVendors = {
    std::pair<absl::string_view, absl::string_view>{"deepseek", "deepseek"},
    std::pair<absl::string_view, absl::string_view>{"kimi", "moonshot"},
    std::pair<absl::string_view, absl::string_view>{"metaso", "metaso"},
    std::pair<absl::string_view, absl::string_view>{"doubao", "bytedance"},
    std::pair<absl::string_view, absl::string_view>{"qwen", "alibaba"},
    std::pair<absl::string_view, absl::string_view>{"zhipu", "zhipuai"},
    std::pair<absl::string_view, absl::string_view>{"minimax", "minimax"},
};

/// Ids that are put together live as long as the program.
absl::string_view Kept(std::string id) {
  static auto& all = *new std::deque<std::string>;
  return all.emplace_back(std::move(id));
}

template <typename Rows>
void AddPlatform(absl::string_view platform, const Rows& rows, std::vector<ModelEntry>& all) {
  for (const Row& row : rows) {
    const bool thinks = (row.traits & kThinks) != 0;
    const bool searches = (row.traits & kSearches) != 0;
    const bool sees = (row.traits & kSees) != 0;
    const bool reads = (row.traits & kReads) != 0;
    const auto add = [&](absl::string_view id, bool thinking, bool search) {
      all.push_back({id, platform, row.upstream, thinking, search, sees, reads, row.max_prompt_chars});
    };
    const bool thinking_twin = (row.traits & kThinkingTwin) != 0;
    const bool search_twin = (row.traits & kSearchTwin) != 0;
    add(row.id, thinks, searches);
    if (search_twin) add(Kept(absl::StrCat(row.id, "-search")), thinks, true);
    if (thinking_twin) add(Kept(absl::StrCat(row.id, "-thinking")), true, searches);
    if (thinking_twin && search_twin) add(Kept(absl::StrCat(row.id, "-thinking-search")), true, true);
  }
}

bool IsAssistantId(absl::string_view id) {
  return id.size() == kAssistantDigits && std::all_of(id.begin(), id.end(), [](unsigned char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

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
  static const auto& all = *[] {
    auto* made = new std::vector<ModelEntry>;
    AddPlatform("deepseek", kDeepSeek, *made);
    AddPlatform("kimi", kKimi, *made);
    AddPlatform("metaso", kMetaso, *made);
    AddPlatform("doubao", kDoubao, *made);
    AddPlatform("qwen", kQwen, *made);
    AddPlatform("zhipu", kZhipu, *made);
    AddPlatform("minimax", kMiniMax, *made);
    return made;
  }();
  return all;
}

const ModelEntry* FindModel(absl::string_view id) {
  const auto found = ById().find(id);
  if (found != ById().end()) return found->second;
  return IsAssistantId(id) ? &kZhipuAssistant : nullptr;
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
