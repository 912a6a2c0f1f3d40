#include "tests/simulator/deepseek/answer.h"

#include <utility>

#include "tests/simulator/platform.h"

namespace simulator::deepseek {

namespace json = boost::json;

namespace {

constexpr double kInsertedAt = 1793000000.125;

}  // namespace

AnswerScript::AnswerScript(AnswerPlan plan)
    : plan_(std::move(plan)), dialect_(plan_.script.Text("dialect", "2026")), encoder_(dialect_ == "2025-11") {}

std::string AnswerScript::Named(const std::string& event, const json::value& data) const {
  return "event: " + event + "\ndata: " + encoder_.Spell(data) + "\n\n";
}

json::object AnswerScript::Fragment(const std::string& type, const std::string& content) {
  json::object fragment;
  fragment["id"] = next_fragment_++;
  fragment["type"] = type;
  fragment["content"] = content;
  if (type == "THINK") fragment["elapsed_secs"] = nullptr;
  fragment["references"] = json::array();
  fragment["stage_id"] = 1;
  return fragment;
}

json::object AnswerScript::ResponseObject(json::array fragments) const {
  json::object response;
  response["message_id"] = plan_.response_message;
  response["parent_id"] = plan_.request_message;
  response["model"] = "";
  response["role"] = "ASSISTANT";
  response["thinking_enabled"] = plan_.thinking;
  response["ban_edit"] = false;
  response["ban_regenerate"] = false;
  response["status"] = "WIP";
  response["incomplete_message"] = nullptr;
  response["accumulated_token_usage"] = plan_.tokens_before;
  response["files"] = json::array();
  response["feedback"] = nullptr;
  response["inserted_at"] = kInsertedAt;
  response["search_enabled"] = plan_.search;
  if (dialect_ == "2025-mid") {
    response["content"] = "";
    response["thinking_content"] = nullptr;
    response["search_results"] = nullptr;
    return response;
  }
  response["fragments"] = std::move(fragments);
  response["conversation_mode"] = "DEFAULT";
  response["has_pending_fragment"] = false;
  response["auto_continue"] = false;
  response["search_triggered"] = false;
  return response;
}

std::string AnswerScript::Opening() {
  std::string out;
  json::object ready;
  ready["request_message_id"] = plan_.request_message;
  ready["response_message_id"] = plan_.response_message;
  if (dialect_ == "2025-mid") {
    out += "data: " + encoder_.Spell(ready) + "\n\n";
  } else {
    if (dialect_ == "2026") ready["model_type"] = plan_.model_type;
    out += Named("ready", ready);
  }
  json::object touched;
  touched["updated_at"] = kInsertedAt + 0.125;
  out += Named("update_session", touched);

  json::array fragments;
  const std::vector<std::string> thoughts = plan_.thinking ? ThoughtPieces(plan_.script) : std::vector<std::string>();
  const bool old = dialect_ == "2025-mid";
  if (!thoughts.empty() && !old) fragments.push_back(Fragment("THINK", thoughts.front()));
  json::object document;
  document["response"] = ResponseObject(std::move(fragments));
  out += encoder_.Snapshot(document);
  const std::string thought_path = old                     ? "response/thinking_content"
                                   : dialect_ == "2025-11" ? "response/fragments/0/content"
                                                           : "response/fragments/-1/content";
  for (size_t i = old ? 0 : 1; i < thoughts.size(); ++i)
    out += encoder_.Patch({thought_path, "APPEND", json::value(thoughts[i])});
  if (!thoughts.empty()) {
    out += encoder_.Patch(
        {old ? "response/thinking_elapsed_secs" : thought_path.substr(0, thought_path.rfind('/')) + "/elapsed_secs",
         "SET", 0.84});
  }
  if (plan_.search && !old) {
    json::object search;
    search["id"] = next_fragment_++;
    search["type"] = "TOOL_SEARCH";
    search["content"] = nullptr;
    search["status"] = "WIP";
    search["queries"] = json::array{json::object{{"query", "simulated query"}}};
    search["results"] = json::array();
    search["stage_id"] = 1;
    out += encoder_.Batch("response",
                          {{"fragments", "APPEND", json::array{search}}, {"has_pending_fragment", "SET", true}});
    json::array results;
    results.push_back(json::object{{"url", "https://source.example/1"},
                                   {"title", "First source"},
                                   {"snippet", "s1"},
                                   {"query_indexes", json::array{0}}});
    results.push_back(json::object{{"url", "https://source.example/2"},
                                   {"title", "Second source"},
                                   {"snippet", "s2"},
                                   {"query_indexes", json::array{0}}});
    out += encoder_.Patch({"response/fragments/-1/results", "SET", std::move(results)});
    out += encoder_.Patch({"response/fragments/-1/status", "SET", "FINISHED"});
  }
  if (plan_.search && old) {
    out += encoder_.Patch({"response/search_results", "SET",
                           json::array{json::object{{"url", "https://source.example/1"},
                                                    {"title", "First source"},
                                                    {"snippet", "s1"},
                                                    {"cite_index", nullptr}}}});
  }
  return out;
}

std::string AnswerScript::Reopening(const std::string& continued) {
  json::object ready;
  ready["request_message_id"] = plan_.request_message;
  ready["response_message_id"] = plan_.response_message;
  ready["model_type"] = plan_.model_type;
  std::string out = Named("ready", ready);
  json::array fragments;
  fragments.push_back(Fragment("RESPONSE", plan_.script.Text("continue", "snapshot") == "snapshot" ? continued : ""));
  json::object document;
  document["response"] = ResponseObject(std::move(fragments));
  text_open_ = true;
  return out + encoder_.Snapshot(document);
}

std::string AnswerScript::OpenText(const std::string& first) {
  text_open_ = true;
  if (dialect_ == "2025-mid") return encoder_.Patch({"response/content", "APPEND", json::value(first)});
  json::array added;
  added.push_back(Fragment("RESPONSE", first));
  if (dialect_ == "2025-11")
    return encoder_.Batch("response",
                          {{"has_pending_fragment", "SET", false}, {"fragments", "APPEND", std::move(added)}});
  return encoder_.Patch({"response/fragments", "APPEND", std::move(added)});
}

std::string AnswerScript::Piece(const std::string& text) {
  std::string out;
  if (!text_open_) {
    out = OpenText(text);
  } else if (dialect_ == "2025-mid") {
    out = encoder_.Patch({"response/content", "APPEND", json::value(text)});
  } else if (dialect_ == "2025-11") {
    const int index = next_fragment_ - 3;  // ids count from 2, indexes from 0
    out = encoder_.Patch({"response/fragments/" + std::to_string(index) + "/content", "APPEND", json::value(text)});
  } else {
    out = encoder_.Patch({"response/fragments/-1/content", "APPEND", json::value(text)});
  }
  if (plan_.search && references_ == 0) {
    references_ = 1;
    if (dialect_ == "2025-mid") {
      out += encoder_.Patch({"response/content", "APPEND", " [citation:1]"});
      out += encoder_.Batch("response/search_results", {{"0/cite_index", "SET", 1}});
    } else {
      const int search_id = next_fragment_ - 2;
      out += encoder_.Batch(
          "response/fragments/-1",
          {{"content", "APPEND", "[reference:0]"},
           {"references", "SET", json::array{json::object{{"id", search_id}, {"type", "TOOL_SEARCH"}}}}});
    }
  }
  return out;
}

std::string AnswerScript::Ending(const std::string& status, int64_t tokens) {
  std::string out;
  if (dialect_ == "2025-11") {
    out += encoder_.Batch("response",
                          {{"status", "SET", json::value(status)}, {"accumulated_token_usage", "SET", tokens}});
    out += Named("finish", json::object());
  } else if (dialect_ == "2025-mid") {
    out += encoder_.Patch({"response/status", "SET", json::value(status)});
    out += Named("finish", json::object());
  } else {
    out += encoder_.Batch("response",
                          {{"accumulated_token_usage", "SET", tokens}, {"quasi_status", "SET", json::value(status)}});
    out += encoder_.Patch({"response/status", "SET", json::value(status)});
  }
  return out + Tail() + Closing(false);
}

std::string AnswerScript::Withdrawal(int64_t tokens) {
  json::array fragments;
  fragments.push_back(
      json::object{{"id", 9}, {"type", "TEMPLATE_RESPONSE"}, {"content", "Let us talk about something else."}});
  std::string out = encoder_.Batch("response", {{"ban_regenerate", "SET", true},
                                                {"status", "SET", "CONTENT_FILTER"},
                                                {"accumulated_token_usage", "SET", tokens},
                                                {"fragments", "SET", std::move(fragments)},
                                                {"quasi_status", "SET", "CONTENT_FILTER"}});
  return out + Named("finish", json::object()) + Tail() + Closing(false);
}

std::string AnswerScript::Hint(const std::string& finish_reason) {
  json::object hint;
  hint["type"] = "error";
  hint["content"] = "shown to the user";
  hint["clear_response"] = true;
  hint["finish_reason"] = finish_reason;
  return DeltaEncoder(false).Spell(hint);
}

std::string AnswerScript::Tail() const {
  json::object touched;
  touched["updated_at"] = kInsertedAt + 3;
  json::object title;
  title["content"] = "Simulated";
  return Named("update_session", touched) + Named("title", title);
}

std::string AnswerScript::Closing(bool retry) const {
  json::object close;
  close["click_behavior"] = retry ? "retry" : "none";
  close["auto_resume"] = false;
  return Named("close", close);
}

json::value AnswerScript::WholeMessage(const std::string& text, const std::string& status) const {
  json::array fragments;
  fragments.push_back(
      json::object{{"id", 2}, {"type", "RESPONSE"}, {"content", text}, {"references", json::array()}, {"stage_id", 1}});
  json::object response = ResponseObject(std::move(fragments));
  response["status"] = status;
  return response;
}

}  // namespace simulator::deepseek
