// The relay with simulated platforms, started the way a newcomer starts it.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import path from "node:path";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");

export async function startRelay() {
  const child = spawn(path.join(root, "run"), ["--simulate", "--port", "0"], {
    cwd: root,
    env: { ...process.env, SWITCHYARD_CHAT__LISTEN: "127.0.0.1:0" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const url = await new Promise((resolve, reject) => {
    const take = (data) => {
      output += data;
      const found = output.match(/serving HTTP on (http:\/\/[0-9.:]+)/);
      if (found && output.includes("Ctrl-C stops it")) resolve(found[1]);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("exit", (code) => reject(new Error(`./run ended with ${code}:\n${output}`)));
  });
  return {
    url,
    output: () => output,
    stop: () =>
      new Promise((resolve) => {
        child.removeAllListeners("exit");
        child.on("exit", (code) => resolve(code));
        child.kill("SIGTERM");
      }),
  };
}
