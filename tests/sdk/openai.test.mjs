// OpenAI's own SDK as a client.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { getEncoding } from "js-tiktoken";
import OpenAI from "openai";
import { startRelay } from "./relay.mjs";
import { ask, collect, fold, idle, until } from "./support.mjs";

let relay;
let client;
before(async () => {
  relay = await startRelay();
  client = new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
after(async () => assert.equal(await relay.stop(), 0));

const create = (body, options) => client.chat.completions.create(body, options);
const stream = async (body) => {
  const chunks = await collect(await create({ ...body, stream: true }));
  return { ...fold(chunks)[0], chunks };
};

for (const model of ["deepseek-chat", "deepseek-reasoner"]) {
  const thought = model === "deepseek-reasoner" ? "<think:Hmm.>" : "";
  const script = { text: "Red, green, blue", think: "Hmm.", chunk_ms: 2 };

  test(`${model}: whole`, async () => {
    const answer = await create(ask(script, { model }));
    assert.equal(answer.choices[0].message.content, `${thought}Red, green, blue`);
    assert.equal(answer.choices[0].message.role, "assistant");
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
    assert.match(answer._request_id, /^req_/);
  });

  test(`${model}: streamed`, async () => {
    const answer = await stream(ask(script, { model, stream_options: { include_usage: true } }));
    assert.equal(answer.text, `${thought}Red, green, blue`);
    assert.equal(answer.finish, "stop");
    assert.ok(answer.chunks.at(-1).usage.total_tokens > 0);
    assert.equal(new Set(answer.chunks.map((chunk) => chunk.id)).size, 1);
    assert.equal(new Set(answer.chunks.map((chunk) => chunk.created)).size, 1);
    assert.equal(answer.roles, 1);
  });
}

for (const model of ["deepseek", "kimi", "metaso", "doubao", "qwen", "zhipu", "minimax"]) {
  test(`${model} answers, whole and streamed`, async () => {
    const body = ask({ text: "四 four, très bien 🙂" }, { model, reasoning_format: "separate" });
    assert.equal((await create(body)).choices[0].message.content, "四 four, très bien 🙂");
    assert.equal((await stream(body)).text, "四 four, très bien 🙂");
  });
}

test("the SDK's own stream helper", async () => {
  const runner = client.chat.completions.stream(ask({ text: "Red, green", chunk_ms: 2 }));
  const deltas = [];
  runner.on("content", (delta) => deltas.push(delta));
  const answer = await runner.finalChatCompletion();
  assert.equal(answer.choices[0].message.content, "Red, green");
  assert.equal(deltas.join(""), "Red, green");
});

test("a stream handed on and read again", async () => {
  const runner = client.chat.completions.stream(ask({ text: "Red, green", chunk_ms: 2 }));
  const { ChatCompletionStream } = await import("openai/lib/ChatCompletionStream");
  const again = ChatCompletionStream.fromReadableStream(runner.toReadableStream());
  assert.equal((await again.finalChatCompletion()).choices[0].message.content, "Red, green");
});

test("reasoning as a field of its own", async () => {
  const body = ask({ text: "42", think: "Six by seven." }, { model: "deepseek-reasoner", reasoning_format: "separate" });
  const whole = await create(body);
  assert.equal(whole.choices[0].message.content, "42");
  assert.equal(whole.choices[0].message.reasoning_content, "Six by seven.");
  assert.equal((await stream(body)).reasoning, "Six by seven.");
});

test("reasoning in tags, or hidden", async () => {
  const text = async (reasoning_format) => (await stream(ask({ text: "42", think: "Six by seven." }, { model: "deepseek-reasoner", reasoning_format }))).text;
  assert.equal(await text("tags"), "<think>Six by seven.</think>42");
  assert.equal(await text("hidden"), "42");
});

test("citations", async () => {
  const body = ask({ text: "As is known." }, { model: "deepseek-search" });
  const whole = await create(body);
  const urls = whole.choices[0].message.annotations.map((annotation) => annotation.url_citation.url);
  assert.deepEqual(urls, ["https://source.example/1", "https://source.example/2"]);
  assert.deepEqual((await stream(body)).annotations, whole.choices[0].message.annotations);
});

test("a system message, a history and parts", async () => {
  const messages = [
    { role: "system", content: "Be brief." },
    { role: "developer", content: "Be kind." },
    { role: "user", content: "Hello", name: "ann" },
    { role: "assistant", content: "Hi." },
    { role: "user", content: [{ type: "text", text: "[[sim: text=Fine]]" }] },
  ];
  assert.equal((await create({ model: "deepseek-chat", messages })).choices[0].message.content, "Fine");
});

test("a kept conversation goes on", async () => {
  const first = await create(ask({ text: "One" }, { keep_conversation: true }));
  assert.ok(first.conversation_id);
  const second = await create(ask({ text: "Two" }, { conversation_id: first.conversation_id }));
  assert.equal(second.choices[0].message.content, "Two");
});

test("stop sequences and limits", async () => {
  const stopped = await create(ask({ text: "One two three" }, { stop: [" three", "four"] }));
  assert.equal(stopped.choices[0].message.content, "One two");
  assert.equal(stopped.choices[0].finish_reason, "stop");
  const cut = await stream(ask({ text: "One two three four five six" }, { max_completion_tokens: 2 }));
  assert.equal(cut.text.trimEnd(), "One two");
  assert.equal(cut.finish, "length");
});

test("usage: an estimate is marked and near what a tokenizer counts", async () => {
  const encoding = getEncoding("o200k_base");
  const texts = [
    "The sea is salty because rivers carry dissolved minerals from rocks into it, and water evaporates while the salt stays behind.",
    "海水之所以是咸的，是因为河流把岩石中溶解的矿物质带入海洋，水分蒸发之后盐分留了下来，经过漫长的岁月越积越多。",
  ];
  for (const text of texts) {
    const { usage } = await create(ask({ text }, { model: "qwen" }));
    assert.equal(usage.estimated, true);
    const ratio = usage.completion_tokens / encoding.encode(text).length;
    assert.ok(ratio > 0.6 && ratio < 1.6, `${ratio}: ${text}`);
  }
  assert.equal((await create(ask({ text: "Red" }))).usage.estimated, undefined);  // the platform counts itself
});

test("models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes("deepseek-chat") && ids.includes("deepseek-reasoner"));
  assert.equal((await client.models.retrieve("deepseek-chat")).owned_by, "deepseek");
  await assert.rejects(client.models.retrieve("a/b"), OpenAI.NotFoundError);
});

test("errors have the SDK's own classes", async () => {
  const rejects = (body, kind, more) =>
    assert.rejects(create(body), (error) => {
      assert.ok(error instanceof kind, `${error}`);
      assert.match(error.requestID, /^req_/);
      for (const [name, value] of Object.entries(more)) assert.equal(error[name], value);
      return true;
    });
  await rejects(ask("x", { model: "gpt-4" }), OpenAI.NotFoundError, { code: "model_not_found", param: "model", status: 404 });
  await rejects(ask("x", { temperature: 9 }), OpenAI.BadRequestError, { code: "invalid_request", param: "temperature" });
  await rejects(ask("x", { temperature: "hot" }), OpenAI.BadRequestError, { param: "temperature" });
  await rejects(ask("x", { logprobs: true }), OpenAI.BadRequestError, { code: "unsupported_parameter", param: "logprobs" });
  await rejects({ model: "deepseek-chat" }, OpenAI.BadRequestError, { param: "messages" });
  await rejects(ask({ fault: "empty" }), OpenAI.InternalServerError, { code: "upstream_empty", status: 502 });
  await rejects(ask({ fault: "http_500" }), OpenAI.InternalServerError, { code: "upstream_unavailable" });
});

test("an answer that breaks off raises", async () => {
  const chunks = await create(ask({ text: "One two three", fault: "cut", at: 2, chunk_ms: 10 }, { stream: true }));
  let text = "";
  await assert.rejects(
    (async () => {
      for await (const chunk of chunks) text += chunk.choices[0]?.delta.content ?? "";
    })(),
    (error) => error instanceof OpenAI.APIError && error.code === "upstream_broken",
  );
  assert.equal(text, "One two");
  await idle(relay);
});

test("an answer that is withdrawn", async () => {
  const answer = await stream(ask({ text: "One two three", fault: "content_filter", at: 1 }));
  assert.equal(answer.finish, "content_filter");
  assert.ok(answer.refusal.length > 0);
});

// Times of the attempts of one call.
function counted(maxRetries) {
  const times = [];
  const counting = new OpenAI({
    baseURL: `${relay.url}/v1`,
    apiKey: "unused",
    maxRetries,
    fetch: (...request) => {
      times.push(Date.now());
      return fetch(...request);
    },
  });
  return { times, create: (body) => counting.chat.completions.create(body) };
}

test("a limit of the platform is waited for as Retry-After says", async () => {
  await relay.plan("deepseek", "fault=http_429 retry_after=2");
  const { times, create: again } = counted(2);
  const answer = await again(ask({ text: "At last" }));
  assert.equal(answer.choices[0].message.content, "At last");
  assert.equal(times.length, 2);
  assert.ok(times[1] - times[0] >= 2000, `${times[1] - times[0]} ms`);
});

test("what would fail again is not tried again", async () => {
  for (const body of [ask("x", { temperature: 9 }), ask("x", { model: "gpt-4" }), ask({ text: "One two", fault: "garbage", at: 0 }, { model: "qwen" })]) {
    const { times, create: again } = counted(2);
    await assert.rejects(again(body));
    assert.equal(times.length, 1, JSON.stringify(body));
  }
});

for (const [how, stop] of [
  ["break", () => true],
  ["abort()", (chunks) => chunks.controller.abort()],
]) {
  test(`a stream that is given up by ${how} stops the platform and frees the account`, async () => {
    const chunks = await create(ask({ chunks: 1000, chunk_ms: 20 }, { stream: true }));
    for await (const chunk of chunks) if (chunk.choices[0]?.delta.content && stop(chunks)) break;
    await idle(relay);
    assert.equal((await create(ask({ text: "Free" }))).choices[0].message.content, "Free");
  });
}

test("a whole answer that is given up stops the platform", async () => {
  const controller = new AbortController();
  const answer = create(ask({ chunks: 1000, chunk_ms: 20 }), { signal: controller.signal });
  await until(async () => (await relay.state("deepseek")).running > 0);
  controller.abort();
  await assert.rejects(answer, OpenAI.APIUserAbortError);
  await idle(relay);
});

test("a time limit of the client", async () => {
  await assert.rejects(create(ask({ chunks: 1000, chunk_ms: 20 }), { timeout: 300 }), OpenAI.APIConnectionTimeoutError);
  await idle(relay);
});

test("several at once on one account wait for their turn", async () => {
  const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => create(ask({ text: `Number ${i}` }))));
  assert.deepEqual(answers.map((answer) => answer.choices[0].message.content), Array.from({ length: 6 }, (_, i) => `Number ${i}`));
});

test("./run says loudly that answers are simulated", () => assert.match(relay.banner, /SIMULATED/));
