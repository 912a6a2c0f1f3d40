// Three members of etcd on hosts of their own, with certificates, and which of them leads.
import { readFileSync } from "node:fs";
import https from "node:https";
import path from "node:path";
import { Program, until } from "./mesh.mjs";

const clientPort = 2379, peerPort = 2380;

export class Etcd {
  constructor({ network, work, authority, hosts, binary = "etcd" }) {
    const url = (host, port) => `https://${network.address(host)}:${port}`;
    this.members = hosts.map((host) => {
      const member = new Program({ network, host, work, authority, binary, identity: "etcd", names: ["DNS:etcd"], ready: "serving client traffic securely" });
      member.port = clientPort;
      member.service = "etcd";
      member.flags = [
        "--name", host, "--data-dir", path.join(member.directory, "data"), "--logger", "zap",
        "--listen-client-urls", url(host, clientPort), "--advertise-client-urls", url(host, clientPort),
        "--listen-peer-urls", url(host, peerPort), "--initial-advertise-peer-urls", url(host, peerPort),
        "--initial-cluster", hosts.map((each) => `${each}=${url(each, peerPort)}`).join(","),
        "--client-cert-auth", "--trusted-ca-file", member.tls.authority, "--cert-file", member.tls.certificate, "--key-file", member.tls.key,
        "--peer-client-cert-auth", "--peer-trusted-ca-file", member.tls.authority, "--peer-cert-file", member.tls.certificate, "--peer-key-file", member.tls.key,
      ];
      return member;
    });
    this.endpoints = this.members.map((member) => `${member.address}:${clientPort}`).join(",");
  }

  /** A member waits for the others before it serves. */
  async start() {
    await Promise.all(this.members.map((member) => member.start()));
    await until("etcd has a leader", () => this.leader());
  }

  /** The member that leads, as the others see it; undefined while there is none. */
  async leader() {
    for (const member of this.members.filter((each) => each.running)) {
      const status = await this.#status(member);
      if (status && status.leader === status.header.member_id) return member;
    }
    return undefined;
  }

  #status(member) {
    return new Promise((resolve) => {
      const request = https.request({
        host: member.address, port: clientPort, path: "/v3/maintenance/status", method: "POST", timeout: 1000, agent: false,
        ca: readFileSync(member.tls.authority), cert: readFileSync(member.tls.certificate), key: readFileSync(member.tls.key),
      }, (response) => {
        let body = "";
        response.on("data", (data) => (body += data));
        response.on("end", () => resolve(response.statusCode === 200 ? JSON.parse(body) : undefined));
      });
      request.on("timeout", () => request.destroy());
      request.on("error", () => resolve(undefined));
      request.end("{}");
    });
  }
}
