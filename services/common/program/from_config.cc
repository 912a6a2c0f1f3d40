#include "services/common/program/from_config.h"

#include "services/common/metrics/metrics.h"

namespace switchyard {

HttpClientOptions HttpClientOptionsFrom(const Config& config) {
  HttpClientOptions options = HttpClientOptionsFromEnvironment();
  options.limits.connect = config.http.connect_limit;
  options.limits.tls = config.http.tls_limit;
  options.limits.first_byte = config.http.first_byte_limit;
  options.limits.idle = config.http.idle_limit;
  options.ca_file = config.http.ca_file;
  options.metrics = &Metrics::Get();
  return options;
}

absl::StatusOr<std::unique_ptr<MeshIdentity>> MeshIdentityFrom(const Config& config, const Clock& clock) {
  if (!config.tls.enabled()) return std::unique_ptr<MeshIdentity>();
  return MeshIdentity::Open({config.tls.certificate, config.tls.key, config.tls.authority}, clock);
}

ServerHostOptions HostOptionsFrom(const Config& config, const std::string& listen, const MeshIdentity* identity) {
  ServerHostOptions options;
  options.listen = listen;
  options.reflection = config.reflection;
  options.channelz = config.channelz;
  options.identity = identity;
  if (identity == nullptr) return options;
  options.rules = MeshRules(config.tls.chat_callers);
  // Where they are switched on, they are for the people behind the same names.
  if (config.reflection)
    options.rules.push_back({"/grpc.reflection.v1alpha.ServerReflection/", config.tls.chat_callers});
  if (config.channelz) options.rules.push_back({"/grpc.channelz.v1.Channelz/", config.tls.chat_callers});
  return options;
}

chat::v1::ReasoningFormat ReasoningFormatOf(const Config& config) {
  const std::string& name = config.server.reasoning_format;
  if (name == "separate") return chat::v1::REASONING_FORMAT_SEPARATE;
  if (name == "tags") return chat::v1::REASONING_FORMAT_TAGS;
  if (name == "hidden") return chat::v1::REASONING_FORMAT_HIDDEN;
  return chat::v1::REASONING_FORMAT_THINK;
}

}  // namespace switchyard
