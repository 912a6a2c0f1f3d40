#include "edge/api.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "edge/completion_writer.h"
#include "edge/messages_request.h"
#include "edge/messages_writer.h"
#include "edge/openai_request.h"
#include "edge/responses_request.h"
#include "edge/responses_writer.h"
#include "edge/text_completion_request.h"
#include "edge/text_completion_writer.h"
#include "services/common/text/json.h"

namespace switchyard {

namespace asio = boost::asio;

namespace {

constexpr int kIdDigits = 24;

template <typename Writer, typename Options>
auto WriterMaker(Options options) {
  return [options = std::move(options)](AnswerHead head) -> std::unique_ptr<AnswerWriter> {
    return std::make_unique<Writer>(std::move(head), options);
  };
}

absl::StatusOr<TurnRequest> ReadChatCompletion(absl::string_view body) {
  auto call = ParseChatCompletion(body);
  if (!call.ok()) return call.status();
  const bool conversation = call->request.keep_conversation() || !call->request.conversation_id().empty();
  if (call->n > 1 && conversation)
    return InvalidField("n", "a conversation has one answer a turn: leave out keep_conversation and conversation_id");
  TurnRequest turn;
  turn.answers_each = static_cast<size_t>(call->n);
  turn.stream = call->stream;
  CompletionWriter::Options options;
  options.choices = turn.answers_each;
  options.include_usage = call->include_usage;
  options.calls_as_function = call->calls_as_function;
  turn.writer = WriterMaker<CompletionWriter>(options);
  turn.prompts.push_back(std::move(call->request));
  return turn;
}

absl::StatusOr<TurnRequest> ReadTextCompletion(absl::string_view body) {
  auto call = ParseTextCompletion(body);
  if (!call.ok()) return call.status();
  TurnRequest turn;
  turn.answers_each = static_cast<size_t>(call->n);
  turn.stream = call->stream;
  turn.names = std::move(call->names);
  TextCompletionWriter::Options options;
  options.n = turn.answers_each;
  options.include_usage = call->include_usage;
  options.prompts = call->requests.size();
  options.echo = std::move(call->echo);
  turn.writer = WriterMaker<TextCompletionWriter>(std::move(options));
  turn.prompts = std::move(call->requests);
  return turn;
}

absl::StatusOr<TurnRequest> ReadResponse(absl::string_view body) {
  auto call = ParseResponse(body);
  if (!call.ok()) return call.status();
  TurnRequest turn;
  turn.stream = call->stream;
  turn.names = std::move(call->names);
  ResponsesWriter::Options options;
  options.repeated = std::move(call->repeated);
  options.summarise_reasoning = call->reasoning_summary;
  turn.writer = WriterMaker<ResponsesWriter>(std::move(options));
  turn.prompts.push_back(std::move(call->request));
  return turn;
}

absl::StatusOr<TurnRequest> ReadMessage(absl::string_view body) {
  auto call = ParseMessages(body);
  if (!call.ok()) return call.status();
  TurnRequest turn;
  turn.stream = call->stream;
  turn.names = std::move(call->names);
  turn.writer = [](AnswerHead head) { return std::make_unique<MessagesWriter>(std::move(head)); };
  turn.prompts.push_back(std::move(call->request));
  return turn;
}

constexpr std::array kApis = {
    Api{"/v1/chat/completions", "chatcmpl-", ReadChatCompletion},
    Api{"/v1/completions", "cmpl-", ReadTextCompletion},
    Api{"/v1/responses", "resp_", ReadResponse},
    Api{"/v1/messages", "msg_", ReadMessage},
};

/// Every prompt as the caller's, if it may ask for it.
absl::Status Admit(const Caller& caller, TurnRequest& turn) {
  for (chat::v1::ChatRequest& prompt : turn.prompts) {
    if (absl::Status admitted = caller.Admit(prompt); !admitted.ok()) return admitted;
  }
  return absl::OkStatus();
}

}  // namespace

const Api* FindApi(absl::string_view path) {
  for (const Api& api : kApis) {
    if (api.path == path) return &api;
  }
  return nullptr;
}

std::vector<absl::string_view> ApiPaths() {
  std::vector<absl::string_view> paths;
  for (const Api& api : kApis) paths.push_back(api.path);
  return paths;
}

asio::awaitable<void> ServeApi(const Api& api, HttpServerRequest& request, HttpResponder& responder, ChatClient& chat,
                               const Caller& caller, const CallContext& context, const TurnOptions& options,
                               const Clock& clock, Random& random, HttpHeaders headers, RequestRecord& record) {
  if (record.error_form == ErrorForm::kAnthropic) headers.Set("request-id", context.request_id);
  AnswerHead head;
  head.id = absl::StrCat(api.id_prefix, random.NextHex(kIdDigits));
  auto parsed = api.read(request.body);
  request.body = std::string();  // it may be large, and the turn long
  if (parsed.ok()) {
    if (absl::Status admitted = Admit(caller, *parsed); !admitted.ok()) parsed = std::move(admitted);
  }
  co_await RunTurn(std::move(parsed), responder, chat, context, options, clock, std::move(head), std::move(headers),
                   record);
}

}  // namespace switchyard
