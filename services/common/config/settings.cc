#include "services/common/config/settings.h"

#include <arpa/inet.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/common/config/etcd_address.h"
#include "services/common/config/platforms.h"
#include "services/common/net/host_port.h"
#include "services/common/net/loopback.h"

namespace switchyard {
namespace {

// A bare number means seconds; otherwise Abseil's form: "1m30s", "500ms".
bool ParseDurationText(const std::string& text, absl::Duration& out) {
  double seconds;
  if (absl::SimpleAtod(text, &seconds)) {
    out = absl::Seconds(seconds);
    return true;
  }
  return absl::ParseDuration(text, &out);
}

std::string Quoted(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}}), "\"");
}

std::function<std::string()> ShowQuoted(const std::string& field) {
  return [&field] { return Quoted(field); };
}

std::function<std::string()> ShowPlain(const std::string& field) {
  return [&field] { return field; };
}

Setting Text(std::string& field) {
  return {[&field](const std::string& text) {
            field = text;
            return "";
          },
          ShowQuoted(field)};
}

Setting OneOf(std::string& field, std::vector<std::string> allowed) {
  return {[&field, allowed = std::move(allowed)](const std::string& text) -> std::string {
            if (std::find(allowed.begin(), allowed.end(), text) == allowed.end()) {
              return absl::StrCat("must be one of ", absl::StrJoin(allowed, ", "));
            }
            field = text;
            return "";
          },
          ShowPlain(field)};
}

Setting Bool(bool& field) {
  return {[&field](const std::string& text) -> std::string {
            if (text != "true" && text != "false") return "must be true or false";
            field = text == "true";
            return "";
          },
          [&field] { return std::string(field ? "true" : "false"); }};
}

template <typename Number>
Setting Whole(Number& field, int64_t low, int64_t high) {
  return {[&field, low, high](const std::string& text) -> std::string {
            int64_t number;
            if (!absl::SimpleAtoi(text, &number) || number < low || number > high) {
              return absl::StrCat("must be a whole number from ", low, " to ", high);
            }
            field = static_cast<Number>(number);
            return "";
          },
          [&field] { return absl::StrCat(field); }};
}

Setting Span(absl::Duration& field, absl::Duration low, absl::Duration high) {
  return {[&field, low, high](const std::string& text) -> std::string {
            absl::Duration span;
            if (!ParseDurationText(text, span) || span < low || span > high) {
              return absl::StrCat("must be a time from ", absl::FormatDuration(low), " to ", absl::FormatDuration(high),
                                  ", like 30s or 500ms");
            }
            field = span;
            return "";
          },
          [&field] { return absl::FormatDuration(field); }};
}

Setting GrpcAddress(std::string& field, bool mutual_tls) {
  return {
      [&field, mutual_tls](const std::string& text) -> std::string {
        int64_t port;
        const bool has_port = absl::StartsWith(text, "unix:/") ||
                              (text.rfind(':') != std::string::npos &&
                               absl::SimpleAtoi(text.substr(text.rfind(':') + 1), &port) && port >= 0 && port <= 65535);
        if (mutual_tls && !has_port) return "must be an address with a port (127.0.0.1:8021) or unix:/path";
        if (!has_port || (!mutual_tls && !IsLoopbackListen(text)))
          return "must be a loopback address with a port (127.0.0.1:8021) or unix:/path: gRPC is served without mutual "
                 "TLS (tls.certificate), so it stays on this machine";
        field = text;
        return "";
      },
      ShowQuoted(field)};
}

// An address, not a name, and a port.
bool IsHttpAddress(const std::string& text) {
  const auto parsed = ParseHostPort(text);
  unsigned char bytes[16];
  return parsed && (inet_pton(AF_INET, parsed->host.c_str(), bytes) == 1 ||
                    inet_pton(AF_INET6, parsed->host.c_str(), bytes) == 1);
}

Setting AdminAddress(std::string& field) {
  return {[&field](const std::string& text) -> std::string {
            if (!text.empty() && text != "off" && !IsHttpAddress(text))
              return "must be an address with a port, like 127.0.0.1:9090, or off";
            field = text;
            return "";
          },
          ShowQuoted(field)};
}

Setting CollectorUrl(std::string& field) {
  return {[&field](const std::string& text) -> std::string {
            const bool known = absl::StartsWith(text, "https://") || absl::StartsWith(text, "http://");
            const bool visible =
                std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7F; });
            const size_t host = text.find("//") + 2;
            // A password in it would be printed with the configuration.
            const bool whole = known && visible && host < text.size() && text.find('/', host) != std::string::npos &&
                               text.find('@') == std::string::npos;
            if (!text.empty() && !whole)
              return "must be an http or https URL with its path, like http://collector:4318/v1/traces";
            field = text;
            return "";
          },
          ShowQuoted(field)};
}

Setting Ratio(double& field) {
  return {[&field](const std::string& text) -> std::string {
            double number;
            if (!absl::SimpleAtod(text, &number) || !(number >= 0 && number <= 1))
              return "must be a number from 0 to 1";
            field = number;
            return "";
          },
          [&field] { return absl::StrCat(field); }};
}

Setting Origin(std::string& field) {
  return {
      [&field](const std::string& text) -> std::string {
        const bool known = absl::StartsWith(text, "https://") || absl::StartsWith(text, "http://");
        const size_t host = text.find("//") + 2;
        if (!known || host >= text.size() || text[host] == '/' || text.find_first_of(" ?#@\t") != std::string::npos) {
          return "must be an http or https address, like https://chat.deepseek.com";
        }
        field = std::string(absl::StripSuffix(text, "/"));
        return "";
      },
      ShowQuoted(field)};
}

Setting Key(Secret& field) {
  return {[&field](const std::string& text) -> std::string {
            const bool hex = text.size() == 64 && std::all_of(text.begin(), text.end(),
                                                              [](unsigned char c) { return absl::ascii_isxdigit(c); });
            if (!hex) return "must be 64 hex digits";
            field = Secret(text);
            return "";
          },
          [&field] { return std::string(field.empty() ? "(key file beside the store)" : "(set)"); }};
}

// A value that goes into a header of every request to the platform.
Setting HeaderOption(std::string& field) {
  return {[&field](const std::string& text) -> std::string {
            const bool visible =
                std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c < 0x7F; });
            if (text.empty() || text.size() > 512 || !visible) return "must be 1 to 512 visible characters";
            field = text;
            return "";
          },
          ShowQuoted(field)};
}

Setting PathOption(std::string& field) {
  return {[&field](const std::string& text) -> std::string {
            const bool visible =
                std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7F; });
            if (text.empty() || text.size() > 512 || !visible || text[0] != '/')
              return "must be a path from / on, of at most 512 characters";
            field = text;
            return "";
          },
          ShowQuoted(field)};
}

Setting WholeOption(std::string& field, int64_t low, int64_t high) {
  return {[&field, low, high](const std::string& text) -> std::string {
            int64_t number;
            if (auto fault = Whole(number, low, high).read(text); !fault.empty()) return fault;
            field = absl::StrCat(number);
            return "";
          },
          ShowQuoted(field)};
}

// A path, or where etcd is.
Setting StoreAddress(std::string& field) {
  return {[&field](const std::string& text) -> std::string {
            const bool other = absl::StrContains(text, "://") && !IsEtcdAddress(text);
            if (other || (IsEtcdAddress(text) && !ParseEtcdAddress(text).ok()))
              return "must be a path, etcd://host:2379,host2:2379 or etcds://host:2379/prefix";
            field = text;
            return "";
          },
          ShowQuoted(field)};
}

Setting Names(std::vector<std::string>& field) {
  return {[&field](const std::string& text) -> std::string {
            field = absl::StrSplit(text, absl::ByAnyChar(", "), absl::SkipEmpty());
            return "";
          },
          [&field] { return absl::StrCat("[", absl::StrJoin(field, ", "), "]"); },
          /*list=*/true};
}

// Short ones can be guessed, and an empty one would be a key that everybody has.
Setting KeyList(std::vector<Secret>& field) {
  return {[&field](const std::string& text) -> std::string {
            constexpr size_t kShortest = 16;
            std::vector<Secret> keys;
            for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
              Secret key(std::string(absl::StripAsciiWhitespace(part)));
              const std::string& value = key.Reveal();
              const bool visible =
                  std::all_of(value.begin(), value.end(), [](unsigned char c) { return c > 0x20 && c < 0x7F; });
              if (value.size() < kShortest || !visible)
                return absl::StrCat("each key must have at least ", kShortest, " visible characters, without a space");
              if (std::find(keys.begin(), keys.end(), key) != keys.end()) return "holds the same key twice";
              keys.push_back(std::move(key));
            }
            field = std::move(keys);
            return "";
          },
          [&field] { return field.empty() ? std::string("[]") : absl::StrCat("(set)  # ", field.size()); }, true};
}

Setting OptionOf(const PlatformOption& option, std::string& field) {
  switch (option.kind) {
    case PlatformOption::Kind::kWhole:
      return WholeOption(field, option.low, option.high);
    case PlatformOption::Kind::kChoice:
      return OneOf(field, {option.choices.begin(), option.choices.end()});
    case PlatformOption::Kind::kPath:
      return PathOption(field);
    case PlatformOption::Kind::kOrigin:
      return {[&field](const std::string& text) -> std::string {
                if (!text.empty()) return Origin(field).read(text);
                field.clear();
                return "";
              },
              ShowQuoted(field)};
    default:
      return HeaderOption(field);
  }
}

}  // namespace

int EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<int> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

Settings SettingsOf(Config& config, bool mutual_tls) {
  const absl::Duration second = absl::Seconds(1);
  Settings settings;
  ServerConfig& server = config.server;
  settings["server.host"] = Text(server.host);
  settings["server.port"] = Whole(server.port, 0, 65535);
  settings["server.insecure"] = Bool(server.insecure);
  settings["server.api_keys"] = KeyList(server.api_keys);
  settings["server.keys_file"] = Text(server.keys_file);
  settings["server.tls.certificate"] = Text(server.tls.certificate);
  settings["server.tls.key"] = Text(server.tls.key);
  settings["server.pass_through"] = Bool(server.pass_through);
  settings["server.drain_delay"] = Span(server.drain_delay, absl::ZeroDuration(), 600 * second);
  settings["server.drain_limit"] = Span(server.drain_limit, absl::ZeroDuration(), 3600 * second);
  settings["server.request_limit"] = Span(server.request_limit, second, 3600 * second);
  settings["server.heartbeat"] = Span(server.heartbeat, second, 60 * second);
  settings["server.max_body_bytes"] = Whole(server.max_body_bytes, 1024, 60 * 1024 * 1024);
  settings["server.max_connections_per_address"] = Whole(server.max_connections_per_address, 0, 10000);
  settings["server.max_in_flight"] = Whole(server.max_in_flight, 1, 100000);
  settings["server.reasoning_format"] = OneOf(server.reasoning_format, {"think", "separate", "tags", "hidden"});
  settings["server.ignore_unsupported"] = Bool(server.ignore_unsupported);
  for (auto& [name, provider] : config.providers) {
    const std::string at = absl::StrCat("providers.", name, ".");
    settings[at + "enabled"] = Bool(provider.enabled);
    settings[at + "base_url"] = Origin(provider.base_url);
    settings[at + "max_in_flight"] = Whole(provider.max_in_flight, 1, 100000);
    settings[at + "max_in_flight_per_account"] = Whole(provider.max_in_flight_per_account, 1, 1024);
    settings[at + "spacing"] = Span(provider.spacing, absl::ZeroDuration(), 600 * second);
    settings[at + "queue_depth"] = Whole(provider.queue_depth, 0, 1000);
    settings[at + "queue_limit"] = Span(provider.queue_limit, absl::ZeroDuration(), 600 * second);
    settings[at + "listen"] = GrpcAddress(provider.listen, mutual_tls);
    settings[at + "backend"] = GrpcAddress(provider.backend, mutual_tls);
  }
  for (const PlatformDefaults& platform : Platforms()) {
    ProviderConfig& provider = config.providers[std::string(platform.name)];
    const std::string at = absl::StrCat("providers.", platform.name, ".");
    settings[at + "dialect"] = OneOf(provider.dialect, {platform.dialects.begin(), platform.dialects.end()});
    for (const PlatformOption& option : platform.options) {
      settings[absl::StrCat(at, "options.", option.name)] =
          OptionOf(option, provider.options[std::string(option.name)]);
    }
  }
  settings["signing.target"] = GrpcAddress(config.signing.target, mutual_tls);
  settings["signing.listen"] = GrpcAddress(config.signing.listen, mutual_tls);
  settings["signing.threads"] = Whole(config.signing.threads, 0, 256);
  settings["signing.queue_depth"] = Whole(config.signing.queue_depth, 1, 65536);
  settings["session.target"] = GrpcAddress(config.session.target, mutual_tls);
  settings["session.listen"] = GrpcAddress(config.session.listen, mutual_tls);
  settings["session.store"] = StoreAddress(config.session.store);
  settings["session.etcd_ca"] = Text(config.session.etcd_ca);
  settings["session.etcd_certificate"] = Text(config.session.etcd_certificate);
  settings["session.etcd_key"] = Text(config.session.etcd_key);
  settings["session.store_key"] = Key(config.session.store_key);
  settings["http.connect_limit"] = Span(config.http.connect_limit, absl::Milliseconds(100), 60 * second);
  settings["http.tls_limit"] = Span(config.http.tls_limit, absl::Milliseconds(100), 60 * second);
  settings["http.first_byte_limit"] = Span(config.http.first_byte_limit, second, 600 * second);
  settings["http.idle_limit"] = Span(config.http.idle_limit, second, 600 * second);
  settings["http.ca_file"] = Text(config.http.ca_file);
  settings["tls.certificate"] = Text(config.tls.certificate);
  settings["tls.key"] = Text(config.tls.key);
  settings["tls.authority"] = Text(config.tls.authority);
  settings["tls.chat_callers"] = Names(config.tls.chat_callers);
  settings["chat.listen"] = GrpcAddress(config.chat_listen, mutual_tls);
  settings["log.level"] = OneOf(config.log_level, {"debug", "info", "warning", "error"});
  settings["grpc.reflection"] = Bool(config.reflection);
  settings["grpc.channelz"] = Bool(config.channelz);
  settings["admin.listen"] = AdminAddress(config.admin.listen);
  settings["tracing.otlp_url"] = CollectorUrl(config.tracing.otlp_url);
  settings["tracing.sample_ratio"] = Ratio(config.tracing.sample_ratio);
  settings["state_dir"] = Text(config.state_dir);
  settings["threads"] = Whole(config.threads, 0, 64);
  return settings;
}

std::string NearestName(absl::string_view name, const Settings& settings) {
  std::string nearest;
  int best = 4;  // further off is another word, not a slip
  for (const auto& [known, setting] : settings) {
    const int distance = EditDistance(name, known);
    if (distance < best) {
      best = distance;
      nearest = known;
    }
  }
  return nearest;
}

}  // namespace switchyard
