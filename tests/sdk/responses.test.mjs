// The Responses API, as far as a relay without a memory can serve it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { startRelay } from "./relay.mjs";
import { check } from "./schemas.mjs";
import { callText, idle, parseEvents, sim } from "./support.mjs";

let relay;
let client;
before(async () => {
  relay = await startRelay();
  client = new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
after(async () => assert.equal(await relay.stop(), 0));

const colours = { text: "Red, green, blue", think: "Hmm.", chunk_ms: 2 };
const say = (script, more = {}) => ({ model: "qwen", store: false, input: sim(script), ...more });
const weather = { type: "function", name: "weather", description: "The weather of a city.", strict: true, parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false } };

async function events(body) {
  const response = await relay.post("/v1/responses", { ...body, stream: true });
  assert.equal(response.status, 200, response.ok ? "" : await response.clone().text());
  const read = parseEvents(await response.text());
  for (const { name, data } of read.events) {
    assert.equal(name, data.type);
    check("WireResponseStreamEvent", data);
  }
  return read.events.map((event) => event.data);
}

test("whole", async () => {
  const answer = await client.responses.create(say(colours));
  assert.equal(answer.output_text, "Red, green, blue");
  assert.equal(answer.status, "completed");
  assert.equal(answer.object, "response");
  assert.ok(answer.usage.total_tokens > 0);
  check("WireResponse", await (await relay.post("/v1/responses", say(colours))).json());
});

test("streamed: every event is of the types, numbered, in order", async () => {
  const all = await events(say(colours));
  assert.deepEqual(all.map((event) => event.sequence_number), all.map((_, index) => index));
  assert.equal(all[0].type, "response.created");
  assert.equal(all.at(-1).type, "response.completed");
  assert.equal(all.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta).join(""), "Red, green, blue");
  assert.equal(all.find((event) => event.type === "response.output_text.done").text, "Red, green, blue");
});

test("openai's stream helper", async () => {
  const stream = client.responses.stream(say(colours));
  const deltas = [];
  stream.on("response.output_text.delta", (event) => deltas.push(event.delta));
  assert.equal((await stream.finalResponse()).output_text, "Red, green, blue");
  assert.equal(deltas.join(""), "Red, green, blue");
});

test("instructions and a history as items", async () => {
  const answer = await client.responses.create({
    model: "kimi",
    store: false,
    instructions: "Be brief.",
    input: [
      { role: "user", content: "Hello" },
      { type: "message", role: "assistant", content: [{ type: "output_text", text: "Hi.", annotations: [] }] },
      { role: "user", content: [{ type: "input_text", text: sim(colours) }] },
    ],
  });
  assert.equal(answer.output_text, "Red, green, blue");
});

test("reasoning is an item of its own", async () => {
  const answer = await client.responses.create(say(colours, { model: "deepseek-reasoner", reasoning: { effort: "high", summary: "auto" } }));
  assert.equal(answer.output_text, "Red, green, blue");
  assert.equal(answer.output[0].type, "reasoning");
});

test("call, result, answer", async () => {
  const first = await client.responses.create(say({ text: callText("weather", { city: "Turin" }) }, { tools: [weather] }));
  const call = first.output.find((item) => item.type === "function_call");
  assert.deepEqual(JSON.parse(call.arguments), { city: "Turin" });
  const second = await client.responses.create({
    model: "qwen",
    store: false,
    tools: [weather],
    input: [{ role: "user", content: "Rain?" }, ...first.output, { type: "function_call_output", call_id: call.call_id, output: sim({ text: "It rains." }) }],
  });
  assert.equal(second.output_text, "It rains.");
});

test("a call, streamed", async () => {
  const all = await events(say({ text: callText("weather", { city: "Turin" }), chunk_ms: 2 }, { tools: [weather] }));
  const done = all.find((event) => event.type === "response.function_call_arguments.done");
  assert.deepEqual(JSON.parse(done.arguments), { city: "Turin" });
});

test("structured output", async () => {
  const Place = z.object({ city: z.string() });
  const answer = await client.responses.parse(say({ text: '{"city":"Turin"}' }, { text: { format: zodTextFormat(Place, "place") } }));
  assert.deepEqual(answer.output_parsed, { city: "Turin" });
});

test("a limit makes the response incomplete", async () => {
  const answer = await client.responses.create(say({ text: "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen" }, { max_output_tokens: 16 }));
  assert.equal(answer.status, "incomplete");
  assert.equal(answer.incomplete_details.reason, "max_output_tokens");
});

test("what needs a memory is refused by name", async () => {
  for (const more of [{ previous_response_id: "resp_1" }, { conversation: "conv_1" }, { background: true }])
    await assert.rejects(client.responses.create(say(colours, more)), (error) => error.status === 400 && error.param === Object.keys(more)[0]);
  await assert.rejects(client.responses.retrieve("resp_1"), OpenAI.NotFoundError);
});

test("errors", async () => {
  await assert.rejects(client.responses.create(say(colours, { model: "gpt-4" })), OpenAI.NotFoundError);
  await assert.rejects(client.responses.create({ model: "qwen" }), (error) => error.status === 400 && error.param === "input");
});

test("an answer that breaks off raises, and says so in an event", async () => {
  const broken = say({ text: "One two three", fault: "cut", at: 2, chunk_ms: 10 });
  await assert.rejects(client.responses.stream(broken).finalResponse(), OpenAI.OpenAIError);
  const all = await events(broken);
  assert.equal(all.find((event) => event.type === "response.failed").response.status, "failed");
  assert.equal(all.some((event) => event.type === "response.completed"), false);
});

test("a stream that is given up stops the platform", async () => {
  const stream = await client.responses.create(say({ chunks: 1000, chunk_ms: 20 }, { stream: true }));
  for await (const event of stream) if (event.type === "response.output_text.delta") break;
  await idle(relay, "qwen");
});
