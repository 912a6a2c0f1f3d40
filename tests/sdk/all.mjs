// Every test file against one relay, one file after the other. Arguments are passed on to `node --test`.
import { spawn, spawnSync } from "node:child_process";
import { readdir } from "node:fs/promises";
import { sharing, startRelay } from "./relay.mjs";

const given = process.argv.slice(2);
const options = given.filter((argument) => argument.startsWith("-"));
let files = given.filter((argument) => !argument.startsWith("-"));
if (files.length === 0) files = (await readdir(import.meta.dirname)).filter((name) => name.endsWith(".test.mjs")).sort();

const relay = await startRelay({ own: true });
/** What it ended with. One that still waits for something gets a second signal, which is for those who do not wait. */
async function stopped() {
  const late = setTimeout(() => {
    console.error(`the relay still runs ${patience} s after SIGTERM:\n${relay.last()}`);
    spawnSync("ps", ["-eo", "pid,ppid,etime,stat,args"], { stdio: "inherit" });
    relay.stop();
  }, patience * 1000);
  try {
    return await relay.stop();
  } finally {
    clearTimeout(late);
  }
}
const patience = 45;

const tests = spawn(process.execPath, ["--test", "--test-force-exit", "--test-concurrency=1", ...options, ...files], {
  cwd: import.meta.dirname,
  env: { ...process.env, ...sharing(relay) },
  stdio: "inherit",
});
const status = await new Promise((resolve) => tests.on("exit", (code) => resolve(code ?? 1)));
const ended = relay.alive() ? await stopped() : "died";
if (ended !== 0) console.error(`the relay ended with ${ended}:\n${relay.last()}`);
process.exitCode = ended === 0 ? status : 3;
