// What the tests say to the simulated platforms, and how they read what comes back.
import { setImmediate } from "node:timers/promises";

/** A directive for the simulated platform: sim({ text: "Red, green", chunk_ms: 2 }). */
export function sim(script) {
  const words = Object.entries(script).map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%20", "+")}`);
  return `[[sim: ${words.join(" ")}]]`;
}

/** A chat request whose user says the directive. */
export const ask = (script, more = {}) => ({
  model: "deepseek-chat",
  messages: [{ role: "user", content: typeof script === "string" ? script : sim(script) }],
  ...more,
});

/** How a model without tools of its own writes down a call, as the relay teaches it. */
export const callText = (name, args) => `<tool_call>${JSON.stringify({ name, arguments: args })}</tool_call>`;

/** Waits for a condition that another process makes true. */
export async function until(condition, limit = 10_000) {
  for (const start = Date.now(); ; await setImmediate()) {
    const value = await condition();
    if (value) return value;
    if (Date.now() - start > limit) throw new Error(`not within ${limit} ms: ${condition}`);
  }
}

/** A platform without a generation under way. */
export const idle = (relay, platform = "deepseek") => until(async () => (await relay.state(platform)).running === 0);

/** The whole of an event stream, read by the letter: an event is one `data:` line and an empty one, all else a comment. */
export async function readEvents(response) {
  return parseEvents(await response.text());
}

export function parseEvents(text) {
  const events = [];
  const comments = [];
  let done = false;
  if (!text.endsWith("\n\n")) throw new Error(`the stream does not end with an empty line: ${JSON.stringify(text.slice(-80))}`);
  for (const block of text.slice(0, -2).split("\n\n")) {
    let name;
    let data;
    for (const line of block.split("\n")) {
      if (line.startsWith(":")) comments.push(line);
      else if (line.startsWith("data: ") && data === undefined) data = line.slice("data: ".length);
      else if (line.startsWith("event: ") && name === undefined) name = line.slice("event: ".length);
      else if (line !== "") throw new Error(`a line that no client expects: ${JSON.stringify(line)}`);
    }
    if (data === undefined) continue;
    if (done) throw new Error(`an event after [DONE]: ${data}`);
    if (data === "[DONE]") done = true;
    else events.push({ name, data: JSON.parse(data) });
  }
  const objects = events.map((event) => event.data);
  return { events, comments, done, text, chunks: objects.filter((object) => !object.error), error: objects.find((object) => object.error)?.error };
}

/** The choices of a stream's chunks, put together by index. */
export function fold(chunks) {
  const choices = [];
  for (const chunk of chunks) {
    for (const { index, delta, finish_reason } of chunk.choices) {
      const all = (choices[index] ??= { text: "", reasoning: "", refusal: "", roles: 0, finish: null, annotations: [], calls: [] });
      if (delta.role) ++all.roles;
      all.text += delta.content ?? "";
      all.reasoning += delta.reasoning_content ?? "";
      all.refusal += delta.refusal ?? "";
      all.annotations.push(...(delta.annotations ?? []));
      all.finish = finish_reason ?? all.finish;
      for (const call of delta.tool_calls ?? []) {
        const whole = (all.calls[call.index] ??= { arguments: "" });
        if (call.id) whole.id = call.id;
        if (call.function?.name) whole.name = call.function.name;
        whole.arguments += call.function?.arguments ?? "";
      }
    }
  }
  return choices;
}

/** Reads an async iterable to its end. */
export async function collect(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}
