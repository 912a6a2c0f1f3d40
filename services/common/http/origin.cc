#include "services/common/http/origin.h"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/common/text/views.h"

namespace switchyard {

std::string Origin::HostPort() const {
  const bool v6 = host.find(':') != std::string::npos;
  return absl::StrCat(v6 ? "[" : "", host, v6 ? "]" : "", ":", port);
}

std::string Origin::Authority() const {
  const std::string full = HostPort();
  return std::string(absl::StripSuffix(full, tls ? ":443" : ":80"));
}

std::string Origin::Key() const { return absl::StrCat(tls ? "https://" : "http://", HostPort()); }

absl::StatusOr<Origin> ParseOrigin(absl::string_view text) {
  auto url = boost::urls::parse_uri(boost::core::string_view(text.data(), text.size()));
  if (!url) return absl::InvalidArgumentError("not a URL");
  Origin origin;
  if (url->scheme_id() == boost::urls::scheme::https) {
    origin.tls = true;
  } else if (url->scheme_id() != boost::urls::scheme::http) {
    return absl::InvalidArgumentError("the URL is neither http nor https");
  }
  origin.host = std::string(ToAbsl(url->encoded_host()));
  if (absl::StartsWith(origin.host, "[")) origin.host = origin.host.substr(1, origin.host.size() - 2);
  if (origin.host.empty()) return absl::InvalidArgumentError("the URL names no host");
  origin.port = url->has_port() && !url->port().empty() ? std::string(ToAbsl(url->port())) : origin.tls ? "443" : "80";
  origin.user_info = std::string(ToAbsl(url->encoded_userinfo()));
  const std::string path(ToAbsl(url->encoded_path()));
  origin.target = path.empty() ? "/" : path;
  if (url->has_query()) absl::StrAppend(&origin.target, "?", ToAbsl(url->encoded_query()));
  return origin;
}

bool MatchesNoProxy(absl::string_view host, absl::string_view no_proxy) {
  for (absl::string_view entry : absl::StrSplit(no_proxy, ',', absl::SkipEmpty())) {
    entry = absl::StripAsciiWhitespace(entry);
    if (entry == "*") return true;
    entry = absl::StripPrefix(entry, ".");
    if (entry.empty()) continue;
    if (absl::EqualsIgnoreCase(host, entry)) return true;
    if (absl::EndsWithIgnoreCase(host, absl::StrCat(".", entry))) return true;
  }
  return false;
}

}  // namespace switchyard
