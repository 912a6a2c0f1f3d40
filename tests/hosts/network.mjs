// Hosts as network namespaces on one bridge. The machine's own network stays as it is.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";

const ip = (...words) => execFileSync("ip", words, { stdio: ["ignore", "pipe", "pipe"] }).toString();
const subnet = (number) => `10.77.0.${number}`;

export class Network {
  /**
   * @param prefix of the namespaces' names, so that two runs do not meet
   * @param numbers {host: last part of its address, 1 to 254}
   */
  constructor(prefix, numbers) {
    this.prefix = prefix;
    this.numbers = numbers;
    this.switch = `${prefix}switch`;
  }

  namespace(host) {
    return this.prefix + host;
  }
  address(host) {
    return subnet(this.numbers[host]);
  }
  hostAt(address) {
    return Object.keys(this.numbers).find((host) => this.address(host) === address);
  }

  /** @param names {service: [host, …]}: what every host resolves, as a headless service would: all hosts' addresses */
  build(names) {
    ip("netns", "add", this.switch);
    ip("-n", this.switch, "link", "add", "br0", "type", "bridge");
    ip("-n", this.switch, "link", "set", "br0", "up");
    const lines = Object.entries(names).flatMap(([name, hosts]) => hosts.map((host) => `${this.address(host)} ${name}\n`));
    for (const [host, number] of Object.entries(this.numbers)) {
      const namespace = this.namespace(host);
      ip("netns", "add", namespace);
      ip("link", "add", "eth0", "netns", namespace, "type", "veth", "peer", "name", `p${number}`, "netns", this.switch);
      ip("-n", this.switch, "link", "set", `p${number}`, "master", "br0", "up");
      ip("-n", namespace, "addr", "add", `${subnet(number)}/24`, "dev", "eth0");
      ip("-n", namespace, "link", "set", "eth0", "up");
      ip("-n", namespace, "link", "set", "lo", "up");
      // `ip netns exec` puts these in the place of the machine's own.
      mkdirSync(`/etc/netns/${namespace}`, { recursive: true });
      writeFileSync(`/etc/netns/${namespace}/hosts`, `127.0.0.1 localhost\n${lines.join("")}`);
      writeFileSync(`/etc/netns/${namespace}/resolv.conf`, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
    }
  }

  /** Nothing reaches the host any more, and nobody is told. */
  cut(host) {
    ip("-n", this.switch, "link", "set", `p${this.numbers[host]}`, "down");
  }
  heal(host) {
    ip("-n", this.switch, "link", "set", `p${this.numbers[host]}`, "up");
  }

  /** Of what build() made, whatever there is. */
  destroy() {
    for (const namespace of [this.switch, ...Object.keys(this.numbers).map((host) => this.namespace(host))]) {
      try {
        ip("netns", "del", namespace);
      } catch {
        // It was never made.
      }
      rmSync(`/etc/netns/${namespace}`, { recursive: true, force: true });
    }
  }
}
