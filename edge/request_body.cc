#include "edge/request_body.h"

#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"

namespace switchyard {

absl::StatusOr<boost::json::value> ParseBody(absl::string_view body) {
  auto value = ParseJson(body, /*unique_keys=*/true);
  if (!value.ok()) {
    return MakeError(Reason::REASON_INVALID_REQUEST,
                     absl::StrCat("The request body cannot be read as JSON: ", value.status().message(), "."));
  }
  if (!value->is_object()) {
    return MakeError(Reason::REASON_INVALID_REQUEST,
                     absl::StrCat("The request body must be a JSON object; it is ", KindName(*value), "."));
  }
  return value;
}

}  // namespace switchyard
