// Certificate authorities and what they sign, as files, by the openssl command.
import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";


export class Authority {
  constructor(directory, name = "hosts.test") {
    this.directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.certificate = path.join(directory, "ca.crt");
    this.key = path.join(directory, "ca.key");
    this.settings = path.join(directory, "openssl.cnf");
    writeFileSync(this.settings, "[req]\ndistinguished_name=dn\n[dn]\n[root]\nbasicConstraints=critical,CA:TRUE\n[leaf]\nbasicConstraints=CA:FALSE\nsubjectAltName=${ENV::ALTERNATIVE}\n");
    this.#request(["-extensions", "root"], `Authority of ${name} ${path.basename(directory)}`, 30, this.key, this.certificate, "DNS:none");
    this.serial = 0;
  }

  /**
   * A certificate for `identity`, in files of their own: {certificate, key, authority}.
   * @param names what it may be called by: ["DNS:session", "IP:10.77.0.41"]
   * @param days may be negative: expired already
   */
  issue(identity, names, days = 2) {
    const base = path.join(this.directory, `${identity}-${++this.serial}`);
    const set = { certificate: `${base}.crt`, key: `${base}.key`, authority: this.certificate };
    const alternative = [...names, `URI:spiffe://hosts.test/${identity}`].join(",");
    this.#request(["-extensions", "leaf", "-CA", this.certificate, "-CAkey", this.key], identity, days, set.key, set.certificate, alternative);
    return set;
  }

  #request(more, subject, days, key, certificate, alternative) {
    execFileSync("openssl", ["req", "-x509", "-config", this.settings, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
      "-subj", `/CN=${subject}`, "-days", String(days), "-keyout", key, "-out", certificate, ...more],
    { env: { ...process.env, ALTERNATIVE: alternative }, stdio: ["ignore", "pipe", "pipe"] });
  }
}

/** Puts `bytes` where a program reads them, whole at every moment. */
export function replaceFile(file, bytes) {
  writeFileSync(`${file}.new`, bytes, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
