// What one request carries from hop to hop beside its message: its name, its trace, its deadline.
//
//   CallContext context = CallContext::FromServer(*server_context);
//   context.ApplyTo(client_context);   // same request id and trace, same or an earlier deadline
//
// Value type.
#pragma once

#include <chrono>
#include <string>

#include "grpcpp/client_context.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "services/common/async/scope.h"

namespace switchyard {

struct CallContext {
  std::string request_id;   // at most 128 visible ASCII characters; anything else is dropped on arrival
  std::string traceparent;  // W3C form, version 00, of the span that calls; empty without a trace that is well-formed
  std::string tracestate;   // passed on unchanged; empty without a traceparent
  Scope::Deadline deadline = Scope::Deadline::max();

  static CallContext FromServer(const grpc::CallbackServerContext& server);
  void ApplyTo(grpc::ClientContext& client) const;

  /// The same with `deadline` where it is sooner.
  CallContext Until(Scope::Deadline sooner) const;
};

bool IsRequestId(absl::string_view text);

/// The 32 digits of the trace in a traceparent, for logs; "" if there is none.
std::string TraceIdOf(absl::string_view traceparent);

/// gRPC speaks system time; timers here are monotonic.
Scope::Deadline FromSystemDeadline(std::chrono::system_clock::time_point deadline);

}  // namespace switchyard
