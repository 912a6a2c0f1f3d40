// Vercel's AI SDK as a client.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, RetryError, streamText } from "ai";
import { startRelay } from "./relay.mjs";
import { ask, collect, idle, sim, until } from "./support.mjs";

let relay;
let provider;
before(async () => {
  relay = await startRelay();
  provider = createOpenAICompatible({ name: "switchyard", baseURL: `${relay.url}/v1`, apiKey: "unused", includeUsage: true });
});
after(async () => assert.equal(await relay.stop(), 0));

const call = (script, more = {}, model = "deepseek-chat") => ({ model: provider(model), prompt: sim(script), maxRetries: 0, ...more });
const separate = { providerOptions: { switchyard: { reasoning_format: "separate" } } };

test("whole", async () => {
  const answer = await generateText(call({ text: "Red, green" }));
  assert.equal(answer.text, "Red, green");
  assert.equal(answer.finishReason, "stop");
  assert.ok(answer.usage.inputTokens > 0 && answer.usage.outputTokens > 0);
  assert.equal(answer.response.modelId, "deepseek-chat");
  assert.equal(answer.response.headers["content-type"], "application/json");
});

test("streamed", async () => {
  const answer = streamText(call({ text: "Red, green, blue", chunk_ms: 2 }));
  assert.equal((await collect(answer.textStream)).join(""), "Red, green, blue");
  assert.equal(await answer.finishReason, "stop");
  const usage = await answer.usage;
  assert.equal(usage.totalTokens, usage.inputTokens + usage.outputTokens);
});

test("a system prompt and a history", async () => {
  const { text } = await generateText({
    model: provider("kimi"),
    system: "Be brief.",
    messages: [
      { role: "user", content: "Hello" },
      { role: "assistant", content: "Hi." },
      { role: "user", content: [{ type: "text", text: sim({ text: "Fine" }) }] },
    ],
    maxRetries: 0,
  });
  assert.equal(text, "Fine");
});

test("reasoning comes as parts of its own", async () => {
  const script = { text: "42", think: "Six by seven." };
  const whole = await generateText(call(script, separate, "deepseek-reasoner"));
  assert.equal(whole.reasoningText, "Six by seven.");
  assert.equal(whole.text, "42");
  assert.ok(whole.usage.outputTokenDetails.reasoningTokens > 0);

  const parts = await collect(streamText(call(script, separate, "deepseek-reasoner")).fullStream);
  const text = (type) => parts.filter((part) => part.type === type).map((part) => part.text).join("");
  assert.equal(text("reasoning-delta"), "Six by seven.");
  assert.equal(text("text-delta"), "42");
  const order = parts.map((part) => part.type).filter((type) => /^(reasoning|text)-(start|end)$/.test(type));
  assert.deepEqual(order, ["reasoning-start", "reasoning-end", "text-start", "text-end"]);
});

test("limits and stop sequences", async () => {
  const cut = await generateText(call({ text: "One two three four" }, { maxOutputTokens: 2 }));
  assert.equal(cut.text.trimEnd(), "One two");
  assert.equal(cut.finishReason, "length");
  assert.equal((await generateText(call({ text: "One two three" }, { stopSequences: [" three"] }))).text, "One two");
});

test("errors", async () => {
  const rejects = (arguments_, status, message, retryable) =>
    assert.rejects(generateText(arguments_), (error) => {
      assert.ok(APICallError.isInstance(error), `${error}`);
      assert.equal(error.statusCode, status);
      assert.match(error.message, message);
      assert.equal(error.isRetryable, retryable);
      return true;
    });
  await rejects(call({}, {}, "gpt-4"), 404, /gpt-4/, false);
  await rejects(call({}, { temperature: 9 }), 400, /temperature/, false);
  await rejects(call({ fault: "muted", mute_s: 1 }), 403, /deepseek/i, false);
  await until(async () => (await relay.post("/v1/chat/completions", ask({ text: "Back" }))).ok);
  await rejects(call({ fault: "empty" }, {}, "qwen"), 502, /qwen/i, true);
});

test("an answer that breaks off is an error part", async () => {
  const errors = [];
  const answer = streamText(call({ text: "One two three", fault: "cut", at: 2, chunk_ms: 10 }, { onError: ({ error }) => errors.push(error) }, "qwen"));
  const parts = await collect(answer.fullStream);
  assert.equal(errors.length, 1);
  assert.ok(parts.some((part) => part.type === "error"));
  assert.equal(parts.filter((part) => part.type === "text-delta").map((part) => part.text).join(""), "One two");
  assert.notEqual(parts.findLast((part) => part.type === "finish")?.finishReason, "stop");
});

test("a limit of the platform is waited for as Retry-After says", async () => {
  await relay.plan("qwen", "fault=http_429 retry_after=2");
  const start = Date.now();
  const answer = await generateText(call({ text: "At last" }, { maxRetries: 2 }, "qwen"));
  assert.equal(answer.text, "At last");
  assert.ok(Date.now() - start >= 2000);
});

test("tries end", async () => {
  await assert.rejects(generateText(call({ fault: "empty" }, { maxRetries: 1 }, "qwen")), (error) => RetryError.isInstance(error) && error.errors.length === 2);
});

test("a stream that is aborted stops the platform", async () => {
  const controller = new AbortController();
  const answer = streamText(call({ chunks: 1000, chunk_ms: 20 }, { abortSignal: controller.signal }, "qwen"));
  for await (const part of answer.fullStream) {
    if (part.type === "text-delta") controller.abort();
  }
  await idle(relay, "qwen");
  assert.equal((await generateText(call({ text: "Free" }, {}, "qwen"))).text, "Free");
});
