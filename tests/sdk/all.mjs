// Every test file against one relay, one file after the other. Arguments are passed on to `node --test`.
import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { sharing, startRelay } from "./relay.mjs";

const given = process.argv.slice(2);
const options = given.filter((argument) => argument.startsWith("-"));
let files = given.filter((argument) => !argument.startsWith("-"));
if (files.length === 0) files = (await readdir(import.meta.dirname)).filter((name) => name.endsWith(".test.mjs")).sort();

const relay = await startRelay({ own: true });
const tests = spawn(process.execPath, ["--test", "--test-concurrency=1", ...options, ...files], {
  cwd: import.meta.dirname,
  env: { ...process.env, ...sharing(relay) },
  stdio: "inherit",
});
const status = await new Promise((resolve) => tests.on("exit", (code) => resolve(code ?? 1)));
const ended = relay.alive() ? await relay.stop() : "died";
if (ended !== 0) console.error(`the relay ended with ${ended}:\n${relay.last()}`);
process.exitCode = ended === 0 ? status : 3;
