#include "tests/support/collector.h"

#include <gtest/gtest.h>

#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "boost/json/value.hpp"

namespace switchyard {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

std::string Text(const json::value& value) { return {value.as_string().data(), value.as_string().size()}; }

/// Lower-case hex of the one right length, and not all 0.
std::string Id(const json::object& span, const char* member, size_t digits) {
  std::string id = Text(span.at(member));
  EXPECT_EQ(id.size(), digits) << member;
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos) << id;
  EXPECT_NE(id.find_first_not_of('0'), std::string::npos) << member;
  return id;
}

/// A 64-bit number is a string in the JSON of protocol buffers.
int64_t Number64(const json::value& value) {
  int64_t number = 0;
  EXPECT_TRUE(value.is_string()) << json::serialize(value);
  EXPECT_TRUE(absl::SimpleAtoi(Text(value), &number)) << json::serialize(value);
  return number;
}

std::map<std::string, std::string> Attributes(const json::array& list) {
  std::map<std::string, std::string> attributes;
  for (const json::value& one : list) {
    const json::object& attribute = one.as_object();
    EXPECT_EQ(attribute.size(), 2u) << json::serialize(one);
    const json::object& value = attribute.at("value").as_object();
    EXPECT_EQ(value.size(), 1u) << json::serialize(one);
    std::string text;
    if (const json::value* string = value.if_contains("stringValue")) {
      text = Text(*string);
    } else if (const json::value* whole = value.if_contains("intValue")) {
      text = absl::StrCat(Number64(*whole));
    } else if (const json::value* real = value.if_contains("doubleValue")) {
      text = absl::StrCat(real->to_number<double>());
    } else {
      text = value.at("boolValue").as_bool() ? "true" : "false";
    }
    EXPECT_TRUE(attributes.emplace(Text(attribute.at("key")), text).second) << "twice: " << json::serialize(one);
  }
  return attributes;
}

CollectedSpan ReadSpan(const json::object& span) {
  static const std::set<std::string> kMembers = {"traceId",    "spanId", "parentSpanId",      "traceState",
                                                 "name",       "kind",   "startTimeUnixNano", "endTimeUnixNano",
                                                 "attributes", "status"};
  for (const auto& member : span) EXPECT_EQ(kMembers.count(std::string(member.key())), 1u) << member.key();
  CollectedSpan read;
  read.trace_id = Id(span, "traceId", 32);
  read.span_id = Id(span, "spanId", 16);
  if (span.contains("parentSpanId")) read.parent_id = Id(span, "parentSpanId", 16);
  if (const json::value* state = span.if_contains("traceState")) read.tracestate = Text(*state);
  read.name = Text(span.at("name"));
  EXPECT_NE(read.name, "");
  read.kind = static_cast<int>(span.at("kind").as_int64());
  EXPECT_TRUE(read.kind >= 1 && read.kind <= 5) << read.kind;
  read.start_ns = Number64(span.at("startTimeUnixNano"));
  read.end_ns = Number64(span.at("endTimeUnixNano"));
  EXPECT_GT(read.start_ns, 1'500'000'000'000'000'000);
  EXPECT_LE(read.start_ns, read.end_ns);
  read.attributes = Attributes(span.at("attributes").as_array());
  const json::object& status = span.at("status").as_object();
  if (const json::value* code = status.if_contains("code")) {
    EXPECT_TRUE(code->as_int64() >= 0 && code->as_int64() <= 2);
    read.failed = code->as_int64() == 2;
  }
  return read;
}

}  // namespace

Collector::Collector() {
  HttpServerOptions options;
  options.max_body_bytes = 16 * 1024 * 1024;
  auto server = HttpServer::Listen(runtime_, options, [this](HttpServerRequest& request, HttpResponder& responder) {
    return Serve(request, responder);
  });
  EXPECT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
}

Collector::~Collector() {
  server_->Shutdown(absl::ZeroDuration(), absl::CancelledError("over"));
  runtime_.Stop();
}

std::string Collector::url() const { return absl::StrCat("http://127.0.0.1:", server_->port(), "/v1/traces"); }

std::vector<CollectedSpan> Collector::spans() const {
  absl::MutexLock lock(&mutex_);
  return spans_;
}

std::string Collector::bodies() const {
  absl::MutexLock lock(&mutex_);
  return bodies_;
}

int Collector::requests() const {
  absl::MutexLock lock(&mutex_);
  return requests_;
}

void Collector::AnswerWith(std::vector<int> statuses) {
  absl::MutexLock lock(&mutex_);
  statuses_ = std::move(statuses);
}

asio::awaitable<void> Collector::Serve(HttpServerRequest& request, HttpResponder& responder) {
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/v1/traces");
  EXPECT_EQ(request.headers.Get("content-type"), "application/json");
  int status = 200;
  {
    absl::MutexLock lock(&mutex_);
    ++requests_;
    if (!statuses_.empty()) {
      status = statuses_.front();
      statuses_.erase(statuses_.begin());
    }
  }
  if (status == 200) Take(request.body);
  HttpHeaders headers{{"Content-Type", "application/json"}};
  std::string body = "{}";
  co_await responder.Send(status, std::move(headers), std::move(body));
}

void Collector::Take(const std::string& body) {
  boost::system::error_code error;
  const json::value root = json::parse(body, error);
  ASSERT_FALSE(error) << body;
  absl::MutexLock lock(&mutex_);
  bodies_ += body;
  for (const json::value& resource : root.at("resourceSpans").as_array()) {
    const auto attributes = Attributes(resource.at("resource").at("attributes").as_array());
    for (const char* name : {"service.name", "service.version", "service.instance.id"})
      EXPECT_EQ(attributes.count(name), 1u) << name;
    for (const json::value& scope : resource.at("scopeSpans").as_array()) {
      EXPECT_EQ(Text(scope.at("scope").at("name")), "switchyard");
      for (const json::value& span : scope.at("spans").as_array()) {
        spans_.push_back(ReadSpan(span.as_object()));
        spans_.back().service = attributes.at("service.name");
      }
    }
  }
}

}  // namespace switchyard
