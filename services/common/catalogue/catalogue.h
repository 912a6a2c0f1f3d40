// The models: which public id belongs to which platform, and what the platform has to be told for it. One table, in
// models.cc; an id that is not in it does not exist.
//
//   const ModelEntry* model = FindModel("deepseek-reasoner");
//
// Thread-safe: constant data.
#pragma once

#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace switchyard {

struct ModelEntry {
  absl::string_view id;        // "deepseek-reasoner"
  absl::string_view platform;  // "deepseek"
  // What selects the model upstream, in the platform's own word: DeepSeek's `model_type`.
  absl::string_view upstream;
  bool reasoning = false;   // thinks unless told not to
  bool web_search = false;  // searches unless told not to
  bool images = false;      // takes images
  bool files = false;       // takes documents; text files go into any model's prompt
  // Longest prompt in Unicode code points; 0: unknown.
  int64_t max_prompt_chars = 0;
};

/// nullptr if there is no such model. Exact match; no aliases, no guessing. 24 lower-case hex digits are an assistant
/// of Zhipu: one entry for all of them, which AllModels() does not have; the id itself is in the request.
const ModelEntry* FindModel(absl::string_view id);

/// Every model, platforms in the order of the documentation.
const std::vector<ModelEntry>& AllModels();

/// What `owned_by` says: the platform's vendor.
absl::string_view VendorOf(absl::string_view platform);

/// What `created` says, the same for all: the platforms publish no dates.
absl::Time CatalogueDate();

}  // namespace switchyard
