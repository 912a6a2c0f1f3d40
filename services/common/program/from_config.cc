#include "services/common/program/from_config.h"

namespace switchyard {

HttpClientOptions HttpClientOptionsFrom(const Config& config) {
  HttpClientOptions options = HttpClientOptionsFromEnvironment();
  options.limits.connect = config.http.connect_limit;
  options.limits.tls = config.http.tls_limit;
  options.limits.first_byte = config.http.first_byte_limit;
  options.limits.idle = config.http.idle_limit;
  options.ca_file = config.http.ca_file;
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
