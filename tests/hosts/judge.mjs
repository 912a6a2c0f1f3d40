// What the streams of a scenario came to, as a row of counts, and the checks that follow from it.
import { longPieces } from "./load.mjs";
import { until, pause } from "./mesh.mjs";

const explicit = new Set(["refused", "error"]);
const recoveryMs = 10_000;

export class Judge {
  constructor(mesh, load) {
    this.mesh = mesh;
    this.load = load;
    this.passed = 0;
    this.failed = 0;
    this.rows = [];
    // Conversations whose ids may have been on their way to a provider that was killed just then: nobody else has them.
    this.unknowable = 0;
    this.reported = 0;  // of load.closed
  }

  check(what, good, detail = "") {
    good ? ++this.passed : ++this.failed;
    if (!good) console.log(`  FAILED ${what}${detail === "" ? "" : `: ${detail}`}`);
    return good;
  }

  /** What the platforms saw: one object of both. */
  async platforms() {
    const { deepseek, zhipu } = await this.mesh.control("state");
    const violations = [...deepseek.violations, ...zhipu.violations];
    const count = (pattern) => violations.filter((text) => pattern.test(text)).length;
    return {
      deepseek, zhipu,
      // Whoever deletes conversations after a crash cannot know which are gone already.
      violations: violations.filter((text) => text !== "delete: a conversation that does not exist"),
      peers: { ...deepseek.peers, ...zhipu.peers },
      twice: count(/two (generations|answers) at once/),
      lost: count(/older refresh token|two exchanges at once/),
      cancelled: (deepseek.counts.stopped ?? 0) + (deepseek.counts.client_gone ?? 0) + (zhipu.counts.stops ?? 0) + (zhipu.counts.client_gone ?? 0),
    };
  }

  /** The load as it should be: everybody is served. */
  async steady(least = 200) {
    await until(`${least} streams at once`, () => {
      const open = [...this.load.open].filter((record) => record.content !== undefined).length;
      const recent = this.load.closed.filter((record) => record.ended > Date.now() - 1000);
      return open >= least && recent.length > 0 && recent.every((record) => record.outcome === "whole");
    }, 60_000);
  }

  /**
   * Lets `act` happen under load and judges every stream that it may have touched.
   * @param act does it, to its end, restarts and healing included; calls its argument at the moment of the fault
   * @param on {host, service} of what is killed: which streams are lost with it; null for nothing
   * @param calm nothing at all may fail
   * @param least streams that have to be on what is killed
   * @param long whether some of the streams have to be long ones
   */
  async scenario(name, { act, on = null, calm = false, least = on ? 20 : 0, recovery = recoveryMs, long = false }) {
    const asked = Date.now();
    this.load.long = long;
    const longOnes = () => [...this.load.open].filter((record) => record.pieces === longPieces && record.content !== undefined).length;
    if (long) await until("long streams", () => longOnes() >= 15, 60_000);
    await this.steady();
    let before = await this.platforms();
    let fault = Date.now(), atRisk = new Set(this.load.open), peers = before.peers;
    const mark = async () => {
      // As close to the fault as can be.
      peers = (await this.platforms()).peers;
      fault = Date.now();
      atRisk = new Set(this.load.open);
      return fault;
    };
    const extra = (await act(mark)) ?? {};
    this.load.long = false;
    Object.assign(peers, on ? Object.fromEntries(Object.entries((await this.platforms()).peers).filter(([tag]) => !(tag in peers))) : {});
    await pause(2000);
    const open = new Set(this.load.open);
    await until(`${name}: the streams end`, () => [...open].every((record) => record.outcome !== "open"), 60_000);

    if (on && on.service !== "edge") this.unknowable += 2;
    const records = this.load.closed.slice(this.reported);
    this.reported = this.load.closed.length;
    const hostOf = (record) => peers[record.tag] && this.mesh.network.hostAt(peers[record.tag]);
    const service = (record) => (record.model.startsWith("deepseek") ? "deepseek" : "zhipu");
    const isLost = (record) => {
      if (!on || !atRisk.has(record)) return false;
      if (on.service === "edge") return record.edge === on.host;
      return hostOf(record) === on.host && (on.service === undefined || on.service === service(record));
    };
    const lost = records.filter(isLost), others = records.filter((record) => !isLost(record));
    const begunBefore = others.filter((record) => atRisk.has(record) && record.content !== undefined && record.content <= fault);
    const failed = others.filter((record) => record.outcome !== "whole");
    const isExplicit = (record) => explicit.has(record.outcome) || (record.outcome === "cut" && on?.service === "edge" && record.edge === on.host);
    const broken = records.filter((record) => record.outcome !== "whole" && !isExplicit(record));
    const bystanders = begunBefore.filter((record) => record.outcome !== "whole");
    const lastFailure = Math.max(fault, ...failed.filter((record) => record.begun >= fault).map((record) => record.begun));
    const after = await this.platforms();
    const row = {
      scenario: name,
      seconds: ((Date.now() - asked) / 1000).toFixed(0),
      streams: records.length,
      whole: records.filter((record) => record.outcome === "whole").length,
      "on the killed": lost.length,
      "of them explicit error": lost.filter((record) => record.outcome !== "whole" && isExplicit(record)).length,
      "others broken": bystanders.length,
      "new requests failed": failed.length - bystanders.length,
      "broken silently": broken.length,
      "back to 100 % after s": ((lastFailure - fault) / 1000).toFixed(1),
      "accounts twice in flight": after.twice - before.twice,
      "tokens lost": after.lost - before.lost,
      violations: after.violations.length - before.violations.length,
    };
    this.rows.push(row);
    console.log(`${name} (${row.seconds} s): ${Object.entries(row).slice(2).map(([what, count]) => `${count} ${what}`).join(", ")}`);
    for (const record of [...broken, ...bystanders, ...failed].slice(0, 4)) {
      console.log(`    ${record.tag} ${record.model} by ${record.edge} from ${hostOf(record) ?? "?"}, began ${record.begun - fault} ms, ended ${record.ended - fault} ms: ${record.outcome} ${record.detail}`);
    }
    this.check(`${name}: no stream is broken silently`, broken.length === 0, broken.length);
    this.check(`${name}: streams elsewhere complete`, bystanders.length === 0, bystanders.length);
    this.check(`${name}: no account is in flight twice`, row["accounts twice in flight"] === 0, row["accounts twice in flight"]);
    this.check(`${name}: no token is lost`, row["tokens lost"] === 0, row["tokens lost"]);
    this.check(`${name}: the platforms find nothing amiss`, row.violations === 0, JSON.stringify(after.violations.slice(before.violations.length).slice(0, 5)));
    const dead = [...this.mesh.programs, ...(this.mesh.etcd?.members ?? [])].filter((program) => !program.running);
    this.check(`${name}: every program still runs`, dead.length === 0, dead.map((program) => `${program.name}: ${program.output().slice(-300)}`).join("\n"));
    if (least > 0) this.check(`${name}: at least ${least} streams on what is killed`, lost.length >= least, lost.length);
    if (calm) this.check(`${name}: no request fails`, failed.length === 0, failed.length);
    else this.check(`${name}: success is back to 100 % within ${recovery / 1000} s`, lastFailure - fault <= recovery, row["back to 100 % after s"]);
    return { before, after, lost, row, ...extra };
  }
}
