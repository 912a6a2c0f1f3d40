// What befalls the mesh, one after the other. Each takes {mesh, network, load, judge, authority, long} and is run under load.
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { replaceFile } from "./certificates.mjs";
import { pause, until } from "./mesh.mjs";
import { permissionDenied, table } from "./refusals.mjs";

// How long a replica has to be ready before the next one is ended, as minReadySeconds of a Deployment: its callers come
// back to it within that time.
const settleMs = 3000;

async function steady({ judge }) {
  await judge.scenario("steady", { calm: true, act: async (mark) => { await mark(); await pause(1000); } });
}

/**
 * Ends each replica as a rolling update does, one of a service after the other: SIGTERM, its streams end, it is started
 * again. All services at the same time; with `long`, one after the other.
 */
async function rolling({ mesh, judge, long }) {
  const services = ["edge", "deepseek", "zhipu", "session", "signing"].filter((service) => mesh.of(service).length > 1);
  const restart = async (service) => {
    for (const program of mesh.of(service)) {
      const status = await program.stop();
      judge.check(`${program.name} ends well on SIGTERM`, status === 0, status);
      await program.start();
      await pause(settleMs);
    }
  };
  for (const together of long ? services.map((service) => [service]) : [services]) {
    await judge.scenario(`rolling restart of ${together.join(", ")}`, {
      calm: true,
      act: async (mark) => {
        await mark();
        await Promise.all(together.map(restart));
      },
    });
  }
  if (mesh.sessions.length > 1) return;
  // Nobody takes over for the one that there is.
  await judge.scenario("restart of session", {
    recovery: 25_000,
    act: async (mark) => {
      await mark();
      const status = await mesh.sessions[0].stop();
      judge.check("session ends well on SIGTERM", status === 0, status);
      await mesh.sessions[0].start();
    },
  });
}

/** kill -9 of one of each kind, which comes back after a second, as by any supervisor. */
async function killing({ mesh, judge }) {
  const victims = [
    [mesh.edges[0], { service: "edge", host: "edge-a" }],
    [mesh.of("deepseek")[0], { service: "deepseek", host: "provider-1" }],
    [mesh.of("zhipu")[1], { service: "zhipu", host: "provider-2" }],
    [mesh.sessions[0], null],
    [mesh.signing[0], null],
  ];
  // Whose holders go on elsewhere: each such lease is a line in the other replica's log.
  const resumed = (replica) => replica.output().split('"event":"lease_resumed"').length - 1;
  for (const [victim, on] of victims) {
    const heir = victim.service === "session" ? mesh.sessions.find((replica) => replica !== victim) : undefined;
    const resumedBefore = heir ? resumed(heir) : 0;
    const { before, after, lost } = await judge.scenario(`kill -9 of ${victim.name}`, {
      on, long: victim.service === "session",
      act: async (mark) => {
        await mark();
        await victim.kill();
        await pause(1000);
        await victim.start();
      },
    });
    if (heir) {
      const leases = resumed(heir) - resumedBefore;
      judge.check("at least 20 streams go on with the leases of the session service that was killed", leases >= 20, leases);
    }
    if (victim.service === "edge") {
      // Some of them had ended by themselves before the platform could be told.
      const cancelled = after.cancelled - before.cancelled;
      judge.check("the platforms are told to stop what nobody reads any more", cancelled >= lost.length / 2, `${cancelled} of ${lost.length}`);
    }
  }
}

/** Waits until tokens are exchanged, many at a time: those that were got together age together. */
async function exchanging(mesh) {
  let before = Infinity;
  await until("tokens are exchanged", async () => {
    const now = (await mesh.control("state")).zhipu.counts.exchanges ?? 0;
    const more = now - before;
    before = now;
    return more >= 5;
  }, 40_000);
}

/** A host that nothing reaches, and that reaches nothing; nobody gets a FIN or an RST. */
async function cutting({ mesh, network, judge, long }) {
  const victims = [["provider-3", { host: "provider-3" }], [mesh.sessions[0].host, null]];
  for (const [host, on] of victims) {
    const alone = on === null && mesh.sessions.length === 1;
    await judge.scenario(`${host} is cut off and healed`, {
      on, long: on === null, recovery: alone ? 25_000 : undefined,
      act: async (mark) => {
        // At the worst moment: with tokens being exchanged.
        if (on === null) await exchanging(mesh);
        await mark();
        network.cut(host);
        await pause(long ? 40_000 : 12_000);
        network.heal(host);
        await pause(1000);
      },
    });
  }
}

/** The leader dies, and another is chosen; then every member is restarted in turn. Nobody who streams needs to know. */
async function etcd({ mesh, judge }) {
  if (!mesh.etcd) {
    console.log("etcd: not run, the store is SQLite");
    return;
  }
  await judge.scenario("kill -9 of etcd's leader", {
    long: true,
    act: async (mark) => {
      const leader = await mesh.etcd.leader();
      await mark();
      await leader.kill();
      const next = await until("another leader", () => mesh.etcd.leader());
      judge.check("another member leads", next !== leader);
      await leader.start();
    },
  });
  await judge.scenario("rolling restart of etcd", {
    act: async (mark) => {
      await mark();
      for (const member of mesh.etcd.members) {
        await member.stop();
        await member.start();
        await until("etcd has a leader", () => mesh.etcd.leader());
      }
    },
  });
}

/** New certificates for everybody, again and again, and among them some that are none. */
async function certificates({ mesh, judge, authority, long }) {
  const rounds = long ? 20 : 2;
  let bad = 0;
  // An edge has two uses for them: towards its callers, and towards the mesh.
  const words = (program) => Math.floor((program.output().split("certificates_replaced").length - 1) / (program.service === "edge" ? 2 : 1));
  await judge.scenario("certificates rotate", {
    calm: true,
    act: async (mark) => {
      await mark();
      for (let round = 0; round < rounds; ++round) {
        const before = new Map(mesh.programs.map((program) => [program, words(program)]));
        for (const program of mesh.programs) program.certify();
        await until("every program takes its new certificate up", () => mesh.programs.every((program) => words(program) > before.get(program)));
        // What does not fit together, or is damaged, never replaces what is good.
        for (const program of mesh.programs) {
          const good = readFileSync(program.tls.certificate);
          if (round % 2 === 0) replaceFile(program.tls.certificate, good.subarray(0, good.length / 2));
          else replaceFile(program.tls.certificate, readFileSync(authority.issue(program.identity, program.names).certificate));
          ++bad;
        }
        await pause(2500);
      }
      for (const program of mesh.programs) program.certify();
      await pause(1500);
    },
  });
  console.log(`  ${rounds} new certificates and ${bad / mesh.programs.length} bad ones for each of ${mesh.programs.length} programs`);
}

/** @return the HTTP status, or "refused" */
function statusOf(transport, url, options) {
  return new Promise((resolve) => {
    transport.get(url, { ...options, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on("error", () => resolve("refused"));
  });
}

/** Who is nobody, and who is somebody else, on every port. */
async function refusals({ mesh, judge, authority, other, network }) {
  const client = [`IP:${network.address("client")}`];
  const strangers = {
    plaintext: null,
    "no certificate": { authority: authority.certificate },
    "another authority's edge": { ...other.issue("switchyard-edge", client), authority: authority.certificate },
    "an expired edge": authority.issue("switchyard-edge", client, { expired: true }),
  };
  const names = ["edge", "deepseek", "zhipu", "session", "signing", "accounts", "nobody"].map((name) => `switchyard-${name}`);
  const known = Object.fromEntries(names.map((name) => [name, authority.issue(name, client)]));
  const results = await table(mesh.programs.filter((program) => program.service !== "edge"), strangers, known);
  if (mesh.etcd) results.push(...(await table(mesh.etcd.members, strangers, {})));
  for (const { what, good, got } of results) judge.check(what, good, got);
  // The edge speaks HTTPS, and knows a caller by a key.
  const ca = readFileSync(authority.certificate);
  for (const edge of mesh.edges) {
    const at = `${edge.address}:${edge.port}/v1/models`;
    for (const [what, options, expected] of [
      ["no key", { ca }, 401],
      ["a wrong key", { ca, headers: { Authorization: "Bearer sk-somebody-elses-key" } }, 401],
      ["a client that expects another authority", { ca: readFileSync(other.certificate) }, "refused"],
    ]) {
      const status = await statusOf(https, `https://${at}`, options);
      judge.check(`${edge.name}: ${what}`, status === expected, status);
    }
    const status = await statusOf(http, `http://${at}`, {});
    judge.check(`${edge.name}: plaintext`, status === "refused" || status === 400, status);
  }
  const refused = results.filter(({ got }) => got === "refused").length, denied = results.filter(({ got }) => got === permissionDenied).length;
  console.log(`refusals: ${results.length} calls on ${mesh.programs.length} ports, ${refused} refused in the handshake, ${denied} by identity, ${results.length - refused - denied} served`);
}

export const scenarios = { steady, rolling, killing, cutting, etcd, certificates, refusals };
