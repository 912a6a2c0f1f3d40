#include "services/common/trace/otlp_json.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"

namespace switchyard {
namespace {

constexpr size_t kMaxValueBytes = 256;
constexpr int kStatusError = 2;

void AppendText(absl::string_view text, std::string& out) {
  AppendJsonString(out, ReplaceInvalidUtf8(text.substr(0, kMaxValueBytes)));
}

struct ValueWriter {
  std::string& out;
  void operator()(const std::string& text) const {
    out += R"({"stringValue":)";
    AppendText(text, out);
    out += "}";
  }
  void operator()(int64_t number) const { absl::StrAppend(&out, R"({"intValue":")", number, R"("})"); }
  void operator()(double number) const {
    absl::StrAppend(&out, R"({"doubleValue":)", std::isfinite(number) ? number : 0, "}");
  }
  void operator()(bool truth) const { absl::StrAppend(&out, R"({"boolValue":)", truth ? "true" : "false", "}"); }
};

void AppendAttribute(absl::string_view name, const SpanData::Value& value, std::string& out) {
  absl::StrAppend(&out, out.back() == '[' ? "" : ",", R"({"key":)");
  AppendText(name, out);
  out += R"(,"value":)";
  std::visit(ValueWriter{out}, value);
  out += "}";
}

void AppendSpan(const SpanData& span, std::string& out) {
  absl::StrAppend(&out, R"({"traceId":")", span.context.trace_id, R"(","spanId":")", span.context.span_id, R"(")");
  if (!span.parent_id.empty()) absl::StrAppend(&out, R"(,"parentSpanId":")", span.parent_id, R"(")");
  if (!span.tracestate.empty()) {
    out += R"(,"traceState":)";
    AppendJsonString(out, span.tracestate);  // ASCII, and bounded
  }
  out += R"(,"name":)";
  AppendText(span.name, out);
  absl::StrAppend(&out, R"(,"kind":)", static_cast<int>(span.kind), R"(,"startTimeUnixNano":")",
                  absl::ToUnixNanos(span.start), R"(","endTimeUnixNano":")", absl::ToUnixNanos(span.end),
                  R"(","attributes":[)");
  for (const auto& [name, value] : span.attributes) AppendAttribute(name, value, out);
  if (!span.error.empty()) AppendAttribute("error.type", span.error, out);
  out += R"(],"status":{)";
  if (!span.error.empty()) absl::StrAppend(&out, R"("code":)", kStatusError);
  out += "}}";
}

}  // namespace

std::string OtlpJson(const TraceResource& resource, const std::vector<SpanData>& spans) {
  std::string out = R"({"resourceSpans":[{"resource":{"attributes":[)";
  AppendAttribute("service.name", resource.service, out);
  AppendAttribute("service.version", resource.version, out);
  AppendAttribute("service.instance.id", resource.instance, out);
  out += R"(]},"scopeSpans":[{"scope":{"name":"switchyard","version":)";
  AppendText(resource.version, out);
  out += R"(},"spans":[)";
  for (size_t i = 0; i < spans.size(); ++i) {
    if (i > 0) out += ",";
    AppendSpan(spans[i], out);
  }
  return out + "]}]}]}";
}

}  // namespace switchyard
