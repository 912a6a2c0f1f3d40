// What is fixed about Metaso's search, and what is configuration because sources disagree about it.
// Source: protocol notes of Metaso, sections 1, 3, 7 and 8 (2026-09).
#pragma once

#include <string>

#include "services/common/config/config.h"

namespace switchyard::metaso {

inline constexpr char kPlatform[] = "metaso";

// What the site calls itself, in headers and inside a search's own URL, wherever it is reached.
inline constexpr char kOrigin[] = "https://metaso.cn";

inline constexpr char kPage[] = "/";
inline constexpr char kMyInfo[] = "/api/my-info";
inline constexpr char kSession[] = "/api/session";
inline constexpr char kSearch[] = "/api/searchV2";
inline constexpr char kChat[] = "/api/search/chat";

// JSON answers are small; anything larger is not one. The page is larger.
inline constexpr size_t kMaxJsonAnswer = 1024 * 1024;
inline constexpr size_t kMaxPage = 8 * 1024 * 1024;
// The question travels twice in the URL of a search. The platform's own limit is unknown.
inline constexpr size_t kMaxUrl = 8 * 1024;
// How long the token of the page is used.
inline constexpr absl::Duration kMetaTokenLife = absl::Minutes(10);

enum class Dialect {
  kSearch,  // "a": a session, then a search of one question
  kChat,    // "b": one call, which can go on with a conversation
};

/// `providers.metaso` of the configuration.
struct Settings {
  std::string base_url = "https://metaso.cn";
  Dialect dialect = Dialect::kSearch;
  std::string user_agent;
  bool flatten_history = false;   // the whole conversation is the question
  bool label_citations = true;    // "[[1]]" becomes "[1]"; otherwise it is taken out
  bool name_whole_web = false;    // chat: engine "quanwang" instead of ""
  bool continue_by_leaf = false;  // chat: `id` and `currentLeafId` instead of `parentMessageId`
  absl::Duration idle_limit = absl::Seconds(60);

  static Settings From(const Config& config);
};

}  // namespace switchyard::metaso
