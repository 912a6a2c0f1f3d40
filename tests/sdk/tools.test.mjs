// Tool calls: every client calls, brings the result and gets its answer.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool as langchainTool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { generateText, stepCountIs, streamText, tool as aiTool } from "ai";
import OpenAI from "openai";
import { z } from "zod";
import { startRelay } from "./relay.mjs";
import { checkChat, checkChunk } from "./schemas.mjs";
import { ask, callText, collect, fold, idle, readEvents, sim } from "./support.mjs";

let relay;
let client;
before(async () => {
  relay = await startRelay();
  client = new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
after(async () => assert.equal(await relay.stop(), 0));

const parameters = { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } }, required: ["city"], additionalProperties: false };
const weather = { type: "function", function: { name: "weather", description: "The weather of a city.", parameters } };
const time = { type: "function", function: { name: "time", description: "The time in a city.", parameters } };
const calls = (...list) => ({ text: list.map(([name, args]) => callText(name, args)).join("\n"), chunk_ms: 2 });
const turin = calls(["weather", { city: "Turin" }]);
// What a tool answers is what the model says next.
const result = sim({ text: "It rains in Turin." });

const route = "/v1/chat/completions";
async function whole(body) {
  const response = await relay.post(route, body);
  const answer = await response.json();
  assert.equal(response.status, 200, JSON.stringify(answer));
  checkChat(answer);
  return answer.choices[0];
}
async function streamed(body) {
  const response = await relay.post(route, { ...body, stream: true });
  assert.equal(response.status, 200, response.ok ? "" : await response.clone().text());
  const read = await readEvents(response);
  for (const chunk of read.chunks) checkChunk(chunk);
  return { ...read, ...fold(read.chunks)[0] };
}

for (const model of ["deepseek", "kimi", "metaso", "doubao", "qwen", "zhipu", "minimax"]) {
  test(`${model} calls, whole and streamed`, async () => {
    const body = ask(turin, { model, tools: [weather], reasoning_format: "separate", history: "flatten" });
    const { message, finish_reason } = await whole(body);
    assert.equal(finish_reason, "tool_calls");
    assert.equal(message.tool_calls[0].function.name, "weather");
    assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { city: "Turin" });
    const { calls: fragments, finish } = await streamed(body);
    assert.equal(finish, "tool_calls");
    assert.equal(fragments[0].name, "weather");
    assert.deepEqual(JSON.parse(fragments[0].arguments), { city: "Turin" });
  });
}

test("OPENAI 24: content may be null beside calls, arguments is a string", async () => {
  const { message } = await whole(ask(turin, { tools: [weather] }));
  assert.ok("content" in message && !message.content);
  assert.equal(message.tool_calls[0].type, "function");
  assert.ok(message.tool_calls[0].id);
  assert.equal(typeof message.tool_calls[0].function.arguments, "string");
});

test("OPENAI 42: fragments have an index each, id and type in the first alone, arguments in strings", async () => {
  const { chunks, calls: folded } = await streamed(ask(calls(["weather", { city: "Turin", days: 3 }], ["time", { city: "Oslo" }]), { tools: [weather, time] }));
  const fragments = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
  const ids = new Set();
  for (const index of [0, 1]) {
    const [first, ...rest] = fragments.filter((fragment) => fragment.index === index);
    assert.equal(first.type, "function");
    assert.ok(first.id && first.function.name);
    ids.add(first.id);
    for (const fragment of rest) assert.deepEqual([fragment.id, fragment.type, fragment.function.name], [undefined, undefined, undefined]);
  }
  for (const fragment of fragments) assert.equal(typeof fragment.function.arguments, "string");
  assert.equal(ids.size, 2);
  assert.deepEqual(folded.map((call) => [call.name, JSON.parse(call.arguments)]), [["weather", { city: "Turin", days: 3 }], ["time", { city: "Oslo" }]]);
});

test("OPENAI 43: a turn with calls ends with tool_calls, whole and streamed", async () => {
  const body = ask(turin, { tools: [weather] });
  assert.equal((await whole(body)).finish_reason, "tool_calls");
  assert.equal((await streamed(body)).finish, "tool_calls");
});

test("a call whatever its arguments hold", async () => {
  for (const city of ["Ürümqi 乌鲁木齐 🏙️", 'a "b" \\ c', "</tool_call>", "line\nbreak\ttab", "{}", "[[x]]", "<think>"]) {
    const { message } = await whole(ask(calls(["weather", { city }]), { tools: [weather], model: "qwen" }));
    assert.deepEqual(JSON.parse(message.tool_calls?.[0].function.arguments ?? "null"), { city });
  }
});

test("text before a call stays text, and none of the call is in it", async () => {
  const script = { text: `Let me look. ${turin.text}`, chunk_ms: 2 };
  const { text, calls: fragments } = await streamed(ask(script, { tools: [weather] }));
  assert.equal(text.trim(), "Let me look.");
  assert.equal(fragments.length, 1);
});

test("an answer without a call, and one where calls are not allowed", async () => {
  const plain = await whole(ask({ text: "It is dry." }, { tools: [weather] }));
  assert.equal(plain.finish_reason, "stop");
  assert.equal(plain.message.content, "It is dry.");
  assert.equal(plain.message.tool_calls, undefined);
  const none = await whole(ask({ text: "It is dry." }, { tools: [weather], tool_choice: "none" }));
  assert.equal(none.message.content, "It is dry.");
});

test("a call that is required, named or one of some", async () => {
  for (const tool_choice of [
    "required",
    { type: "function", function: { name: "weather" } },
    { type: "allowed_tools", allowed_tools: { mode: "required", tools: [{ type: "function", function: { name: "weather" } }] } },
  ]) {
    const { message } = await whole(ask(turin, { tools: [weather, time], tool_choice }));
    assert.equal(message.tool_calls[0].function.name, "weather");
  }
});

test("one call an answer if parallel_tool_calls is false", async () => {
  const { message } = await whole(ask(calls(["weather", { city: "Turin" }], ["time", { city: "Oslo" }]), { tools: [weather, time], parallel_tool_calls: false }));
  assert.equal(message.tool_calls.length, 1);
});

test("the older form: functions", async () => {
  const { message, finish_reason } = await whole(ask(turin, { functions: [weather.function] }));
  assert.equal(message.function_call.name, "weather");
  assert.equal(finish_reason, "function_call");
  const messages = [{ role: "user", content: sim(turin) }, message, { role: "function", name: "weather", content: result }];
  assert.equal((await whole({ model: "deepseek-chat", messages, functions: [weather.function] })).message.content, "It rains in Turin.");
});

test("faults of tools are the caller's", async () => {
  for (const [more, param] of [
    [{ tools: [{ type: "function" }] }, /^tools\[0\]/],
    [{ tools: [{ type: "function", function: { name: "a b" } }] }, /^tools\[0\]/],
    [{ tools: [weather, weather] }, /^tools/],
    [{ tools: [weather], tool_choice: { type: "function", function: { name: "nothing" } } }, /^tool_choice/],
    [{ tool_choice: "required" }, /^tool_choice/],
    [{ tools: [{ type: "function", function: { name: "a", parameters: { type: "nothing" } } }] }, /^tools\[0\]/],
  ]) {
    await assert.rejects(client.chat.completions.create(ask(turin, more)), (error) => {
      assert.equal(error.status, 400, JSON.stringify(more));
      assert.match(error.param, param);
      return true;
    });
  }
});

test("a call that is given up stops the platform", async () => {
  const chunks = await client.chat.completions.create(ask({ text: callText("weather", { city: "x ".repeat(2000) }), chunk_ms: 20 }, { tools: [weather], stream: true }));
  for await (const _ of chunks) break;
  await idle(relay);
});

test("openai: call, result, answer", async () => {
  const messages = [{ role: "user", content: sim(turin) }];
  const first = await client.chat.completions.create({ model: "kimi", messages, tools: [weather] });
  messages.push(first.choices[0].message);
  messages.push({ role: "tool", tool_call_id: first.choices[0].message.tool_calls[0].id, content: result });
  const second = await client.chat.completions.create({ model: "kimi", messages, tools: [weather] });
  assert.equal(second.choices[0].message.content, "It rains in Turin.");
  assert.equal(second.choices[0].finish_reason, "stop");
});

for (const stream of [false, true]) {
  test(`openai: its own loop, ${stream ? "streamed" : "whole"}`, async () => {
    const seen = [];
    const runner = client.chat.completions.runTools({
      ...ask(turin),
      stream,
      tools: [{ type: "function", function: { ...weather.function, parse: JSON.parse, function: (args) => (seen.push(args), result) } }],
    });
    assert.equal(await runner.finalContent(), "It rains in Turin.");
    assert.deepEqual(seen, [{ city: "Turin" }]);
  });
}

test("AI SDK: its own loop, whole and streamed", async () => {
  const provider = createOpenAICompatible({ name: "switchyard", baseURL: `${relay.url}/v1`, apiKey: "unused" });
  for (const run of [generateText, streamText]) {
    const seen = [];
    const answer = run({
      model: provider("qwen"),
      prompt: sim(calls(["weather", { city: "Turin" }], ["weather", { city: "Oslo" }])),
      maxRetries: 0,
      stopWhen: stepCountIs(3),
      tools: {
        weather: aiTool({ description: "The weather of a city.", inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => (seen.push(city), result) }),
      },
    });
    const { text, steps } = await answer;
    assert.equal(await text, "It rains in Turin.");
    assert.deepEqual(seen.sort(), ["Oslo", "Turin"]);
    const all = await steps;
    assert.deepEqual(all.map((step) => step.finishReason), ["tool-calls", "stop"]);
  }
});

test("LangChain: call, result, answer, whole and streamed", async () => {
  const lookup = langchainTool(async ({ city }) => (assert.equal(city, "Turin"), result), { name: "weather", description: "The weather of a city.", schema: z.object({ city: z.string() }) });
  const model = new ChatOpenAI({ model: "kimi", apiKey: "unused", maxRetries: 0, configuration: { baseURL: `${relay.url}/v1` } }).bindTools([lookup]);
  for (const run of [(messages) => model.invoke(messages), async (messages) => (await collect(await model.stream(messages))).reduce((all, chunk) => all.concat(chunk))]) {
    const messages = [new HumanMessage(sim(turin))];
    const first = await run(messages);
    assert.deepEqual(first.tool_calls.map(({ name, args }) => [name, args]), [["weather", { city: "Turin" }]]);
    messages.push(first, new ToolMessage({ tool_call_id: first.tool_calls[0].id, content: await lookup.invoke(first.tool_calls[0].args) }));
    assert.equal((await run(messages)).text, "It rains in Turin.");
  }
});
