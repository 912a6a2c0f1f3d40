// Spans as OTLP has them in JSON.
//
// Source: OpenTelemetry protocol 1.x, "JSON Protobuf Encoding": ids as hex, 64-bit numbers as strings, enums as
// numbers. Pure.
#pragma once

#include <string>
#include <vector>

#include "services/common/trace/span.h"

namespace switchyard {

/// Who tells: service.name, service.version and service.instance.id.
struct TraceResource {
  std::string service;  // "switchyard-edge"
  std::string version;
  std::string instance;  // of this process: a UUID
};

/// The body of one export.
std::string OtlpJson(const TraceResource& resource, const std::vector<SpanData>& spans);

}  // namespace switchyard
