// The client in typed form. It is compiled, not run: what the relay answers is of these types, so programs written in
// TypeScript need no casts but for the relay's own fields.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

type Extras = {
  reasoning_format?: "think" | "separate" | "tags" | "hidden";
  web_search?: boolean;
  conversation_id?: string;
  keep_conversation?: boolean;
  account?: string;
  history?: "flatten" | "last";
  ignore_unsupported?: boolean;
};
type Request = OpenAI.Chat.ChatCompletionCreateParamsNonStreaming & Extras;
type Reasoning = { reasoning_content?: string };

const client = new OpenAI({ baseURL: "http://127.0.0.1:8000/v1", apiKey: "unused" });

export async function whole(question: string): Promise<string> {
  const request: Request = {
    model: "deepseek-reasoner",
    messages: [{ role: "user", content: question }],
    reasoning_format: "separate",
    keep_conversation: true,
  };
  const answer: OpenAI.Chat.ChatCompletion & { _request_id?: string | null } = await client.chat.completions.create(request);
  const message: OpenAI.Chat.ChatCompletionMessage & Reasoning = answer.choices[0]!.message;
  const thoughts: string | undefined = message.reasoning_content;
  return `${thoughts ?? ""}${message.content ?? ""}${answer.usage?.total_tokens ?? 0}${answer._request_id ?? ""}`;
}

export async function streamed(question: string): Promise<string> {
  const stream = await client.chat.completions.create({
    model: "qwen",
    messages: [{ role: "user", content: question }],
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  for await (const chunk of stream) {
    const delta: (OpenAI.Chat.ChatCompletionChunk.Choice.Delta & Reasoning) | undefined = chunk.choices[0]?.delta;
    text += delta?.content ?? delta?.reasoning_content ?? "";
  }
  return text;
}

export async function called(): Promise<string> {
  const tools: OpenAI.Chat.ChatCompletionTool[] = [
    { type: "function", function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } } },
  ];
  const messages: OpenAI.Chat.ChatCompletionMessageParam[] = [{ role: "user", content: "Rain in Turin?" }];
  const first = await client.chat.completions.create({ model: "kimi", messages, tools });
  const message = first.choices[0]!.message;
  messages.push(message);
  for (const call of message.tool_calls ?? []) {
    if (call.type !== "function") continue;
    const { city } = JSON.parse(call.function.arguments) as { city: string };
    messages.push({ role: "tool", tool_call_id: call.id, content: `Rain in ${city}.` });
  }
  return (await client.chat.completions.create({ model: "kimi", messages, tools })).choices[0]?.message.content ?? "";
}

export async function parsed(): Promise<number> {
  const Sum = z.object({ sum: z.number() });
  const answer = await client.chat.completions.parse({
    model: "qwen",
    messages: [{ role: "user", content: "One and one?" }],
    response_format: zodResponseFormat(Sum, "sum"),
  });
  return answer.choices[0]?.message.parsed?.sum ?? 0;
}

export async function failed(error: unknown): Promise<string> {
  if (error instanceof OpenAI.RateLimitError) return error.headers.get("retry-after") ?? "";
  if (error instanceof OpenAI.APIError) return `${error.status ?? 0} ${error.code ?? ""} ${error.param ?? ""} ${error.requestID ?? ""}`;
  throw error;
}

export async function response(): Promise<string> {
  const answer = await client.responses.create({ model: "qwen", input: "Hello", store: false });
  return answer.output_text;
}
