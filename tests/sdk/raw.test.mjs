// The bytes on the wire, read without an SDK: every response and every chunk against the SDK's own types, and one test for each
// behaviour that clients depend on. OPENAI 24, 42 and 43 are in tools.test.mjs.
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { heartbeat, startRelay } from "./relay.mjs";
import { check, checkChat, checkChunk, checkError, extensions, schemaOf } from "./schemas.mjs";
import { ask, fold, idle, readEvents, sim } from "./support.mjs";

let relay;
before(async () => {
  relay = await startRelay();
});
after(async () => assert.equal(await relay.stop(), 0));

const route = "/v1/chat/completions";

async function whole(body) {
  const response = await relay.post(route, body);
  const answer = await response.json();
  assert.equal(response.status, 200, JSON.stringify(answer));
  checkChat(answer);
  return { response, answer };
}

async function streamed(body) {
  const response = await relay.post(route, { ...body, stream: true });
  assert.equal(response.status, 200, response.status === 200 ? "" : await response.clone().text());
  const read = await readEvents(response);
  for (const chunk of read.chunks) checkChunk(chunk);
  if (read.error) checkError(read.error);
  return { response, ...read };
}

async function refused(body, status) {
  const response = await relay.post(route, body);
  assert.equal(response.status, status);
  const answer = await response.json();
  assert.deepEqual(Object.keys(answer), ["error"]);
  checkError(answer.error);
  return { response, error: answer.error };
}

const colours = { text: "Red, green, blue", think: "Hmm.", chunk_ms: 2 };
const usage = { stream_options: { include_usage: true } };

// ---- everything the relay says is of the types

test("the schemas are strict, and wide only where the relay adds something", () => {
  checkChat({ id: "1", object: "chat.completion", created: 1, model: "m", choices: [] });
  assert.throws(() => checkChat({ id: "1", object: "chat.completion", created: 1, model: "m", choices: [], other: 1 }), /other/);
  assert.throws(() => checkChat({ id: "1", object: "chat.completion", created: 1, choices: [] }), /model/);
  assert.throws(() => checkChunk({ id: "1", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: { content: 1 }, finish_reason: null }] }), /content/);
  const known = ["WireChatCompletion", "WireChatCompletionChunk", "WireCompletion", "WireResponseStreamEvent"].map((name) => schemaOf(name).definitions);
  for (const type of Object.keys(extensions)) assert.ok(known.some((definitions) => definitions[type]), `no type ${type}`);
});

const models = { deepseek: "deepseek-reasoner", kimi: "kimi-thinking-search", metaso: "metaso", doubao: "doubao-thinking", qwen: "qwen3-max-thinking", zhipu: "zhipu-search", minimax: "minimax" };
for (const [platform, model] of Object.entries(models)) {
  test(`${platform}: every answer and every chunk is of the SDK's types`, async () => {
    for (const reasoning_format of ["think", "separate", "tags", "hidden"]) {
      const { answer } = await whole(ask(colours, { model, reasoning_format }));
      const { chunks, done } = await streamed(ask(colours, { model, reasoning_format, ...usage }));
      assert.ok(done);
      assert.equal(fold(chunks)[0].text, answer.choices[0].message.content);
      assert.equal(fold(chunks)[0].reasoning, answer.choices[0].message.reasoning_content ?? "");
    }
  });
}

test("citations, refusals, notices and kept conversations are of the types", async () => {
  const cited = await whole(ask(colours, { model: "deepseek-search" }));
  assert.ok(cited.answer.choices[0].message.annotations.length > 0);
  const citing = await streamed(ask(colours, { model: "deepseek-search" }));
  assert.ok(fold(citing.chunks)[0].annotations.length > 0);

  const withdrawn = { text: "One two three", fault: "content_filter", at: 1 };
  const { answer } = await whole(ask(withdrawn));
  assert.equal(answer.choices[0].finish_reason, "content_filter");
  assert.ok(answer.choices[0].message.refusal);
  assert.equal(fold((await streamed(ask(withdrawn))).chunks)[0].finish, "content_filter");

  const history = [{ role: "user", content: "Hello" }, { role: "assistant", content: "Hi." }, { role: "user", content: sim(colours) }];
  assert.equal((await whole({ model: "metaso", messages: history })).answer.notices[0].code, "history_not_sent");
  assert.equal((await streamed({ model: "metaso", messages: history })).chunks[0].notices[0].code, "history_not_sent");

  assert.ok((await whole(ask(colours, { keep_conversation: true }))).answer.conversation_id);
  assert.ok((await streamed(ask(colours, { keep_conversation: true }))).chunks[0].conversation_id);
});

test("models are of the type", async () => {
  const list = await (await fetch(`${relay.url}/v1/models`)).json();
  assert.deepEqual(Object.keys(list), ["object", "data"]);
  assert.equal(list.object, "list");
  assert.ok(list.data.length > 20);
  for (const model of list.data) check("WireModel", model);
  check("WireModel", await (await fetch(`${relay.url}/v1/models/${list.data[0].id}`)).json());
});

test("errors are of the type, whoever refuses", async () => {
  await refused("{", 400);
  await refused([], 400);
  await refused({}, 400);
  await refused(ask(colours, { model: "gpt-4" }), 404);
  await refused(ask({ fault: "empty" }), 502);
  for (const [path, init, status] of [
    ["/v1/nothing", {}, 404],
    [route, {}, 405],
    [route, { method: "POST", headers: { "Content-Type": "text/plain" }, body: "{}" }, 415],
    ["/v1/models/none", {}, 404],
  ]) {
    const response = await fetch(relay.url + path, init);
    assert.equal(response.status, status, path);
    assert.match(response.headers.get("x-request-id"), /^req_/);
    checkError((await response.json()).error);
  }
});

// ---- whole answers

test("OPENAI 21: a whole answer is application/json", async () => {
  const { response } = await whole(ask(colours));
  assert.match(response.headers.get("content-type"), /^application\/json($|;)/);
  assert.match(response.headers.get("x-request-id"), /^req_/);
});

test("OPENAI 22: id, object, created, model and choices", async () => {
  const before = Math.floor(Date.now() / 1000);
  const { answer } = await whole(ask(colours));
  assert.match(answer.id, /^chatcmpl-/);
  assert.equal(answer.object, "chat.completion");
  assert.ok(Number.isInteger(answer.created) && answer.created >= before && answer.created <= Date.now() / 1000);
  assert.equal(answer.model, "deepseek-chat");
  assert.equal(answer.choices.length, 1);
  assert.notEqual((await whole(ask(colours))).answer.id, answer.id);
});

test("OPENAI 23: role, content and refusal are always there, content and refusal may be null", async () => {
  const { message } = (await whole(ask(colours))).answer.choices[0];
  assert.deepEqual(message, { role: "assistant", content: "Red, green, blue", refusal: null });
  const withdrawn = (await whole(ask({ text: "One two", fault: "content_filter", at: 1 }))).answer.choices[0].message;
  assert.equal(typeof withdrawn.refusal, "string");
  assert.equal(withdrawn.content, "One");
});

test("OPENAI 25: finish_reason is a word of the list", async () => {
  const reason = async (script, more) => (await whole(ask(script, more))).answer.choices[0].finish_reason;
  assert.equal(await reason(colours), "stop");
  assert.equal(await reason(colours, { stop: "green" }), "stop");
  assert.equal(await reason(colours, { max_tokens: 1 }), "length");
  assert.equal(await reason({ ...colours, fault: "content_filter", at: 1 }), "content_filter");
});

test("OPENAI 26: usage is made of whole numbers that add up", async () => {
  for (const model of ["deepseek-reasoner", "qwen3-max-thinking", "minimax"]) {
    const { usage: used } = (await whole(ask(colours, { model }))).answer;
    for (const name of ["prompt_tokens", "completion_tokens", "total_tokens"]) assert.ok(Number.isInteger(used[name]) && used[name] >= 0, name);
    assert.equal(used.total_tokens, used.prompt_tokens + used.completion_tokens);
    assert.ok(used.completion_tokens_details.reasoning_tokens <= used.completion_tokens);
  }
});

test("OPENAI 27: logprobs is null, no fingerprint is made up", async () => {
  const { answer } = await whole(ask(colours));
  assert.equal(answer.choices[0].logprobs, null);
  assert.equal(answer.system_fingerprint, undefined);
});

test("OPENAI 28: length and content_filter are reported truthfully, whole and streamed", async () => {
  for (const [script, more, reason] of [
    [colours, { max_completion_tokens: 1 }, "length"],
    [{ ...colours, fault: "content_filter", at: 1 }, {}, "content_filter"],
  ]) {
    assert.equal((await whole(ask(script, more))).answer.choices[0].finish_reason, reason);
    assert.equal(fold((await streamed(ask(script, more))).chunks)[0].finish, reason);
  }
  // An answer that is exactly as long as it may be is complete.
  assert.equal((await whole(ask({ text: "One two" }, { max_tokens: 2 }))).answer.choices[0].finish_reason, "stop");
});

// ---- streams

test("OPENAI 29: a stream is text/event-stream in UTF-8, its events one data line and an empty line", async () => {
  const { response, text, events } = await streamed(ask({ text: "四 four, très\u2028bien\u0085 🙂", chunk_ms: 2 }));
  assert.match(response.headers.get("content-type"), /^text\/event-stream/);
  assert.match(response.headers.get("x-request-id"), /^req_/);
  assert.equal(response.headers.get("cache-control"), "no-cache");
  assert.ok(!text.includes("\r"));
  assert.ok(events.every((event) => event.name === undefined));
  assert.equal(fold(events.map((event) => event.data))[0].text, "四 four, très\u2028bien\u0085 🙂");
});

test("OPENAI 30: silence is filled with comments, and every client reads on", async () => {
  const slow = { text: "At last", first_ms: heartbeat + 500 };
  const clients = new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: "unused", maxRetries: 0 });
  const [raw, helper] = await Promise.all([
    streamed(ask(slow)),
    clients.chat.completions.stream(ask(slow, { model: "qwen" })).finalChatCompletion(),
  ]);
  assert.ok(raw.comments.length >= 1);
  assert.ok(raw.text.startsWith(":"));
  assert.equal(fold(raw.chunks)[0].text, "At last");
  assert.equal(helper.choices[0].message.content, "At last");
});

test("OPENAI 31: neither id: nor retry: fields", async () => {
  const { text } = await streamed(ask(colours, usage));
  assert.doesNotMatch(text, /^(id|retry)\s*:/m);
});

test("OPENAI 32: the first chunk carries the role", async () => {
  for (const model of Object.values(models)) {
    const { chunks } = await streamed(ask(colours, { model }));
    assert.equal(chunks[0].choices[0].delta.role, "assistant", model);
  }
});

test("OPENAI 33: the role comes once", async () => {
  for (const model of Object.values(models)) assert.equal(fold((await streamed(ask(colours, { model }))).chunks)[0].roles, 1, model);
});

test("OPENAI 34: every chunk has the same id and the same created", async () => {
  const { chunks } = await streamed(ask({ ...colours, chunk_ms: 40, chunks: 30 }, usage));  // longer than a second
  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
  assert.equal(new Set(chunks.map((chunk) => chunk.created)).size, 1);
});

test("OPENAI 35: every chunk names object and model", async () => {
  for (const chunk of (await streamed(ask(colours, usage))).chunks) {
    assert.equal(chunk.object, "chat.completion.chunk");
    assert.equal(chunk.model, "deepseek-chat");
  }
});

test("OPENAI 36: the last chunk of a choice has an empty delta and the reason; a broken stream has none", async () => {
  const last = (await streamed(ask(colours))).chunks.at(-1);
  assert.deepEqual(last.choices[0].delta, {});
  assert.equal(last.choices[0].finish_reason, "stop");
  const broken = await streamed(ask({ ...colours, fault: "cut", at: 1 }, { model: "qwen" }));
  assert.equal(fold(broken.chunks)[0].finish, null);
  assert.equal(broken.error.code, "upstream_broken");
  assert.equal(broken.done, false);
});

test("OPENAI 37: finish_reason is null on all earlier chunks", async () => {
  const { chunks } = await streamed(ask(colours));
  for (const chunk of chunks.slice(0, -1)) assert.equal(chunk.choices[0].finish_reason, null);
});

test("OPENAI 38: usage comes in one more chunk, and only if it is asked for", async () => {
  const asked = (await streamed(ask(colours, usage))).chunks;
  assert.deepEqual(asked.at(-1).choices, []);
  assert.ok(asked.at(-1).usage.total_tokens > 0);
  for (const chunk of asked.slice(0, -1)) assert.equal(chunk.usage, null);
  for (const more of [{}, { stream_options: { include_usage: false } }, { stream_options: {} }]) {
    for (const chunk of (await streamed(ask(colours, more))).chunks) assert.ok(!("usage" in chunk));
  }
  assert.equal((await refused(ask(colours, usage), 400)).error.param, "stream_options");
});

test("OPENAI 39: only the chunk of usage has no choices", async () => {
  const { chunks } = await streamed(ask(colours, usage));
  assert.equal(chunks.filter((chunk) => chunk.choices.length === 0).length, 1);
});

test("OPENAI 40: [DONE] comes last", async () => {
  for (const model of Object.values(models)) {
    const { done, text } = await streamed(ask(colours, { model, ...usage }));
    assert.ok(done, model);
    assert.ok(text.endsWith("data: [DONE]\n\n"), model);
  }
});

test("OPENAI 41: a failure inside a stream is an error event, the last one, without [DONE]", async () => {
  for (const model of ["deepseek-chat", "kimi", "metaso", "doubao", "qwen", "zhipu"]) {
    const { events, error, done } = await streamed(ask({ text: "One two three four", fault: "cut", at: 2, chunk_ms: 10 }, { model }));
    assert.equal(error?.code, "upstream_broken", model);
    assert.ok(events.at(-1).data.error, model);
    assert.equal(done, false, model);
  }
  // What fails before anything was said fails by its status.
  await refused(ask({ fault: "empty" }, { stream: true, model: "qwen" }), 502);
});

test("OPENAI 44: reasoning_content is in delta and message, and only where it is asked for", async () => {
  const body = ask(colours, { model: "deepseek-reasoner" });
  const separate = fold((await streamed({ ...body, reasoning_format: "separate" })).chunks)[0];
  assert.equal(separate.reasoning, "Hmm.");
  assert.equal(separate.text, "Red, green, blue");
  assert.equal((await whole({ ...body, reasoning_format: "separate" })).answer.choices[0].message.reasoning_content, "Hmm.");
  assert.equal(fold((await streamed(body)).chunks)[0].reasoning, "");
});

test("OPENAI 45: include_obfuscation is taken, and nothing is padded", async () => {
  const { chunks } = await streamed(ask(colours, { stream_options: { include_obfuscation: true } }));
  for (const chunk of chunks) assert.ok(!("obfuscation" in chunk));
});

test("OPENAI 46: a closed connection stops the platform, whole and streamed", async () => {
  for (const stream of [true, false]) {
    const body = JSON.stringify(ask({ chunks: 1000, chunk_ms: 20 }, { stream }));
    const request = http.request(relay.url + route, { method: "POST", headers: { "Content-Type": "application/json" } });
    request.on("error", () => {});
    request.end(body);
    if (stream) await new Promise((resolve) => request.on("response", (response) => response.once("data", resolve)));
    else while ((await relay.state("deepseek")).running === 0);
    request.destroy();
    await idle(relay);
  }
});
