// Any body is answered or refused as the caller's fault: no crash, no hang, no 500. FUZZ_SEED and
// FUZZ_COUNT choose other bodies, and how many.
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";
import { isJson, mutator } from "./mutations.mjs";
import { startRelay } from "./relay.mjs";
import { checkError } from "./schemas.mjs";
import { ask, idle, sim } from "./support.mjs";

const seed = Number(process.env.FUZZ_SEED ?? 20261101);
const count = Number(process.env.FUZZ_COUNT ?? 10_000);
const concurrency = 4;  // an account's queue must have room for all of them
const patience = 30_000;  // milliseconds, of a machine that has other things to do

let relay;
before(async () => {
  relay = await startRelay();
});
after(async () => assert.equal(await relay.stop(), 0));

const says = sim({ text: "Yes." });
const platforms = ["deepseek", "kimi", "metaso", "doubao", "qwen", "zhipu"];
const models = ["deepseek-chat", "kimi", "metaso", "doubao", "qwen", "qwen3-max-thinking", "zhipu"];
const schema = { type: "object", properties: { city: { type: "string", enum: ["Turin", "Oslo"] }, days: { type: "integer", minimum: 1 } }, required: ["city"], additionalProperties: false };
const tool = { type: "function", function: { name: "weather", description: "Of a city.", parameters: schema, strict: true } };
const picture = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const chat = (more) => ({ ...ask(says), ...more });
const bodies = {
  "/v1/chat/completions": [
    chat({}),
    chat({ stream: true, stream_options: { include_usage: true, include_obfuscation: false } }),
    chat({ temperature: 0.7, top_p: 0.9, presence_penalty: 0.1, frequency_penalty: -0.1, seed: 7, top_k: 40, stop: ["\n\n", "END"], max_tokens: 100, max_completion_tokens: 200, n: 1 }),
    chat({ messages: [{ role: "system", content: "Be brief." }, { role: "developer", content: [{ type: "text", text: "Be kind." }] }, { role: "user", content: "Hello", name: "ann" }, { role: "assistant", content: null, refusal: "No." }, { role: "user", content: [{ type: "text", text: "And" }, { type: "text", text: says }] }] }),
    chat({ messages: [{ role: "user", content: "Rain?" }, { role: "assistant", content: null, tool_calls: [{ id: "call_1", type: "function", function: { name: "weather", arguments: '{"city":"Turin"}' } }], reasoning_content: "Hm." }, { role: "tool", tool_call_id: "call_1", content: "No." }, { role: "user", content: says }], tools: [tool], tool_choice: "auto", parallel_tool_calls: false }),
    chat({ tools: [tool], tool_choice: { type: "function", function: { name: "weather" } } }),
    chat({ response_format: { type: "json_schema", json_schema: { name: "place", description: "A place.", strict: true, schema } } }),
    chat({ response_format: { type: "json_object" } }),
    chat({ n: 2, stream: true }),
    chat({ reasoning_effort: "low", reasoning: { effort: "high" }, reasoning_format: "separate", web_search: false, web_search_options: { search_context_size: "low", user_location: { type: "approximate", approximate: { country: "IT", city: "Turin", timezone: "Europe/Rome" } } }, stream: true }),
    chat({ user: "u", safety_identifier: "s", metadata: { a: "b", c: "d" }, store: false, service_tier: "auto", verbosity: "low", prompt_cache_key: "k", modalities: ["text"], logit_bias: {}, logprobs: false, ignore_unsupported: true, history: "flatten" }),
    chat({ logprobs: true, top_logprobs: 3, logit_bias: { 50256: -100 }, audio: { voice: "alloy", format: "mp3" }, prediction: { type: "content", content: "x" }, functions: [{ name: "f" }], function_call: "auto" }),
    chat({ messages: [{ role: "user", content: [{ type: "text", text: says }, { type: "image_url", image_url: { url: picture, detail: "low" } }, { type: "file", file: { filename: "a.txt", file_data: "data:text/plain;base64,aGk=" } }, { type: "input_audio", input_audio: { data: "aGk=", format: "wav" } }] }] }),
    chat({ keep_conversation: false, conversation_id: "conv_1", account: "qwen" }),
  ],
  "/v1/completions": [
    { model: "qwen", prompt: says, max_tokens: 16, temperature: 0, stop: "\n", n: 1, echo: false, suffix: null, best_of: 1, logprobs: null, user: "u" },
    { model: "qwen", prompt: [says, says], stream: true, stream_options: { include_usage: true } },
  ],
  "/v1/responses": [
    { model: "qwen", input: says, store: false, instructions: "Be brief.", max_output_tokens: 100, temperature: 1, metadata: { a: "b" } },
    { model: "qwen", stream: true, input: [{ role: "user", content: [{ type: "input_text", text: says }] }, { type: "message", role: "assistant", content: [{ type: "output_text", text: "Hi.", annotations: [] }] }, { type: "function_call", call_id: "c", name: "weather", arguments: "{}" }, { type: "function_call_output", call_id: "c", output: "No." }, { role: "user", content: says }], tools: [{ type: "function", name: "weather", parameters: schema, strict: true }], tool_choice: "auto", text: { format: { type: "text" } }, reasoning: { effort: "low", summary: "auto" } },
  ],
  "/v1/messages": [
    { model: "qwen", max_tokens: 100, system: "Be brief.", messages: [{ role: "user", content: says }], temperature: 1, stop_sequences: ["END"], metadata: { user_id: "u" } },
    { model: "qwen", max_tokens: 100, stream: true, system: [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }], messages: [{ role: "user", content: [{ type: "text", text: "Rain?" }] }, { role: "assistant", content: [{ type: "thinking", thinking: "Hm.", signature: "" }, { type: "tool_use", id: "t", name: "weather", input: { city: "Turin" } }] }, { role: "user", content: [{ type: "tool_result", tool_use_id: "t", content: "No." }, { type: "text", text: says }] }], tools: [{ name: "weather", description: "Of a city.", input_schema: schema }], tool_choice: { type: "auto" }, thinking: { type: "enabled", budget_tokens: 1024 } },
  ],
};

function send(agent, route, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(relay.url + route, { agent, method: "POST", timeout: patience, headers: { "Content-Type": "application/json", "Content-Length": body.length } });
    request.on("timeout", () => request.destroy(new Error(`no answer in ${patience} ms`)));
    request.on("error", reject);
    request.on("response", (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode, type: response.headers["content-type"], text: Buffer.concat(parts).toString() }));
    });
    request.end(body);
  });
}

/** What is wrong with an answer; nothing if it is one that this body may get. */
function fault({ status, type, text }, route, body) {
  if (status === 200 && type.startsWith("text/event-stream")) {
    const ended = route === "/v1/responses" ? /"type":"response\.(completed|incomplete)"/ : route === "/v1/messages" ? /"type":"message_stop"/ : /data: \[DONE\]\n\n$/;
    // Of several prompts one may be refused when another is already answered.
    const refused = /^(event: error\n)?data: .*"(type":"invalid_request_error|code":"invalid_request)".*\n\n$/.test(text.slice(text.slice(0, -2).lastIndexOf("\n\n") + 2));
    return ended.test(text) || refused || mayFail(text, body) ? "" : "the stream does not end as it should";
  }
  if (!isJson(Buffer.from(text))) return `status ${status}, and no JSON`;
  const answer = JSON.parse(text);
  if (status === 200) return "";
  if (route !== "/v1/messages") checkError(answer.error);
  if (status === 400) return "";
  if (status === 403 && answer.error.code === "credential_missing" && /"account"/.test(body)) return "";  // it names one
  if (status === 429 && answer.error.code === "account_busy" && /"n":[3-8]/.test(body)) return "";  // more than wait for an account
  if (status === 404 && (answer.error.code === "model_not_found" || route === "/v1/messages")) return "";
  return mayFail(text, body) ? "" : `status ${status}`;
}

// The simulated model says "Yes.", which is neither the JSON nor the call that some of these bodies insist on.
function mayFail(text, body) {
  return /"(upstream_changed|upstream_empty)"/.test(text) && /"(response_format|tool_choice|format)"/.test(body);
}

const told = (body) => (body.length > 4000 ? `a body of ${body.length} bytes that begins with ${body.subarray(0, 400)}` : isJson(body) ? `${body}` : `Base64 ${body.toString("base64")}`);

test(`${count} mutated bodies are answered or refused`, { timeout: 600_000 }, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const routes = [];
  for (const route of Object.keys(bodies)) {
    if ((await relay.post(route, {})).status !== 404) routes.push(route);  // what is not served cannot be asked
  }
  assert.ok(routes.includes("/v1/chat/completions"));
  const violations = async () => (await Promise.all(platforms.map((platform) => relay.state(platform)))).flatMap((state) => state.violations);
  const violated = (await violations()).length;

  const mutate = mutator(seed);
  const agent = new http.Agent({ keepAlive: true, maxSockets: concurrency });
  const statuses = {};
  const failures = [];
  let valid = 0;
  let next = 0;
  const worker = async () => {
    while (next < count && failures.length < 10) {
      const index = next++;
      // Half of them are chats; a body is made here, in order, so that it depends on the seed alone.
      const route = index % 2 === 0 ? routes[0] : routes[(index >> 1) % routes.length];
      const base = bodies[route][Math.floor(index / 2) % bodies[route].length];
      const body = mutate({ ...base, model: models[index % models.length] });
      if (isJson(body)) ++valid;
      const what = await send(agent, route, body).then(
        (answer) => {
          statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
          const what = fault(answer, route, body.toString("latin1"));
          return what && `${what}: ${answer.text.slice(-500)}`;
        },
        (error) => error.message,
      );
      if (what) failures.push(`number ${index} of seed ${seed}, POST ${route}: ${what}\n  ${told(body)}`);
    }
  };
  const start = Date.now();
  await Promise.all(Array.from({ length: concurrency }, worker));
  agent.destroy();
  assert.ok(relay.alive());
  t.diagnostic(`${next} bodies, ${valid} of them JSON, in ${Math.round((Date.now() - start) / 1000)} s: ${JSON.stringify(statuses)}`);
  assert.equal(failures.length, 0, `\n${failures.join("\n\n")}`);
  assert.ok(valid >= count / 2, `${valid} of ${count} are JSON`);
  assert.ok(statuses[200] >= count / 25, "hardly anything was answered: the bodies are too far off");

  for (const platform of platforms) await idle(relay, platform);
  assert.deepEqual((await violations()).slice(violated), [], "what a platform would not have expected of a browser");
  assert.equal((await relay.post("/v1/chat/completions", ask({ text: "Still here" }))).status, 200);
});
