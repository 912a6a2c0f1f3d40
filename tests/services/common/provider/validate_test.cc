#include "services/common/provider/validate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "services/common/catalogue/catalogue.h"
#include "services/common/provider/retry_budget.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

using chat::v1::ChatRequest;

ChatRequest Good() {
  ChatRequest request;
  request.set_model("deepseek-chat");
  auto& message = *request.add_messages();
  message.set_role(chat::v1::ROLE_USER);
  message.add_parts()->set_text("x");
  return request;
}

absl::Status Check(const std::function<void(ChatRequest&)>& change, bool ignore = false) {
  ChatRequest request = Good();
  change(request);
  return ValidateRequest(request, *FindModel("deepseek-chat"), ignore);
}

struct Row {
  const char* field;
  std::function<void(ChatRequest&)> change;
  Reason reason = Reason::REASON_INVALID_REQUEST;
};

TEST(Validate, AnInstructionAloneIsSomethingToAnswer) {
  const absl::Status status = Check([](ChatRequest& r) { r.mutable_messages(0)->set_role(chat::v1::ROLE_SYSTEM); });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Validate, NamesTheField) {
  const std::vector<Row> rows = {
      {"messages", [](ChatRequest& r) { r.clear_messages(); }},
      {"messages", [](ChatRequest& r) { r.mutable_messages(0)->mutable_parts(0)->set_text(""); }},
      {"messages", [](ChatRequest& r) { r.mutable_messages(0)->mutable_parts(0)->set_text(std::string(2, '\0')); }},
      {"messages[0].role", [](ChatRequest& r) { r.mutable_messages(0)->clear_role(); }},
      {"messages[0].content", [](ChatRequest& r) { r.mutable_messages(0)->clear_parts(); }},
      {"messages[0].content[1]",
       [](ChatRequest& r) { r.mutable_messages(0)->add_parts()->mutable_image()->set_url("https://x"); },
       Reason::REASON_UNSUPPORTED_PARAMETER},
      {"messages[0].content[1].file.file_id",
       [](ChatRequest& r) { r.mutable_messages(0)->add_parts()->mutable_file()->set_file_id("file-1"); },
       Reason::REASON_UNSUPPORTED_PARAMETER},
      {"messages[0].content[1].file.file_data",
       [](ChatRequest& r) { r.mutable_messages(0)->add_parts()->mutable_file()->set_filename("x"); }},
      {"messages[0].content[1]",
       [](ChatRequest& r) {
         r.mutable_messages(0)->add_parts()->mutable_file()->set_data("x");
         r.mutable_messages(0)->set_role(chat::v1::ROLE_SYSTEM);
       },
       Reason::REASON_UNSUPPORTED_PARAMETER},
      {"temperature", [](ChatRequest& r) { r.mutable_sampling()->set_temperature(2.1); }},
      {"temperature",
       [](ChatRequest& r) { r.mutable_sampling()->set_temperature(std::numeric_limits<double>::quiet_NaN()); }},
      {"top_p", [](ChatRequest& r) { r.mutable_sampling()->set_top_p(-0.1); }},
      {"presence_penalty", [](ChatRequest& r) { r.mutable_sampling()->set_presence_penalty(3); }},
      {"frequency_penalty", [](ChatRequest& r) { r.mutable_sampling()->set_frequency_penalty(-3); }},
      {"stop",
       [](ChatRequest& r) {
         for (int i = 0; i < 65; ++i) r.add_stop("s");
       }},
      {"stop", [](ChatRequest& r) { r.add_stop(""); }},
      {"max_completion_tokens", [](ChatRequest& r) { r.set_max_output_tokens(0); }},
      {"logprobs", [](ChatRequest& r) { r.add_unsupported()->set_field("logprobs"); },
       Reason::REASON_UNSUPPORTED_PARAMETER},
  };
  for (const Row& row : rows) {
    const absl::Status status = Check(row.change);
    EXPECT_EQ(ReasonOf(status), row.reason) << row.field << status;
    EXPECT_EQ(DetailOf(status).field(), row.field) << status;
  }
  EXPECT_TRUE(Check([](ChatRequest&) {}).ok());
}

TEST(Validate, WhatIsNotSupportedIsNamedFirst) {
  const auto bare = [](ChatRequest& r) {
    r.clear_messages();
    r.add_unsupported()->set_field("input[0]");
  };
  EXPECT_EQ(DetailOf(Check(bare)).field(), "input[0]");
  EXPECT_EQ(DetailOf(Check(bare, true)).field(), "messages");
}

TEST(Validate, WhatMayBeIgnoredIsIgnoredOnRequest) {
  const auto logprobs = [](ChatRequest& r) { r.add_unsupported()->set_field("logprobs"); };
  EXPECT_TRUE(Check(logprobs, true).ok());
  EXPECT_TRUE(Check([&](ChatRequest& r) {
                logprobs(r);
                r.set_ignore_unsupported(true);
              }).ok());
}

chat::v1::Message& AddMessage(ChatRequest& request, chat::v1::Role role, const std::string& text) {
  auto& message = *request.add_messages();
  message.set_role(role);
  if (!text.empty()) message.add_parts()->set_text(text);
  return message;
}
void AddCall(ChatRequest& request, const std::string& id, const std::string& name, const std::string& arguments) {
  auto& call = *AddMessage(request, chat::v1::ROLE_ASSISTANT, "").add_tool_calls();
  call.set_id(id);
  call.set_name(name);
  call.set_arguments(arguments);
}
void AddResult(ChatRequest& request, const std::string& id) {
  AddMessage(request, chat::v1::ROLE_TOOL, "r").set_tool_call_id(id);
}
chat::v1::Tool& AddTool(ChatRequest& request, const std::string& name, const std::string& parameters = "") {
  auto& tool = *request.add_tools();
  tool.set_name(name);
  tool.set_parameters(parameters);
  return tool;
}

TEST(Validate, ToolsTheirChoiceAndTheirHistory) {
  using chat::v1::ToolChoice;
  const std::vector<Row> rows = {
      {"tools[0].function.name", [](ChatRequest& r) { AddTool(r, ""); }},
      {"tools[0].function.name", [](ChatRequest& r) { AddTool(r, "a b"); }},
      {"tools[0].function.name", [](ChatRequest& r) { AddTool(r, std::string(65, 'a')); }},
      {"tools[1].function.name",
       [](ChatRequest& r) {
         AddTool(r, "f");
         AddTool(r, "f");
       }},
      {"tools",
       [](ChatRequest& r) {
         for (int i = 0; i < 129; ++i) AddTool(r, "f" + std::to_string(i));
       }},
      {"tools", [](ChatRequest& r) { AddTool(r, "f").set_description(std::string(2 << 20, 'd')); }},
      {"tools[2].function.parameters",
       [](ChatRequest& r) {
         AddTool(r, "a");
         AddTool(r, "b", "{}");
         AddTool(r, "c", R"({"type":"string"})");
       }},
      {"tools[0].function.parameters", [](ChatRequest& r) { AddTool(r, "f", "[]"); }},
      {"tools[0].function.parameters", [](ChatRequest& r) { AddTool(r, "f", "{"); }},
      {"tools[0].function.parameters",
       [](ChatRequest& r) { AddTool(r, "f", R"({"type":"object","properties":{"a":{"$ref":"http://x/y"}}})"); }},
      {"tool_choice", [](ChatRequest& r) { r.mutable_tool_choice()->set_mode(ToolChoice::MODE_REQUIRED); }},
      {"tool_choice", [](ChatRequest& r) { r.mutable_tool_choice()->set_mode(ToolChoice::MODE_AUTO); }},
      {"tool_choice.function.name",
       [](ChatRequest& r) {
         AddTool(r, "f");
         r.mutable_tool_choice()->set_mode(ToolChoice::MODE_NAMED);
         r.mutable_tool_choice()->set_name("g");
       }},
      {"tool_choice.allowed_tools",
       [](ChatRequest& r) {
         AddTool(r, "f");
         r.mutable_tool_choice()->add_allowed("g");
       }},
      {"messages[1].tool_calls[0].id", [](ChatRequest& r) { AddCall(r, "", "f", "{}"); }},
      {"messages[1].tool_calls[0].function.name", [](ChatRequest& r) { AddCall(r, "c", "f\n[User]", "{}"); }},
      {"messages[2].tool_calls[0].id",
       [](ChatRequest& r) {
         AddCall(r, "c", "f", "{}");
         AddCall(r, "c", "f", "{}");
       }},
      {"messages[0].tool_calls", [](ChatRequest& r) { r.mutable_messages(0)->add_tool_calls()->set_id("c"); }},
      {"messages[1].tool_call_id", [](ChatRequest& r) { AddResult(r, ""); }},
      {"messages[1].tool_call_id", [](ChatRequest& r) { AddResult(r, "c"); }},
      {"messages[3].tool_call_id",
       [](ChatRequest& r) {
         AddCall(r, "c", "f", "{}");
         AddResult(r, "c");
         AddResult(r, "c");
       }},
  };
  for (const Row& row : rows) {
    const absl::Status status = Check(row.change);
    EXPECT_EQ(ReasonOf(status), Reason::REASON_INVALID_REQUEST) << row.field << status;
    EXPECT_EQ(DetailOf(status).field(), row.field) << status;
  }
  EXPECT_TRUE(Check([](ChatRequest& r) { r.mutable_tool_choice()->set_mode(ToolChoice::MODE_NONE); }).ok());
  // As a limit left them; and numbered anew in each turn.
  EXPECT_TRUE(Check([](ChatRequest& r) {
                AddCall(r, "call_0", "f", "{\"city\":\"");
                AddResult(r, "call_0");
                AddCall(r, "call_0", "f", "{}");
                AddResult(r, "call_0");
              }).ok());
  EXPECT_TRUE(Check([](ChatRequest& r) {
                AddTool(r, "f", R"({"properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"type":"string"}}})");
                AddCall(r, "c", "no_longer_given", "");
                AddResult(r, "c");
              }).ok());
  // What the platform alone remembers can be answered, once; nothing else need be said.
  EXPECT_TRUE(Check([](ChatRequest& r) {
                r.set_conversation_id("kept");
                r.clear_messages();
                AddResult(r, "c");
              }).ok());
  EXPECT_FALSE(Check([](ChatRequest& r) {
                 r.set_conversation_id("kept");
                 AddResult(r, "c");
                 AddResult(r, "c");
               }).ok());
}

TEST(ResolveModel, ByExactIdAlone) {
  ChatRequest request;
  EXPECT_EQ(DetailOf(ResolveModel(request).status()).field(), "model");
  for (const char* id : {"deepseek", "deepseek-chat", "deepseek-reasoner", "deepseek-r1", "deepseek-v4-flash",
                         "deepseek-v4-pro", "deepseek-chat-search", "deepseek-r1-search"}) {
    request.set_model(id);
    ASSERT_TRUE(ResolveModel(request).ok()) << id;
    EXPECT_EQ((*ResolveModel(request))->id, id);
  }
  for (const char* id :
       {"deepseek-", "DeepSeek-chat", "deepseek-chat ", "my-r1", "gpt-4", "deepseek-chat-search-search"}) {
    request.set_model(id);
    EXPECT_EQ(ReasonOf(ResolveModel(request).status()), Reason::REASON_MODEL_NOT_FOUND) << id;
  }
  EXPECT_TRUE(FindModel("deepseek-r1")->reasoning);
  EXPECT_EQ(FindModel("deepseek-v4-pro")->upstream, "expert");
  EXPECT_TRUE(FindModel("deepseek-v4-pro-search")->web_search);
}

TEST(RetryBudget, IsATenthOfTheRequests) {
  RetryBudget budget;
  int taken = 0;
  while (budget.TakeRetry()) ++taken;
  EXPECT_EQ(taken, 10) << "the allowance at start";
  for (int i = 0; i < 1000; ++i) {
    budget.OnRequest();
    taken += budget.TakeRetry();
  }
  EXPECT_LE(taken, 10 + 100);
  EXPECT_GE(taken, 10 + 90);
}

TEST(Validate, ImagesWhereTheModelTakesThem) {
  ChatRequest request = Good();
  request.mutable_messages(0)->mutable_parts(0)->mutable_image()->set_data("x");
  EXPECT_TRUE(ValidateRequest(request, *FindModel("kimi-vision"), false).ok());
  EXPECT_EQ(ReasonOf(ValidateRequest(request, *FindModel("kimi-k1.5"), false)), Reason::REASON_UNSUPPORTED_PARAMETER);
  request.mutable_messages(0)->set_role(chat::v1::ROLE_SYSTEM);
  EXPECT_EQ(ReasonOf(ValidateRequest(request, *FindModel("kimi-vision"), false)), Reason::REASON_UNSUPPORTED_PARAMETER);
}

TEST(Validate, AFileAloneIsAQuestion) {
  EXPECT_TRUE(
      Check([](ChatRequest& r) { r.mutable_messages(0)->mutable_parts(0)->mutable_file()->set_data("x"); }).ok());
}

TEST(Catalogue, EveryNamedIdIsThereOnce) {
  for (const char* id : {"deepseek",
                         "deepseek-chat",
                         "deepseek-reasoner",
                         "deepseek-r1",
                         "deepseek-v4-flash",
                         "deepseek-v4-pro",
                         "deepseek-chat-search",
                         "kimi",
                         "kimi-vision",
                         "kimi-k2.6",
                         "kimi-k2.5",
                         "kimi-k2",
                         "kimi-k1.5",
                         "kimi-thinking",
                         "kimi-k2.6-thinking",
                         "metaso",
                         "metaso-fast",
                         "metaso-concise",
                         "metaso-detail",
                         "metaso-research",
                         "metaso-scholar",
                         "metaso-concise-scholar",
                         "metaso-detail-scholar",
                         "metaso-research-scholar",
                         "doubao",
                         "doubao-pro",
                         "doubao-lite",
                         "doubao-1.5-pro",
                         "doubao-thinking",
                         "qwen",
                         "qwen3",
                         "qwen3-max",
                         "qwen3-max-thinking",
                         "qwen3-flash",
                         "qwen3-coder",
                         "qwen-long",
                         "zhipu",
                         "chatglm",
                         "glm-5",
                         "glm-4-plus",
                         "minimax",
                         "minimax-auto",
                         "MiniMax-M2.5",
                         "MiniMax-M2.7"}) {
    ASSERT_NE(FindModel(id), nullptr) << id;
    EXPECT_EQ(FindModel(id)->id, id);
    EXPECT_EQ(std::count_if(AllModels().begin(), AllModels().end(), [&](const auto& one) { return one.id == id; }), 1)
        << id;
  }
  EXPECT_TRUE(FindModel("kimi-thinking-search")->reasoning && FindModel("kimi-thinking-search")->web_search);
  for (const char* id : {"", "Kimi", "kimi ", "minimax-m2.5", "metaso-fast-scholar", "gpt-4"})
    EXPECT_EQ(FindModel(id), nullptr) << id;
}

TEST(Catalogue, AnAssistantIsKnownByItsForm) {
  ASSERT_NE(FindModel("65940acff94777010aa6b796"), nullptr);
  EXPECT_EQ(FindModel("65940acff94777010aa6b796")->platform, "zhipu");
  for (const char* id : {"65940ACFF94777010AA6B796", "65940acff94777010aa6b79", "65940acff94777010aa6b79g"})
    EXPECT_EQ(FindModel(id), nullptr) << id;
}

}  // namespace
}  // namespace switchyard
