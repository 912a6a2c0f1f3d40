// Anthropic's SDK as a client of /v1/messages.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { startRelay } from "./relay.mjs";
import { callText, collect, idle, sim } from "./support.mjs";

let relay;
let client;
before(async () => {
  relay = await startRelay();
  client = new Anthropic({ baseURL: relay.url, apiKey: "unused", maxRetries: 0 });
});
after(async () => assert.equal(await relay.stop(), 0));

const colours = { text: "Red, green, blue", think: "Hmm.", chunk_ms: 2 };
const say = (script, more = {}) => ({ model: "kimi", max_tokens: 1000, messages: [{ role: "user", content: sim(script) }], ...more });
const weather = { name: "weather", description: "The weather of a city.", input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } };
const text = (message) => message.content.filter((block) => block.type === "text").map((block) => block.text).join("");

test("whole", async () => {
  const answer = await client.messages.create(say(colours));
  assert.equal(text(answer), "Red, green, blue");
  assert.equal(answer.type, "message");
  assert.equal(answer.role, "assistant");
  assert.equal(answer.stop_reason, "end_turn");
  assert.equal(answer.model, "kimi");
  assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0);
});

test("streamed: events in their order", async () => {
  const all = await collect(await client.messages.create(say(colours, { stream: true })));
  const types = all.map((event) => event.type).filter((type) => type !== "ping");
  assert.equal(types[0], "message_start");
  assert.deepEqual(types.slice(-3), ["content_block_stop", "message_delta", "message_stop"]);
  const starts = all.filter((event) => event.type === "content_block_start").map((event) => event.index);
  assert.deepEqual(starts, starts.map((_, index) => index));
  assert.equal(all.filter((event) => event.delta?.type === "text_delta").map((event) => event.delta.text).join(""), "Red, green, blue");
});

test("the SDK's own stream helper", async () => {
  const stream = client.messages.stream(say(colours));
  assert.equal(text(await stream.finalMessage()), "Red, green, blue");
});

test("a system prompt and a history", async () => {
  const messages = [{ role: "user", content: "Hello" }, { role: "assistant", content: "Hi." }, { role: "user", content: [{ type: "text", text: sim(colours) }] }];
  for (const system of ["Be brief.", [{ type: "text", text: "Be brief." }]])
    assert.equal(text(await client.messages.create({ model: "kimi", max_tokens: 100, system, messages })), "Red, green, blue");
});

test("thinking comes in blocks of its own", async () => {
  const body = say(colours, { model: "deepseek-reasoner", max_tokens: 4000, thinking: { type: "enabled", budget_tokens: 1024 } });
  const answer = await client.messages.create(body);
  assert.deepEqual(answer.content.map((block) => block.type), ["thinking", "text"]);
  assert.equal(answer.content[0].thinking, "Hmm.");
  const streamed = await client.messages.stream(body).finalMessage();
  assert.deepEqual(streamed.content.map((block) => block.type), ["thinking", "text"]);
});

test("stop sequences and limits", async () => {
  const stopped = await client.messages.create(say({ text: "One two three" }, { stop_sequences: [" three"] }));
  assert.equal(text(stopped), "One two");
  assert.equal(stopped.stop_reason, "stop_sequence");
  const cut = await client.messages.create(say({ text: "One two three four" }, { max_tokens: 2 }));
  assert.equal(cut.stop_reason, "max_tokens");
});

for (const stream of [false, true]) {
  test(`call, result, answer, ${stream ? "streamed" : "whole"}`, async () => {
    const run = (body) => (stream ? client.messages.stream(body).finalMessage() : client.messages.create(body));
    const body = say({ text: callText("weather", { city: "Turin" }), chunk_ms: 2 }, { tools: [weather] });
    const first = await run(body);
    assert.equal(first.stop_reason, "tool_use");
    const call = first.content.find((block) => block.type === "tool_use");
    assert.deepEqual([call.name, call.input], ["weather", { city: "Turin" }]);
    body.messages.push({ role: "assistant", content: first.content }, { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: sim({ text: "It rains." }) }] });
    assert.equal(text(await run(body)), "It rains.");
  });
}

test("errors have the SDK's own classes", async () => {
  const rejects = (body, kind, type) =>
    assert.rejects(client.messages.create(body), (error) => {
      assert.ok(error instanceof kind, `${error}`);
      assert.equal(error.error.type, "error");
      assert.equal(error.error.error.type, type);
      return true;
    });
  await rejects(say(colours, { model: "claude-none" }), Anthropic.NotFoundError, "not_found_error");
  await rejects({ model: "kimi", messages: [{ role: "user", content: "x" }] }, Anthropic.BadRequestError, "invalid_request_error");
  await rejects(say({ fault: "empty" }), Anthropic.InternalServerError, "api_error");
});

test("an answer that breaks off raises", async () => {
  await assert.rejects(
    (async () => {
      for await (const _ of await client.messages.create(say({ text: "One two three", fault: "cut", at: 2, chunk_ms: 10 }, { stream: true })));
    })(),
    Anthropic.APIError,
  );
});

test("a limit of the platform is waited for", async () => {
  await relay.plan("kimi", "fault=http_429 retry_after=1");
  const patient = new Anthropic({ baseURL: relay.url, apiKey: "unused", maxRetries: 2 });
  assert.equal(text(await patient.messages.create(say({ text: "At last" }))), "At last");
});

test("a stream that is given up stops the platform", async () => {
  const stream = await client.messages.create(say({ chunks: 1000, chunk_ms: 20 }, { stream: true }));
  for await (const event of stream) if (event.type === "content_block_delta") break;
  await idle(relay, "kimi");
});
