// The programs on their hosts, each with its own certificate, settings, directory and log.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, closeSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { replaceFile } from "./certificates.mjs";

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `condition()` holds. Throws with `what` after `ms`. */
export async function until(what, condition, ms = 15_000) {
  for (const end = Date.now() + ms; ;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`${what}: not within ${ms / 1000} s`);
    await pause(50);
  }
}

export class Program {
  /**
   * @param network where `host` is
   * @param identity the name in its certificate: "switchyard-edge"; also the program's name
   * @param names what its certificate may be called by
   * @param ready what it prints when it serves
   */
  constructor({ network, host, binary, identity, flags = [], environment = {}, ready, work, authority, names = [] }) {
    Object.assign(this, { network, host, binary, identity, flags, ready, authority, names });
    this.name = `${identity.replace("switchyard-", "")}@${host}`;
    this.directory = path.join(work, this.name);
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    this.log = path.join(this.directory, "log");
    this.tls = Object.fromEntries(["certificate", "key", "authority"].map((part) => [part, path.join(this.directory, `${part}.pem`)]));
    this.environment = { PATH: process.env.PATH, ...environment };
    this.certify();
  }

  get address() {
    return this.network.address(this.host);
  }
  get pid() {
    return this.child?.pid;
  }
  get running() {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }
  output() {
    if (!existsSync(this.log)) return "";
    return readFileSync(this.log, "utf8");
  }

  /** A certificate of its own, in the place of the one before. */
  certify() {
    const set = this.authority.issue(this.identity, [...this.names, `IP:${this.address}`]);
    for (const [part, file] of Object.entries(set)) replaceFile(this.tls[part], readFileSync(file));
  }

  /** Starts it and waits until it serves. */
  async start() {
    const log = openSync(this.log, "a", 0o600);
    const from = this.output().length;
    this.child = spawn("ip", ["netns", "exec", this.network.namespace(this.host), this.binary, ...this.flags],
      { cwd: this.directory, env: this.environment, stdio: ["ignore", log, log] });
    closeSync(log);
    const child = this.child;
    this.exit = new Promise((resolve) => child.on("exit", (code, signal) => resolve(code ?? signal)));
    await until(`${this.name} serves`, () => {
      if (!this.running) throw new Error(`${this.name} ended: ${this.output().slice(-2000)}`);
      return this.output().slice(from).includes(this.ready);
    });
  }

  /** SIGTERM. @return its exit status, or a word if it does not end */
  async stop(ms = 45_000) {
    if (!this.running) return "died";
    this.child.kill("SIGTERM");
    const late = pause(ms).then(() => "still runs");
    const status = await Promise.race([this.exit, late]);
    if (status === "still runs") await this.kill();
    return status;
  }
  async kill(signal = "SIGKILL") {
    this.child.kill(signal);
    return this.exit;
  }
}

const hidden = ["kimi", "metaso", "doubao", "qwen", "minimax"];
const ports = { deepseek: 8021, zhipu: 8026, signing: 8011, session: 8012, edge: 8000, simulator: 18000 };
const upper = (name) => name.toUpperCase();

/** The whole: who runs where. */
export class Mesh {
  /**
   * @param bin Bazel's output directory
   * @param secrets {apiKey, storeKey, accounts: {NAME: value}}
   * @param sessions hosts of the session service: one with SQLite, several where they share etcd
   * @param etcd what they share; undefined for SQLite
   * @param collector URL of whoever takes spans, if the programs have any
   * @param admin whether they serve metrics
   */
  constructor({ network, work, bin, authority, secrets, sessions, etcd, collector, admin }) {
    Object.assign(this, { network, work, secrets, etcd });
    const platform = `http://${network.address("platform")}:${ports.simulator}`;
    const common = { SWITCHYARD_THREADS: "1", SWITCHYARD_LOG__LEVEL: "debug", SWITCHYARD_SERVER__DRAIN_DELAY: "2s", SWITCHYARD_SERVER__DRAIN_LIMIT: "30s" };
    for (const name of hidden) common[`SWITCHYARD_PROVIDERS__${upper(name)}__ENABLED`] = "false";
    for (const name of ["deepseek", "zhipu"]) {
      common[`SWITCHYARD_PROVIDERS__${upper(name)}__BASE_URL`] = `${platform}/${name}`;
      common[`SWITCHYARD_PROVIDERS__${upper(name)}__SPACING`] = "0s";
      common[`SWITCHYARD_PROVIDERS__${upper(name)}__BACKEND`] = `dns:///${name}:${ports[name]}`;
    }
    common.SWITCHYARD_SIGNING__TARGET = `dns:///signing:${ports.signing}`;
    common.SWITCHYARD_SESSION__TARGET = `dns:///session:${ports.session}`;
    if (collector) common.SWITCHYARD_TRACING__OTLP_URL = collector;
    const make = (service, host, binary, own, flags = []) => {
      const identity = `switchyard-${service}`;
      const program = new Program({
        network, host, work, authority, identity, names: [`DNS:${service}`], binary: path.join(bin, binary),
        ready: service === "edge" ? "serving HTTPS on" : "serving gRPC on", flags: ["--env-file", "/dev/null", ...flags],
        environment: { ...common, ...own },
      });
      Object.assign(program.environment, {
        SWITCHYARD_STATE_DIR: path.join(program.directory, "state"), SWITCHYARD_TLS__CERTIFICATE: program.tls.certificate,
        SWITCHYARD_TLS__KEY: program.tls.key, SWITCHYARD_TLS__AUTHORITY: program.tls.authority,
      });
      program.port = ports[service];
      program.adminPort = ports[service] + 1000;
      if (admin) program.environment.SWITCHYARD_ADMIN__LISTEN = `${program.address}:${program.adminPort}`;
      program.service = service;
      return program;
    };
    const at = (service, host) => ["--listen", `${network.address(host)}:${ports[service]}`];
    this.edges = ["edge-a", "edge-b"].map((host) => make("edge", host, "edge/switchyard-edge", { SWITCHYARD_SERVER__API_KEYS: secrets.apiKey }, at("edge", host)));
    for (const edge of this.edges) {
      Object.assign(edge.environment, { SWITCHYARD_SERVER__TLS__CERTIFICATE: edge.tls.certificate, SWITCHYARD_SERVER__TLS__KEY: edge.tls.key });
    }
    this.providers = ["provider-1", "provider-2", "provider-3"].flatMap((host) =>
      ["deepseek", "zhipu"].map((name) => make(name, host, `services/${name}/switchyard-${name}`, {}, at(name, host))));
    this.signing = ["signing-1", "signing-2"].map((host) =>
      make("signing", host, "services/signing/switchyard-signing", { SWITCHYARD_SIGNING__THREADS: "1" }, at("signing", host)));
    this.accounts = path.join(work, "accounts.env");
    this.sessions = sessions.map((host) => {
      const program = make("session", host, "services/session/switchyard-session", { SWITCHYARD_SESSION__STORE_KEY: secrets.storeKey }, at("session", host));
      if (etcd) {
        Object.assign(program.environment, {
          SWITCHYARD_SESSION__STORE: `etcds://${etcd.endpoints}`, SWITCHYARD_SESSION__ETCD_CA: program.tls.authority,
          SWITCHYARD_SESSION__ETCD_CERTIFICATE: program.tls.certificate, SWITCHYARD_SESSION__ETCD_KEY: program.tls.key,
        });
      }
      program.flags = ["--env-file", this.accounts, ...at("session", host)];
      return program;
    });
    this.simulator = new Program({
      network, host: "platform", work, authority, identity: "simulator", binary: path.join(bin, "tests/simulator/switchyard-simulator"), ready: "simulating",
      flags: ["--listen", `${network.address("platform")}:${ports.simulator}`, "--difficulty", "2000", "--threads", "1",
        // A platform that writes to a host which was cut off cannot be told to stop; it has to notice by itself. The relay counts on that
        // happening before the account is lent again, 9 s after the cut at the earliest.
        "--vanish-ms", "4000"],
    });
    this.platform = platform;
  }

  /** The product's programs. */
  get programs() {
    return [...this.signing, ...this.sessions, ...this.providers, ...this.edges];
  }
  of(service) {
    return this.programs.filter((program) => program.service === service);
  }
  on(host) {
    return this.programs.filter((program) => program.host === host);
  }

  writeAccounts() {
    writeFileSync(this.accounts, Object.entries(this.secrets.accounts).map(([name, value]) => `${name}=${value}\n`).join(""), { mode: 0o600 });
  }

  async start() {
    await this.etcd?.start();
    for (const group of [this.signing, this.sessions, this.providers, this.edges]) await Promise.all(group.map((program) => program.start()));
  }
  /** @return {program: exit status} of those that did not end well */
  async stop() {
    const odd = {};
    for (const group of [this.edges, this.providers, this.sessions, this.signing]) {
      await Promise.all(group.map(async (program) => {
        const status = await program.stop();
        if (status !== 0) odd[program.name] = status;
      }));
    }
    // It ends itself by the signal that it was sent.
    await Promise.all((this.etcd?.members ?? []).filter((member) => member.running).map((member) => member.stop()));
    return odd;
  }
  /** At the end, whatever happened. */
  killAll() {
    for (const program of [...this.programs, ...(this.etcd?.members ?? []), this.simulator]) if (program.running) program.child.kill("SIGKILL");
  }

  async control(command, body) {
    const response = await fetch(`${this.platform}/_control/${command}`, body && { method: "POST", body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`/_control/${command}: ${response.status}`);
    return response.json();
  }

  /** A program's metrics, as text. */
  async metrics(program) {
    const response = await fetch(`http://${program.address}:${program.adminPort}/metrics`);
    if (!response.ok) throw new Error(`metrics of ${program.name}: ${response.status}`);
    return response.text();
  }
}
