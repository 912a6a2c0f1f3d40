// API keys, as each client sends them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText } from "ai";
import { ChatOpenAI } from "@langchain/openai";
import OpenAI from "openai";
import { startRelay } from "./relay.mjs";
import { checkError } from "./schemas.mjs";
import { ask, sim } from "./support.mjs";

const key = "sk-test-of-the-clients-0123456789";
let relay;
before(async () => {
  relay = await startRelay({ own: true, variables: { SWITCHYARD_SERVER__API_KEYS: key } });
});
after(async () => assert.equal(await relay.stop(), 0));

const says = { text: "Welcome" };

test("without a key, or with another: 401", async () => {
  for (const headers of [{}, { Authorization: "Bearer sk-other" }, { Authorization: `Basic ${key}` }, { Authorization: "Bearer" }]) {
    const response = await relay.post("/v1/chat/completions", ask(says), headers);
    assert.equal(response.status, 401);
    assert.match(response.headers.get("www-authenticate"), /^Bearer/);
    const { error } = await response.json();
    checkError(error);
    assert.equal(error.code, "invalid_api_key");
  }
});

for (const [what, apiKey] of [["the right key", key], ["a wrong key", "sk-wrong"]]) {
  const right = apiKey === key;
  test(`openai with ${what}`, async () => {
    const answer = new OpenAI({ baseURL: `${relay.url}/v1`, apiKey, maxRetries: 2 }).chat.completions.create(ask(says));
    if (right) assert.equal((await answer).choices[0].message.content, "Welcome");
    else await assert.rejects(answer, OpenAI.AuthenticationError);
  });
  test(`AI SDK with ${what}`, async () => {
    const answer = generateText({ model: createOpenAICompatible({ name: "s", baseURL: `${relay.url}/v1`, apiKey })("kimi"), prompt: sim(says), maxRetries: 0 });
    if (right) assert.equal((await answer).text, "Welcome");
    else await assert.rejects(answer, (error) => APICallError.isInstance(error) && error.statusCode === 401 && !error.isRetryable);
  });
  test(`LangChain with ${what}`, async () => {
    const answer = new ChatOpenAI({ model: "kimi", apiKey, maxRetries: 0, configuration: { baseURL: `${relay.url}/v1` } }).invoke(sim(says));
    if (right) assert.equal((await answer).text, "Welcome");
    else await assert.rejects(answer, (error) => error.status === 401);
  });
  test(`Anthropic with ${what}`, async () => {
    const answer = new Anthropic({ baseURL: relay.url, apiKey, maxRetries: 0 }).messages.create({ model: "kimi", max_tokens: 100, messages: [{ role: "user", content: sim(says) }] });
    if (right) assert.equal((await answer).content[0].text, "Welcome");
    else await assert.rejects(answer, Anthropic.AuthenticationError);
  });
}
