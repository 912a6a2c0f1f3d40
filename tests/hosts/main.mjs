// The mesh on several hosts of its own, under load, while things happen to it. See run --help.
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Canary } from "./canary.mjs";
import { Authority } from "./certificates.mjs";
import { Etcd } from "./etcd.mjs";
import { Judge } from "./judge.mjs";
import { Load } from "./load.mjs";
import { Mesh, pause } from "./mesh.mjs";
import { Network } from "./network.mjs";
import { scenarios } from "./scenarios.mjs";

const numbers = {
  platform: 2, client: 3, "edge-a": 11, "edge-b": 12, "provider-1": 21, "provider-2": 22, "provider-3": 23,
  "session-1": 31, "session-2": 32, "signing-1": 41, "signing-2": 42, "etcd-1": 51, "etcd-2": 52, "etcd-3": 53,
};
const providers = ["provider-1", "provider-2", "provider-3"];

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { bin: { type: "string" }, long: { type: "boolean" }, keep: { type: "boolean" }, inside: { type: "string" }, work: { type: "string" } },
});
// Each of the others begins with a load that is steady.
const chosen = positionals.length > 0 ? positionals : Object.keys(scenarios).filter((name) => name !== "steady");
for (const name of chosen) {
  if (!(name in scenarios)) {
    console.error(`tests/hosts/run: there is no scenario '${name}'; there are ${Object.keys(scenarios).join(", ")}.`);
    process.exit(2);
  }
}
// What the programs of this tree can do.
const settings = options.bin && execFileSync(path.join(options.bin, "services/session/switchyard-session"), ["--env-file", "/dev/null", "--check-config"], { encoding: "utf8" });
const [shared, admin, tracing] = [/^ +etcd_/m, /^admin:/m, /^tracing:/m].map((pattern) => pattern.test(settings));
const sessionHosts = shared ? ["session-1", "session-2"] : ["session-1"];
const etcdHosts = ["etcd-1", "etcd-2", "etcd-3"];
const collectorPort = 4318;
// 10 s, until the last of all accounts has begun.
const lastPieces = 40;

// Timers that nobody waits for any more would keep it alive.
process.exit(options.inside ? await inside() : await outside());

/** Makes the hosts, does the rest on one of them, and leaves nothing behind. */
async function outside() {
  const network = new Network(`sy${process.pid}-`, numbers);
  const work = mkdtempSync(path.join(os.tmpdir(), "switchyard-hosts-"));
  try {
    network.build({ deepseek: providers, zhipu: providers, signing: ["signing-1", "signing-2"], session: sessionHosts });
    const child = spawn("ip", ["netns", "exec", network.namespace("client"), process.execPath, fileURLToPath(import.meta.url),
      ...process.argv.slice(2), "--inside", network.prefix, "--work", work], { stdio: "inherit" });
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill("SIGTERM"));
    return await new Promise((resolve) => child.on("exit", (code) => resolve(code ?? 1)));
  } finally {
    for (const host of Object.keys(numbers)) {
      let left = "";
      try {
        left = execFileSync("ip", ["netns", "pids", network.namespace(host)], { encoding: "utf8" });
      } catch {
        // It was never made.
      }
      for (const pid of left.split("\n").filter(Boolean)) process.kill(Number(pid), "SIGKILL");
    }
    network.destroy();
    if (options.keep) console.log(`what the programs wrote is in ${work}`);
    else rmSync(work, { recursive: true, force: true });
  }
}

async function inside() {
  const network = new Network(options.inside, numbers);
  const { work } = options;
  const mark = randomBytes(6).toString("hex");
  const canaries = { apiKey: `sk-canary-${mark}-key`, storeKey: randomBytes(32).toString("hex"), prompt: `promptcanary${mark}`, token: `sim-tokencanary-${mark}-` };
  const authority = new Authority(path.join(work, "authority")), other = new Authority(path.join(work, "other-authority"));
  const secrets = { apiKey: canaries.apiKey, storeKey: canaries.storeKey, accounts: {} };
  const etcd = shared ? new Etcd({ network, work, authority, hosts: etcdHosts }) : undefined;
  const collector = tracing && `http://${network.address("client")}:${collectorPort}/v1/traces`;
  const mesh = new Mesh({ network, work, bin: options.bin, authority, secrets, sessions: sessionHosts, etcd, collector, admin });
  process.on("exit", () => mesh.killAll());
  process.on("SIGTERM", () => process.exit(1));
  await mesh.simulator.start();

  // Few accounts to spare: what is lent twice is in use, then.
  const users = { deepseek: 156, zhipu: 94 }, accounts = { deepseek: 166, zhipu: 104 };
  for (let number = 1; number <= accounts.deepseek; ++number) secrets.accounts[`DEEPSEEK_TOKEN${number > 1 ? `_${number}` : ""}`] = `${canaries.token}${number}`;
  for (let number = 1; number <= accounts.zhipu; ++number) secrets.accounts[`ZHIPU_TOKEN${number > 1 ? `_${number}` : ""}`] = (await mesh.control(`credentials?number=${number}`)).ZHIPU_TOKEN;
  mesh.writeAccounts();
  // Tokens that are exchanged all the time, and replaced with each exchange.
  for (const script of ["rotation=grace", "access_s=20", "exchange_ms=50"]) await mesh.control("zhipu", { script });
  await mesh.start();

  const canary = new Canary({
    "the API key": canaries.apiKey, "the store's key": canaries.storeKey, "a prompt or an answer": canaries.prompt,
    "a platform's token": canaries.token, "a token that was exchanged": "eyJhbGciOi", "a private key": "PRIVATE KEY-----",
  });
  const spans = await collect(canary);
  let scraped = 0;
  const looking = setInterval(async () => {
    for (const program of mesh.programs.filter((each) => each.running)) {
      canary.lookAtArguments(program.name, program.pid);
      if (!admin) continue;
      try {
        canary.look(`the metrics of ${program.name}`, await mesh.metrics(program));
        ++scraped;
      } catch {
        // It was killed, or its host cut off; the count tells whether any was read.
      }
    }
  }, 2000);

  const models = Array.from({ length: users.deepseek + users.zhipu }, (_, index) => (index % 8 < 5 ? "deepseek-chat" : "zhipu"));
  const load = new Load({ edges: mesh.edges.map(({ host, address, port }) => ({ host, address, port })), authority: readFileSync(authority.certificate), key: canaries.apiKey, models, canary: canaries.prompt });
  const judge = new Judge(mesh, load);
  const begun = Date.now();
  load.start();
  try {
    for (const name of chosen) await scenarios[name]({ mesh, network, load, judge, authority, other, long: options.long });
    await load.stop();
    await everyAccount({ mesh, load, judge, accounts });
    await leftovers({ mesh, judge });
    clearInterval(looking);
    if (admin) judge.check("metrics were read", scraped > 0, scraped);
    if (tracing) judge.check("spans came", spans.count > 0, spans.count);
    await noCores({ mesh, judge });
    const odd = await mesh.stop();
    judge.check("every program ends well", Object.keys(odd).length === 0, JSON.stringify(odd));
    secretsStay({ canary, load, work, judge });
    await coresAreSeen({ mesh });
  } catch (error) {
    judge.check("the run comes to its end", false, error.stack);
  }
  console.log(`\n${load.closed.length} streams in ${((Date.now() - begun) / 1000).toFixed(0)} s, ${load.elsewhere} connections made to the other edge`);
  console.table(Object.fromEntries(judge.rows.map(({ scenario, ...counts }) => [scenario, counts])));
  console.log(`hosts: ${judge.passed} passed, ${judge.failed} failed`);
  return judge.failed === 0 ? 0 : 1;
}

/** Takes spans as a collector of OpenTelemetry does. @return how many requests came, now and later */
async function collect(canary) {
  const spans = { count: 0 };
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      ++spans.count;
      canary.look("a span", Buffer.concat(parts));
      response.writeHead(200, { "Content-Type": "application/json" }).end("{}");
    });
  });
  await new Promise((resolve) => server.listen(collectorPort, "0.0.0.0", resolve));
  return spans;
}

/** Every account still works, and for one at a time: as many streams at once as there are accounts. */
async function everyAccount({ mesh, load, judge, accounts }) {
  const all = accounts.deepseek + accounts.zhipu;
  const records = Array.from({ length: all }, (_, index) => (
    { tag: `last${index}`, model: index < accounts.deepseek ? "deepseek-chat" : "zhipu", pieces: lastPieces, edge: load.edges[index % 2].host, begun: Date.now(), outcome: "open" }));
  const asked = Promise.all(records.map((record, index) => load.ask(load.edges[index % 2], record)));
  let most = 0;
  for (let looks = 0; most < all && looks < 60; ++looks) {
    const { deepseek, zhipu } = await mesh.control("state");
    most = Math.max(most, deepseek.running + zhipu.running);
    await pause(200);
  }
  await asked;
  judge.check("every account answers in the end", most === all, `${most} of ${all}`);
  const whole = records.filter((record) => record.outcome === "whole").length;
  judge.check("all of them at once", whole === all, `${whole} of ${all}: ${records.find((record) => record.outcome !== "whole")?.detail}`);
}

/** No conversation is left at a platform. */
async function leftovers({ mesh, judge }) {
  const left = async () => {
    const { deepseek, zhipu } = await mesh.control("state");
    return deepseek.open_conversations + zhipu.open_conversations;
  };
  const begun = Date.now();
  const patience = async () => ((await left()) > judge.unknowable ? 30_000 : 8_000);
  while ((await left()) > 0 && Date.now() < begun + (await patience())) await pause(200);
  const conversations = await left();
  console.log(`conversations: ${conversations} left`);
  judge.check("every conversation that can be known is deleted in the end", conversations <= judge.unknowable, conversations);
}

function cores(program) {
  return readdirSync(program.directory).filter((name) => name.startsWith("core"));
}

/** A crash writes nothing of a program's memory down. */
async function noCores({ mesh, judge }) {
  for (const service of ["edge", "deepseek", "zhipu", "session", "signing"]) {
    const [program] = mesh.of(service);
    judge.check(`${program.name} may write no core`, /^Max core file size +0 +0 /m.test(readFileSync(`/proc/${program.pid}/limits`, "utf8")));
    await program.kill("SIGABRT");
    judge.check(`${program.name} crashes without a core`, cores(program).length === 0, cores(program).join(" "));
    await program.start();
  }
}

/** That one would have been found is shown by the simulator, which may write one. */
async function coresAreSeen({ mesh }) {
  await mesh.simulator.kill("SIGABRT");
  const [core] = cores(mesh.simulator);
  if (core === undefined) console.log("cores: this machine puts them elsewhere, so only the limits were looked at");
  else rmSync(path.join(mesh.simulator.directory, core));
}

/** Planted tokens, keys and prompts are nowhere but where they belong. */
function secretsStay({ canary, load, work, judge }) {
  canary.lookBelow(work, ["accounts.env", "key.pem", "authority", "other-authority"]);
  for (const error of load.errors) canary.look("an error", error);
  judge.check("no secret is found", canary.hits.size === 0, [...canary.hits].slice(0, 20).join("; "));
  judge.check("there was something to look through", canary.bytes > 100_000);
  console.log(`secrets: ${canary.looked} places and ${canary.bytes} bytes looked through, ${canary.hits.size} found`);
}
