#include "services/session/conversation_id.h"

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

constexpr absl::string_view kPrefix = "conv_";

std::string PlaceOf(absl::string_view caller) { return absl::StrCat("conversation_id:", caller); }

}  // namespace

std::string SealConversationId(const Sealer& sealer, const ConversationId& id, absl::string_view caller) {
  const std::string plain = absl::StrCat(id.platform, "\n", id.account, "\n", id.resume_ref);
  return absl::StrCat(kPrefix, absl::WebSafeBase64Escape(sealer.Seal(plain, PlaceOf(caller))));
}

absl::StatusOr<ConversationId> OpenConversationId(const Sealer& sealer, absl::string_view text,
                                                  absl::string_view caller) {
  const absl::Status refused =
      MakeError(Reason::REASON_INVALID_REQUEST, "conversation_id: is not one that this relay gave you",
                {.field = "conversation_id"});
  std::string sealed;
  if (!absl::ConsumePrefix(&text, kPrefix) || !absl::WebSafeBase64Unescape(text, &sealed)) return refused;
  auto plain = sealer.Open(sealed, PlaceOf(caller));
  if (!plain.ok()) return refused;
  const std::vector<std::string> parts = absl::StrSplit(*plain, absl::MaxSplits('\n', 2));
  if (parts.size() != 3) return refused;
  return ConversationId{parts[0], parts[1], parts[2]};
}

}  // namespace switchyard
