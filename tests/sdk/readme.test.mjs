// The README's own commands, in both languages, as they stand there: only the address is that of the relay under test.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { root, startRelay } from "./relay.mjs";

const execute = promisify(execFile);
const address = "http://127.0.0.1:8000";

let relay;
let directory;
before(async () => {
  relay = await startRelay();
  directory = await mkdtemp(path.join(tmpdir(), "readme-"));
  await symlink(path.join(root, "tests/sdk/node_modules"), path.join(directory, "node_modules"));
});
after(async () => {
  await relay.stop();
  await rm(directory, { recursive: true });
});

const blocks = (text, language) => [...text.matchAll(new RegExp("^```" + language + "\\n([\\s\\S]*?)^```", "gm"))].map((match) => match[1]);

const readmes = {};
for (const name of ["README.md", "README.zh-CN.md"]) readmes[name] = await readFile(path.join(root, name), "utf8");

for (const [name, text] of Object.entries(readmes)) {
  const curls = blocks(text, "bash").filter((block) => block.startsWith("curl "));
  const scripts = blocks(text, "js");

  test(`${name} has curl and SDK examples`, () => {
    assert.ok(curls.length >= 2, "curl: whole and streaming");
    assert.ok(scripts.length >= 2, "SDK: whole and streaming");
  });

  curls.forEach((block, index) =>
    test(`${name}: curl example ${index + 1}`, async () => {
      const { stdout } = await execute("bash", ["-euo", "pipefail", "-c", block.replaceAll(address, relay.url)]);
      assert.match(stdout, /simulated|deepseek-chat/);
      assert.doesNotMatch(stdout, /"error"/);
      if (block.includes('"stream": true')) assert.match(stdout, /data: \[DONE\]/);
    }),
  );

  scripts.forEach((block, index) =>
    test(`${name}: SDK example ${index + 1}`, async () => {
      const file = path.join(directory, `${name}-${index}.mjs`);
      await writeFile(file, block.replaceAll(address, relay.url));
      const { stdout } = await execute("node", [file]);
      assert.match(stdout, /simulated/);
    }),
  );
}

test("both READMEs show the same commands", () => {
  const commands = (text) => [...blocks(text, "bash"), ...blocks(text, "js"), ...blocks(text, "yaml")].map((block) => block.replace(/[ \t]*(#|\/\/) .*$/gm, "").replace(/"content": "[^"]*"|content: "[^"]*"/g, ""));
  assert.deepEqual(commands(readmes["README.zh-CN.md"]), commands(readmes["README.md"]));
});
