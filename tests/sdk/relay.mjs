// The relay with simulated platforms, started the way a newcomer starts it. all.mjs starts one for all files; a file that is
// run by itself starts its own.
import { spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");

// Long enough for an error to come by its status on a busy machine, short enough to wait for once.
export const heartbeat = 3000;

const settings = {
  SWITCHYARD_CHAT__LISTEN: "127.0.0.1:0",
  SWITCHYARD_SERVER__HEARTBEAT: `${heartbeat}ms`,
  SWITCHYARD_PROVIDERS__MINIMAX__OPTIONS__POLL_MS: "20",
};

const shared = "RELAY_UNDER_TEST";

/** One that others may share, unless `own`; `variables` are for one of its own. */
export async function startRelay({ own = false, variables = {} } = {}) {
  if (!own && process.env[shared]) return client({ ...JSON.parse(process.env[shared]), stop: async () => 0, alive: () => true });
  return client(await launch(variables));
}

/** The environment in which startRelay() finds `relay`. */
export const sharing = ({ url, simulator, banner }) => ({ [shared]: JSON.stringify({ url, simulator, banner }) });

async function launch(variables) {
  const child = spawn(path.join(root, "run"), ["--simulate", "--port", "0"], {
    cwd: root,
    env: { ...process.env, ...settings, ...variables },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exit = new Promise((resolve) => child.on("exit", (code, signal) => resolve(code ?? signal)));
  let banner = "";
  const ends = [];
  await new Promise((resolve, reject) => {
    const take = (data) => {
      if (banner.includes("Ctrl-C stops it")) {
        ends.push(data);  // what it said last tells why it died
        if (ends.length > 64) ends.shift();
        if (process.env.RELAY_LOG) appendFileSync(process.env.RELAY_LOG, data);
        return;
      }
      banner += data;
      if (banner.includes("Ctrl-C stops it")) resolve();
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    exit.then((code) => reject(new Error(`./run ended with ${code}:\n${banner}`)));
  });
  return {
    url: banner.match(/serving HTTP on (http:\/\/[0-9.:]+)/)[1],
    simulator: banner.match(/simulated platforms are at (http:\/\/[0-9.:]+)/)[1],
    banner,
    alive: () => child.exitCode === null && child.signalCode === null,
    last: () => ends.join(""),
    stop: async () => {
      child.kill("SIGTERM");
      const status = await exit;
      // A Bazel server that ./run has started holds the other ends, and lives on.
      child.stdout.destroy();
      child.stderr.destroy();
      return status;
    },
  };
}

function client(relay) {
  const control = async (command, body) => {
    const response = await fetch(`${relay.simulator}/_control/${command}`, body && { method: "POST", body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`/_control/${command}: ${response.status}`);
    return response.json();
  };
  return {
    ...relay,
    /** What the simulated platform saw: `running`, `open_conversations`, `counts`, `violations`, `completions`. */
    state: async (platform) => (await control("state"))[platform],
    /** What the platform does with its next turns, whatever the prompt says. */
    plan: (platform, script, times = 1) => control(platform, { script, times }),
    async post(route, body, headers = {}) {
      return fetch(relay.url + route, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...headers },
        body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
      });
    },
  };
}
