#include "edge/field_names.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"

namespace switchyard {

std::string FieldNames::In(absl::string_view chat) const {
  absl::string_view from, to;
  // In order, so a longer beginning comes after a shorter one.
  for (const auto& [known, own] : names_) {
    const absl::string_view rest = chat.substr(std::min(known.size(), chat.size()));
    const bool whole = rest.empty() || rest.front() == '.' || rest.front() == '[';
    if (!whole || !absl::StartsWith(chat, known)) continue;
    from = known;
    to = own;
  }
  std::string path = absl::StrCat(to, chat.substr(from.size()));
  for (const auto& [known, own] : endings_) {
    if (absl::EndsWith(path, known)) return absl::StrCat(path.substr(0, path.size() - known.size()), own);
  }
  return path;
}

absl::Status FieldNames::In(const absl::Status& status) const {
  if (status.ok()) return status;
  const ErrorDetail detail = DetailOf(status);
  std::string own = In(detail.field());
  if (own == detail.field()) return status;
  std::string message(status.message());
  if (absl::StartsWith(message, absl::StrCat(detail.field(), ":"))) message.replace(0, detail.field().size(), own);
  return MakeError(detail.reason(), message, {.field = std::move(own), .cause = detail.cause()});
}

}  // namespace switchyard
