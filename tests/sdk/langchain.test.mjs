// LangChain as a client.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AIMessage, HumanMessage, SystemMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";
import { startRelay } from "./relay.mjs";
import { collect, idle, sim } from "./support.mjs";

process.env.LANGSMITH_TRACING = "false";

let relay;
before(async () => {
  relay = await startRelay();
});
after(async () => assert.equal(await relay.stop(), 0));

const chat = (model = "kimi", more = {}) =>
  new ChatOpenAI({ model, apiKey: "unused", maxRetries: 0, configuration: { baseURL: `${relay.url}/v1` }, ...more });

test("whole", async () => {
  const answer = await chat().invoke(sim({ text: "Red, green" }));
  assert.equal(answer.text, "Red, green");
  assert.equal(answer.response_metadata.finish_reason, "stop");
  assert.equal(answer.usage_metadata.total_tokens, answer.usage_metadata.input_tokens + answer.usage_metadata.output_tokens);
});

test("streamed", async () => {
  const chunks = await collect(await chat().stream(sim({ text: "Red, green, blue", chunk_ms: 2 })));
  const answer = chunks.reduce((all, chunk) => all.concat(chunk));
  assert.equal(answer.text, "Red, green, blue");
  assert.equal(answer.response_metadata.finish_reason, "stop");
  assert.ok(answer.usage_metadata.total_tokens > 0);
});

test("a system message and a history", async () => {
  const answer = await chat().invoke([new SystemMessage("Be brief."), new HumanMessage("Hello"), new AIMessage("Hi."), new HumanMessage(sim({ text: "Fine" }))]);
  assert.equal(answer.text, "Fine");
});

test("reasoning is kept in additional_kwargs", async () => {
  const model = chat("deepseek-reasoner", { modelKwargs: { reasoning_format: "separate" } });
  const script = sim({ text: "42", think: "Six by seven." });
  const whole = await model.invoke(script);
  assert.equal(whole.text, "42");
  assert.equal(whole.additional_kwargs.reasoning_content, "Six by seven.");
  const streamed = (await collect(await model.stream(script))).reduce((all, chunk) => all.concat(chunk));
  assert.equal(streamed.additional_kwargs.reasoning_content, "Six by seven.");
});

test("limits and stop sequences", async () => {
  const cut = await chat("kimi", { maxTokens: 2 }).invoke(sim({ text: "One two three four" }));
  assert.equal(cut.text.trimEnd(), "One two");
  assert.equal(cut.response_metadata.finish_reason, "length");
  assert.equal((await chat().invoke(sim({ text: "One two three" }), { stop: [" three"] })).text, "One two");
});

test("errors", async () => {
  await assert.rejects(chat("gpt-4").invoke("x"), (error) => error.status === 404 && error.code === "model_not_found");
  await assert.rejects(chat("kimi", { temperature: 9 }).invoke("x"), (error) => error.status === 400 && error.param === "temperature");
  await assert.rejects(chat().invoke(sim({ fault: "empty" })), (error) => error.status === 502 && error.code === "upstream_empty");
});

test("an answer that breaks off raises", async () => {
  let text = "";
  await assert.rejects(
    (async () => {
      for await (const chunk of await chat().stream(sim({ text: "One two three", fault: "cut", at: 2, chunk_ms: 10 }))) text += chunk.text;
    })(),
    (error) => error.code === "upstream_broken",
  );
  assert.equal(text, "One two");
});

test("a limit of the platform is tried again", async () => {
  await relay.plan("kimi", "fault=http_429 retry_after=1");
  const answer = await chat("kimi", { maxRetries: 4 }).invoke(sim({ text: "At last" }));
  assert.equal(answer.text, "At last");
});

test("a stream that is aborted stops the platform", async () => {
  const controller = new AbortController();
  await assert.rejects(
    (async () => {
      for await (const chunk of await chat().stream(sim({ chunks: 1000, chunk_ms: 20 }), { signal: controller.signal })) {
        if (chunk.text) controller.abort();
      }
    })(),
  );
  await idle(relay, "kimi");
  assert.equal((await chat().invoke(sim({ text: "Free" }))).text, "Free");
});

test("batches", async () => {
  const answers = await chat("qwen").batch([sim({ text: "One" }), sim({ text: "Two" }), sim({ text: "Three" })]);
  assert.deepEqual(answers.map((answer) => answer.text), ["One", "Two", "Three"]);
});
