// The official SDK as a client.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { startRelay } from "./relay.mjs";

let relay;
let client;
before(async () => {
  relay = await startRelay();
  client = new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
after(async () => {
  assert.equal(await relay.stop(), 0);
});

const ask = (content, more = {}) => ({ model: "deepseek-chat", messages: [{ role: "user", content }], ...more });

async function collect(stream) {
  const all = { text: "", reasoning: "", finish: null, chunks: [], usage: null };
  for await (const chunk of stream) {
    all.chunks.push(chunk);
    if (chunk.usage) all.usage = chunk.usage;
    const choice = chunk.choices[0];
    if (!choice) continue;
    all.text += choice.delta.content ?? "";
    all.reasoning += choice.delta.reasoning_content ?? "";
    all.finish = choice.finish_reason ?? all.finish;
  }
  return all;
}

for (const model of ["deepseek-chat", "deepseek-reasoner"]) {
  const thought = model === "deepseek-reasoner" ? "<think:Hmm.>" : "";
  const content = "[[sim: text=Red,+green,+blue think=Hmm. chunk_ms=2]]";

  test(`${model}: whole`, async () => {
    const answer = await client.chat.completions.create(ask(content, { model }));
    assert.equal(answer.choices[0].message.content, `${thought}Red, green, blue`);
    assert.equal(answer.choices[0].message.role, "assistant");
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
    assert.match(answer._request_id, /^req_/);
  });

  test(`${model}: streamed`, async () => {
    const answer = await collect(await client.chat.completions.create(ask(content, { model, stream: true, stream_options: { include_usage: true } })));
    assert.equal(answer.text, `${thought}Red, green, blue`);
    assert.equal(answer.finish, "stop");
    assert.ok(answer.usage.total_tokens > 0);
    assert.equal(new Set(answer.chunks.map((chunk) => chunk.id)).size, 1);
    assert.equal(new Set(answer.chunks.map((chunk) => chunk.created)).size, 1);
    assert.equal(answer.chunks.filter((chunk) => chunk.choices[0]?.delta.role).length, 1);
  });
}

test("the SDK's own stream helper", async () => {
  const runner = client.chat.completions.stream(ask("[[sim: text=Red,+green chunk_ms=2]]"));
  const answer = await runner.finalChatCompletion();
  assert.equal(answer.choices[0].message.content, "Red, green");
});

test("reasoning as a field of its own", async () => {
  const more = { model: "deepseek-reasoner", reasoning_format: "separate" };
  const whole = await client.chat.completions.create(ask("[[sim: text=42 think=Six+by+seven.]]", more));
  assert.equal(whole.choices[0].message.content, "42");
  assert.equal(whole.choices[0].message.reasoning_content, "Six by seven.");
  const streamed = await collect(await client.chat.completions.create(ask("[[sim: text=42 think=Six+by+seven.]]", { ...more, stream: true })));
  assert.equal(streamed.reasoning, "Six by seven.");
});

test("models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes("deepseek-chat") && ids.includes("deepseek-reasoner"));
  assert.equal((await client.models.retrieve("deepseek-chat")).owned_by, "deepseek");
  await assert.rejects(client.models.retrieve("a/b"), OpenAI.NotFoundError);
});

test("errors have the SDK's own classes", async () => {
  await assert.rejects(client.chat.completions.create(ask("x", { model: "gpt-4" })), (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found" && error.param === "model");
  await assert.rejects(client.chat.completions.create(ask("x", { temperature: 9 })), (error) => error instanceof OpenAI.BadRequestError && error.param === "temperature");
  await assert.rejects(client.chat.completions.create(ask("[[sim: fault=empty]]")), (error) => error instanceof OpenAI.InternalServerError && error.code === "upstream_empty");
});

test("an answer that breaks off raises", async () => {
  const stream = await client.chat.completions.create(ask("[[sim: text=One+two+three fault=cut at=2 chunk_ms=10]]", { stream: true }));
  let text = "";
  await assert.rejects(
    (async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    })(),
    (error) => error instanceof OpenAI.APIError && error.code === "upstream_broken",
  );
  assert.equal(text, "One two");
});

test("an aborted stream frees the account", async () => {
  const stream = await client.chat.completions.create(ask("[[sim: chunks=1000 chunk_ms=20]]", { stream: true }));
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta.content) break;
  }
  const answer = await client.chat.completions.create(ask("[[sim: text=Free]]"));
  assert.equal(answer.choices[0].message.content, "Free");
});

test("./run says loudly that answers are simulated", () => assert.match(relay.output(), /SIMULATED/));
