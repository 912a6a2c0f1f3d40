#include "services/common/provider/remote_parts.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/common/provider/attachments.h"
#include "services/common/status/reason.h"

namespace switchyard {

namespace asio = boost::asio;
using chat::v1::ContentPart;

namespace {

// Of a request: what a message may hold, too, if the bytes are in it.
constexpr size_t kMaxBytesTogether = 64 * 1024 * 1024;
constexpr absl::Duration kTimeTogether = absl::Seconds(60);

const std::string& AddressOf(const ContentPart& part) {
  return part.has_image() ? part.image().url() : part.file().url();
}

void Put(std::string bytes, ContentPart& part) {
  if (part.has_image()) {
    part.mutable_image()->set_data(std::move(bytes));
  } else {
    part.mutable_file()->set_data(std::move(bytes));
  }
}

absl::Status Unusable(const std::string& field, absl::string_view why) {
  return MakeError(Reason::REASON_INVALID_REQUEST, absl::StrCat(field, ": ", why), {.field = field});
}

}  // namespace

asio::awaitable<absl::Status> FetchRemoteParts(Scope& scope, PublicFetcher& fetcher, chat::v1::ChatRequest& request) {
  const absl::Status late = absl::DeadlineExceededError("takes too long to fetch");
  Scope bounded(scope, kTimeTogether, late);
  size_t left = kMaxBytesTogether;
  int fetched = 0;
  for (int i = FirstSentMessage(request); i < request.messages_size(); ++i) {
    for (int j = 0; j < request.messages(i).parts_size(); ++j) {
      ContentPart& part = *request.mutable_messages(i)->mutable_parts(j);
      std::string url = AddressOf(part);
      if (url.empty()) continue;
      const std::string field = absl::StrCat(PartField(i, j), part.has_image() ? ".image_url.url" : ".file.url");
      if (++fetched > kMaxAttachments) co_return Unusable(field, "a request may hold at most 16 images and files");
      if (left == 0) co_return Unusable(field, "the images and files of a request may have at most 64 MiB together");
      PublicFetcher::Limits limits;
      limits.max_bytes = std::min(left, kMaxAttachmentBytes);
      auto bytes = co_await fetcher.Fetch(bounded, std::move(url), limits);
      if (scope.ended()) co_return scope.status();
      if (!bytes.ok()) co_return Unusable(field, bytes.status().message());
      if (part.has_image() && ImageType(*bytes).empty())
        co_return Unusable(field, "leads to something that is no PNG, JPEG, WebP or GIF image");
      left -= bytes->size();
      Put(*std::move(bytes), part);
    }
  }
  co_return absl::OkStatus();
}

}  // namespace switchyard
