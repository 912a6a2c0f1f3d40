// Several answers to one request, and the older endpoint that takes several prompts.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { HumanMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";
import OpenAI from "openai";
import { startRelay } from "./relay.mjs";
import { check, checkChat, checkChunk } from "./schemas.mjs";
import { ask, collect, fold, idle, readEvents, sim } from "./support.mjs";

let relay;
let client;
before(async () => {
  relay = await startRelay();
  client = new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
after(async () => assert.equal(await relay.stop(), 0));

const colours = { text: "Red, green, blue", chunk_ms: 2 };
const usage = { stream_options: { include_usage: true } };

test("n answers, whole", async () => {
  const answer = await (await relay.post("/v1/chat/completions", ask(colours, { model: "qwen", n: 3 }))).json();
  checkChat(answer);
  assert.deepEqual(answer.choices.map((choice) => choice.index), [0, 1, 2]);
  for (const choice of answer.choices) assert.equal(choice.message.content, "Red, green, blue");
  const one = await client.chat.completions.create(ask(colours, { model: "qwen" }));
  assert.ok(answer.usage.completion_tokens >= 3 * one.usage.completion_tokens);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test("n answers, streamed: each index has one role and one end, the stream one usage and one [DONE]", async () => {
  const read = await readEvents(await relay.post("/v1/chat/completions", ask(colours, { model: "qwen", n: 3, stream: true, ...usage })));
  for (const chunk of read.chunks) checkChunk(chunk);
  assert.ok(read.done);
  const choices = fold(read.chunks);
  assert.equal(choices.length, 3);
  for (const choice of choices) {
    assert.equal(choice.text, "Red, green, blue");
    assert.equal(choice.roles, 1);
    assert.equal(choice.finish, "stop");
  }
  assert.equal(read.chunks.filter((chunk) => chunk.usage).length, 1);
  assert.deepEqual(read.chunks.at(-1).choices, []);
  assert.equal(new Set(read.chunks.map((chunk) => chunk.id)).size, 1);
});

test("openai's helper puts n streams together", async () => {
  const answer = await client.chat.completions.stream(ask(colours, { model: "qwen", n: 2 })).finalChatCompletion();
  assert.deepEqual(answer.choices.map((choice) => choice.message.content), ["Red, green, blue", "Red, green, blue"]);
});

test("LangChain: n generations", async () => {
  const model = new ChatOpenAI({ model: "kimi", n: 2, apiKey: "unused", maxRetries: 0, configuration: { baseURL: `${relay.url}/v1` } });
  const { generations } = await model.generate([[new HumanMessage(sim(colours))]]);
  assert.deepEqual(generations[0].map((generation) => generation.text), ["Red, green, blue", "Red, green, blue"]);
});

test("n that cannot be had is the caller's fault", async () => {
  for (const more of [{ n: 0 }, { n: 9 }, { n: 1.5 }, { n: 2, keep_conversation: true }])
    await assert.rejects(client.chat.completions.create(ask(colours, more)), (error) => error.status === 400 && error.param === "n");
});

test("one answer of several that fails, fails all", async () => {
  await relay.plan("qwen", "fault=empty");
  await assert.rejects(client.chat.completions.create(ask(colours, { model: "qwen", n: 2 })), (error) => error.code === "upstream_empty");
});

test("several answers that are given up stop the platform", async () => {
  const chunks = await client.chat.completions.create(ask({ chunks: 1000, chunk_ms: 20 }, { model: "kimi", n: 2, stream: true }));
  for await (const _ of chunks) break;
  await idle(relay, "kimi");
});

test("text completions, whole and streamed", async () => {
  const body = { model: "qwen", prompt: sim(colours) };
  const answer = await client.completions.create(body);
  assert.equal(answer.choices[0].text, "Red, green, blue");
  check("WireCompletion", await (await relay.post("/v1/completions", body)).json());
  const read = await readEvents(await relay.post("/v1/completions", { ...body, stream: true, ...usage }));
  for (const chunk of read.chunks) check("WireCompletion", chunk);
  assert.ok(read.done);
  assert.equal(read.chunks.map((chunk) => chunk.choices[0]?.text ?? "").join(""), "Red, green, blue");
  const chunks = await collect(await client.completions.create({ ...body, stream: true }));
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
});

test("text completions of several prompts", async () => {
  const answer = await client.completions.create({ model: "qwen", prompt: [sim({ text: "One" }), sim({ text: "Two" })], n: 2 });
  assert.deepEqual(answer.choices.map((choice) => [choice.index, choice.text]), [[0, "One"], [1, "One"], [2, "Two"], [3, "Two"]]);
});
