// The counts in tests/data/token_sample.json, against which the relay's estimate of tokens is held, are o200k_base's own.
// After a change of the texts: TOKEN_SAMPLE=write node --test token_sample.test.mjs
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { getEncoding } from "js-tiktoken";
import { root } from "./relay.mjs";

const file = path.join(root, "tests/data/token_sample.json");
const encoding = getEncoding("o200k_base");
const count = (text) => encoding.encode(text, [], []).length;

test("the sample's counts are those of o200k_base", async () => {
  const sample = JSON.parse(await readFile(file, "utf8"));
  if (process.env.TOKEN_SAMPLE === "write") {
    const lines = sample.map((entry) => JSON.stringify({ ...entry, tokens: count(entry.text) }));
    await writeFile(file, `[\n${lines.join(",\n")}\n]\n`);
    return;
  }
  assert.ok(sample.length >= 200);
  for (const { tokens, text } of sample) assert.equal(count(text), tokens, text.slice(0, 40));
});
