// The answer of a turn, frame by frame.
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "boost/json/array.hpp"
#include "boost/json/serialize.hpp"
#include "tests/simulator/zhipu/frames.h"
#include "tests/simulator/zhipu/server.h"

namespace simulator::zhipu {

namespace json = boost::json;

std::string Frames::Raw(const std::string& payload) const {
  std::string text = script_.Number("event", 0) == 1 ? "event:message\n" : "";
  absl::StrAppend(&text, script_.Number("space", 1) == 1 ? "data: " : "data:", payload, "\n\n");
  return script_.Number("crlf", 0) == 1 ? absl::StrReplaceAll(text, {{"\n", "\r\n"}}) : text;
}

std::string Frames::Frame(const std::string& status, json::array parts, json::object more) const {
  json::object frame{{"id", message_},
                     {"conversation_id", conversation_},
                     {"parts", std::move(parts)},
                     {"created_at", "2026-10-01 09:00:00"},
                     {"status", status},
                     {"last_error", json::object()},
                     {"tool_calls", json::array()},
                     {"meta_data", json::object()}};
  for (const auto& member : more) frame[member.key()] = member.value();
  return Raw(json::serialize(frame));
}

json::array Frames::Part(const char* type, const std::string& text, bool finished) const {
  json::object block{{"type", type}, {type, text}, {"status", finished ? "finish" : "init"}};
  json::object part{{"id", part_},
                    {"logic_id", absl::StrCat("0b5a1f5e-0000-4000-8000-", type)},
                    {"role", "assistant"},
                    {"content", json::array{std::move(block)}},
                    {"status", finished ? "finish" : "init"},
                    {"meta_data", json::object()}};
  return json::array{std::move(part)};
}

std::string Frames::Piece(const char* type, std::string& so_far, const std::string& piece) const {
  so_far += piece;
  return Frame("init", Part(type, script_.Text("mode") == "delta" ? piece : so_far, false));
}

std::string Frames::Whole(const char* type, const std::string& text) const {
  return Frame("init", Part(type, text, true));
}

std::string Frames::Between() const {
  return script_.Number("comments", 0) == 1 ? ": still here\n\n" + Frame("init", {}) : "";
}

std::string Frames::Sources() const {
  json::object first{{"match_key", "turn0search0"}, {"url", "https://source.example/1"}, {"title", "First source"}};
  json::object second{{"match_key", "turn0search1"}, {"url", "https://source.example/2"}, {"title", "Second source"}};
  json::object extra{{"search_results", json::array{std::move(first), std::move(second)}}};
  json::object meta{{"tool_result_extra", std::move(extra)}};
  json::object block{{"type", "tool_result"}, {"content", ""}};
  json::object part{{"id", part_},        {"logic_id", "0b5a1f5e-0000-4000-8000-search"},
                    {"role", "tool"},     {"content", json::array{std::move(block)}},
                    {"status", "finish"}, {"meta_data", std::move(meta)}};
  return Frame("init", json::array{std::move(part)});
}

std::string Frames::Fault(const std::string& fault) const {
  if (fault == "garbage") return Raw("{\"parts\":[");
  if (fault == "bad_utf8") return Raw("{\"status\":\"init\",\"parts\":[],\"x\":\"\xFF\xFE\"}");
  if (fault == "oversized") return Raw(absl::StrCat("{\"x\":\"", std::string(2 * 1024 * 1024, 'x'), "\"}"));
  json::object aborted{{"error_code", 10024}, {"err_msg", "generator exit"}};
  if (fault == "error") return Frame("error", {}, {{"error", aborted}, {"last_error", aborted}});
  if (fault == "last_error") return Frame("init", {}, {{"last_error", aborted}});
  json::object unknown{{"error_code", 19999}, {"err_msg", "something new"}};
  if (fault == "error_unknown") return Frame("error", {}, {{"error", unknown}});
  json::object said{{"intervene_text", "Let us talk about something else."}};
  if (fault == "content_filter" || fault == "filter_early") return Frame("intervene", {}, {{"last_error", said}});
  if (fault == "filter_finish") return Frame("intervene", {}, {{"last_error", said}}) + Frame("finish", {});
  return "";
}

boost::asio::awaitable<void> Server::Answer(switchyard::HttpResponder& responder, Script script,
                                            std::string conversation, std::string prompt, bool thinking, bool search) {
  const Frames frames(script, conversation, NextId(), NextId());
  const std::string fault = script.fault();
  std::vector<std::string> pieces = TextPieces(script, prompt);
  if (search && script.Number("cite", 0) == 1 && !pieces.empty()) {
    pieces.insert(pieces.begin() + 1, {"【turn0sea", "rch0】"});
    pieces.push_back("【turn0search1】");
  }
  std::string opening = frames.Frame("init", {}), thought;
  if (thinking && fault != "empty") {
    for (const std::string& piece : ThoughtPieces(script)) opening += frames.Piece("think", thought, piece);
    if (!thought.empty()) opening += frames.Whole("think", thought);
  }
  if (search) opening += frames.Sources();
  bool over = fault == "filter_early";
  if (over) opening = frames.Frame("init", {}) + frames.Fault(fault);

  ScriptedBody body(responder, script);
  switchyard::HttpHeaders headers{{"Content-Type", "text/event-stream; charset=utf-8"}};
  bool alive = co_await body.Begin(std::move(headers));
  if (alive) alive = co_await body.Write(opening);
  std::string text;
  for (size_t i = 0; alive && !over && i < pieces.size(); ++i) {
    if (Stopped(frames.part())) break;
    alive = co_await body.BeforePiece(i);
    if (!alive) break;
    const std::string bad = body.Now(fault, i) ? frames.Fault(fault) : "";
    over = !bad.empty() && fault != "bad_utf8";
    std::string bytes = bad + (over ? "" : frames.Between() + frames.Piece("text", text, pieces[i]));
    alive = co_await body.Write(std::move(bytes));
  }
  if (alive && !over) alive = co_await body.BeforeEnd(pieces.size());
  if (alive && !over) {
    const bool repeat = script.Text("terminal") == "parts";
    std::string closing = text.empty() ? "" : frames.Whole("text", text);
    closing += frames.Frame("finish", repeat && !text.empty() ? frames.Part("text", text, true) : json::array());
    alive = co_await body.Write(std::move(closing));
  }
  if (alive) co_await body.End();
  if (body.client_gone()) journal_.Count("client_gone");
}

}  // namespace simulator::zhipu
