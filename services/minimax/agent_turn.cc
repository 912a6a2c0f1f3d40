#include "services/minimax/agent_turn.h"

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/common/async/sleep.h"
#include "services/common/provider/answer_stream.h"
#include "services/common/status/reason.h"
#include "services/minimax/agent_events.h"
#include "services/minimax/fetch.h"
#include "services/minimax/login.h"

namespace switchyard::minimax {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

constexpr char kRefPrefix[] = "agent:";  // a chat's id of the other dialect has none
constexpr int kSessions = 3;             // tries

class AgentExchange {
 public:
  AgentExchange(const Settings& settings, const ProviderTools& tools, Turn& turn)
      : settings_(settings),
        tools_(tools),
        turn_(turn),
        login_(LoginOf(turn.account().token, turn.account().identity)),
        model_(AgentModel(turn.model().upstream)) {}

  asio::awaitable<absl::StatusOr<FinishReason>> Run() {
    absl::string_view ref = turn_.conversation_ref();
    const bool goes_on = !ref.empty();
    if (goes_on && (!absl::ConsumePrefix(&ref, kRefPrefix) || !IsPathId(ref)))
      co_return MakeError(Reason::REASON_INVALID_REQUEST, "conversation_id: it is not one of minimax's",
                          {.field = "conversation_id"});
    session_ = std::string(ref);
    for (int attempt = 1;; ++attempt) {
      if (!goes_on) {
        const absl::Status opened = co_await Open();
        if (!opened.ok()) co_return opened;
      }
      auto finished = co_await Say();
      const bool again = !finished.ok() && IsSessionTrouble(finished.status()) && attempt < kSessions && !goes_on;
      if (!again) co_return finished;
    }
  }

 private:
  asio::awaitable<absl::StatusOr<json::value>> Call(SignedParts parts) {
    auto answer = co_await Fetch(turn_.scope(), turn_.http(), turn_.signing(), std::move(parts));
    if (!answer.ok()) co_return answer.status();
    co_return ReadBareAnswer(*answer, tools_.clock.Now());
  }

  asio::awaitable<absl::Status> Open() {
    auto agents = co_await Call(ListAgents(settings_, login_, tools_.clock.Now()));
    if (!agents.ok()) co_return agents.status();
    auto agent = ReadAgent(*agents);
    if (!agent.ok()) co_return agent.status();
    auto made = co_await Call(OpenSession(settings_, login_, tools_.clock.Now(), *agent, model_));
    if (!made.ok()) co_return made.status();
    auto session = ReadSession(*made);
    if (!session.ok()) co_return session.status();
    session_ = *std::move(session);
    // A session that was just made is not ready at once.
    co_return co_await Sleep(turn_.scope(), settings_.agent_wait);
  }

  asio::awaitable<absl::StatusOr<FinishReason>> Say() {
    TurnInput input;
    input.session = session_;
    input.prompt = turn_.prompt();
    input.model_id = model_;
    input.thinking = turn_.thinking() && CanChooseThinking(model_);
    input.turn_id = tools_.random.NextUuid();
    turn_.GenerationStarted("");
    SignedParts parts = SayInSession(settings_, login_, tools_.clock.Now(), input);
    auto response = co_await SendSigned(turn_.scope(), turn_.http(), turn_.signing(), std::move(parts));
    if (!response.ok()) {
      if (NothingReached(response.status())) turn_.GenerationRefused();
      co_return response.status();
    }
    if ((*response)->status() != 200 ||
        !absl::StartsWithIgnoreCase((*response)->headers().Get("content-type"), "text/event-stream")) {
      auto answer = co_await ReadWhole(turn_.scope(), **response);
      if (!answer.ok()) co_return answer.status();
      turn_.GenerationRefused();
      auto object = ReadBareAnswer(*answer, tools_.clock.Now());
      if (!object.ok()) co_return object.status();
      co_return MakeError(Reason::REASON_UPSTREAM_CHANGED, "minimax's answer was not understood: it is no event stream",
                          {.cause = "no_stream"});
    }
    co_return co_await Stream(**response);
  }

  asio::awaitable<absl::StatusOr<FinishReason>> Stream(HttpResponse& response) {
    AgentDecoder decoder;
    std::function<asio::awaitable<absl::Status>()> before_events = [this, &decoder] { return NoteBegin(decoder); };
    auto end = co_await StreamAnswer(turn_, response, decoder, settings_.silence, std::move(before_events));
    if (!end.ok()) {
      if (!decoder.has_content() && IsSessionTrouble(end.status())) turn_.GenerationRefused();
      co_return end.status();
    }
    if (*end == AnswerEnd::kOver) co_return FinishReason::FINISH_REASON_STOP;
    turn_.GenerationEnded();
    if (decoder.cut()) co_return FinishReason::FINISH_REASON_LENGTH;
    co_return FinishReason::FINISH_REASON_STOP;
  }

  asio::awaitable<absl::Status> NoteBegin(const AgentDecoder& decoder) {
    if (!decoder.has_content() || std::exchange(begun_, true)) co_return absl::OkStatus();
    std::string ref = absl::StrCat(kRefPrefix, session_);
    co_return co_await turn_.Begin(std::move(ref));
  }

  const Settings& settings_;
  const ProviderTools& tools_;
  Turn& turn_;
  const Login login_;
  const std::string model_;
  std::string session_;
  bool begun_ = false;
};

}  // namespace

asio::awaitable<absl::StatusOr<FinishReason>> RunAgentTurn(const Settings& settings, const ProviderTools& tools,
                                                           Turn& turn) {
  AgentExchange exchange(settings, tools, turn);
  co_return co_await exchange.Run();
}

}  // namespace switchyard::minimax
