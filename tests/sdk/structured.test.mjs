// Answers that are JSON, and JSON of a schema.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { ChatOpenAI } from "@langchain/openai";
import { generateObject, streamObject } from "ai";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { startRelay } from "./relay.mjs";
import { checkChat } from "./schemas.mjs";
import { ask, collect, fold, sim } from "./support.mjs";

let relay;
let client;
before(async () => {
  relay = await startRelay();
  client = new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
after(async () => assert.equal(await relay.stop(), 0));

const Place = z.object({ city: z.string(), days: z.number().int() });
const place = { city: "Turin", days: 3 };
const format = zodResponseFormat(Place, "place");
const says = (value) => ({ text: typeof value === "string" ? value : JSON.stringify(value), chunk_ms: 2 });
const content = async (script, response_format) => {
  const answer = await client.chat.completions.create(ask(script, { response_format, model: "qwen" }));
  return answer.choices[0].message.content;
};

test("a JSON object", async () => {
  assert.deepEqual(JSON.parse(await content(says(place), { type: "json_object" })), place);
});

test("what models put around JSON is taken off", async () => {
  const json = JSON.stringify(place);
  for (const text of [`\`\`\`json\n${json}\n\`\`\``, `Here it is:\n\n${json}`, `${json}\n\nThat is all.`]) {
    assert.deepEqual(JSON.parse(await content(says(text), { type: "json_object" })), place);
    assert.deepEqual(JSON.parse(await content(says(text), format)), place);
  }
});

test("openai: parse(), whole", async () => {
  const answer = await client.chat.completions.parse(ask(says(place), { response_format: format }));
  assert.deepEqual(answer.choices[0].message.parsed, place);
  const raw = await (await relay.post("/v1/chat/completions", ask(says(place), { response_format: format }))).json();
  checkChat(raw);
});

test("openai: parsed at the end of a stream", async () => {
  const runner = client.chat.completions.stream(ask(says(place), { response_format: format }));
  assert.deepEqual((await runner.finalChatCompletion()).choices[0].message.parsed, place);
});

test("an answer that does not fit is asked for once more", async () => {
  // Two turns of the platform: the second prompt holds the first answer, not the question.
  const turns = async (...answers) => {
    for (const answer of answers) await relay.plan("qwen", `text=${encodeURIComponent(says(answer).text)}`);
  };
  for (const wrong of [{ city: "Turin" }, "I would rather not.", '{"city": "Turin", "days": ']) {
    await turns(wrong, place);
    assert.deepEqual(JSON.parse(await content("Where?", format)), place);
  }
  await turns("No.", place);
  const chunks = await collect(await client.chat.completions.create(ask("Where?", { response_format: format, model: "qwen", stream: true })));
  assert.deepEqual(JSON.parse(fold(chunks)[0].text), place);
});

test("an answer that does not fit after that either is an error", async () => {
  await assert.rejects(content(says("No."), format), (error) => error instanceof OpenAI.InternalServerError && error.status === 502);
  await assert.rejects(content(says("No."), { type: "json_object" }), (error) => error.status === 502);
});

test("OPENAI 28: a strict parse raises for length and content_filter", async () => {
  const parse = (script, more = {}) => client.chat.completions.parse(ask(script, { response_format: format, ...more }));
  await assert.rejects(parse(says({ city: "Turin ".repeat(50), days: 3 }), { max_completion_tokens: 5 }), OpenAI.LengthFinishReasonError);
  await assert.rejects(parse({ ...says({ city: "Turin by the river", days: 3 }), fault: "content_filter", at: 2 }), OpenAI.ContentFilterFinishReasonError);
});

test("faults of the format are the caller's", async () => {
  for (const [response_format, param] of [
    [{ type: "xml" }, /^response_format\.type/],
    [{ type: "json_schema" }, /^response_format\.json_schema/],
    [{ type: "json_schema", json_schema: { name: "a b", schema: {} } }, /^response_format\.json_schema\.name/],
    [{ type: "json_schema", json_schema: { name: "a", schema: { type: "nothing" } } }, /^response_format\.json_schema/],
  ]) {
    await assert.rejects(content(says(place), response_format), (error) => {
      assert.equal(error.status, 400, JSON.stringify(response_format));
      assert.match(error.param, param);
      return true;
    });
  }
});

test("AI SDK: objects, whole and streamed", async () => {
  const provider = createOpenAICompatible({ name: "switchyard", baseURL: `${relay.url}/v1`, apiKey: "unused", supportsStructuredOutputs: true });
  const request = { model: provider("kimi"), schema: Place, prompt: sim(says(place)), maxRetries: 0 };
  assert.deepEqual((await generateObject(request)).object, place);
  const streamed = streamObject(request);
  for await (const partial of streamed.partialObjectStream) assert.ok(partial);
  assert.deepEqual(await streamed.object, place);
});

test("LangChain: structured output, by format and by call", async () => {
  const model = new ChatOpenAI({ model: "kimi", apiKey: "unused", maxRetries: 0, configuration: { baseURL: `${relay.url}/v1` } });
  for (const method of ["jsonSchema", "jsonMode"]) {
    assert.deepEqual(await model.withStructuredOutput(Place, { name: "place", method }).invoke(sim(says(place))), place);
  }
});
