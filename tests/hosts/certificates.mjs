// Certificate authorities and what they sign, as files, by the openssl command.
import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";

const settings = (directory) => `
[req]
distinguished_name = subject
[subject]
[root]
basicConstraints = critical, CA:TRUE
[leaf]
basicConstraints = CA:FALSE
subjectAltName = \${ENV::ALTERNATIVE}
[ca]
default_ca = own
[own]
database = ${directory}/index
new_certs_dir = ${directory}
certificate = ${directory}/ca.crt
private_key = ${directory}/ca.key
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
x509_extensions = leaf
[any]
commonName = supplied
`;

export class Authority {
  constructor(directory) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(this.#path("openssl.cnf"), settings(directory));
    writeFileSync(this.#path("index"), "");
    this.certificate = this.#path("ca.crt");
    this.issued = 0;
    // Of one name each: who looks for an issuer by its name must not find another's key.
    this.#make("ca", ["-x509", "-extensions", "root", "-days", "30", "-out", this.certificate], `The authority ${path.basename(directory)}`);
  }

  /**
   * A certificate for `identity`, in files of their own: {certificate, key, authority}.
   * @param names what it may be called by: ["DNS:session", "IP:10.77.0.41"]
   * @param expired it was good once
   */
  issue(identity, names, { expired = false } = {}) {
    const name = `${identity}-${++this.issued}`;
    const alternative = [...names, `URI:spiffe://hosts.test/${identity}`].join(",");
    const set = { certificate: this.#path(`${name}.crt`), key: this.#path(`${name}.key`), authority: this.certificate };
    this.#make(name, ["-out", this.#path(`${name}.csr`)], identity);
    const dates = expired ? ["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"] : ["-days", "2"];
    this.#openssl(["ca", "-config", this.#path("openssl.cnf"), "-batch", "-notext", ...dates, "-in", this.#path(`${name}.csr`), "-out", set.certificate], alternative);
    return set;
  }

  #path(name) {
    return path.join(this.directory, name);
  }
  #make(name, flags, subject) {
    this.#openssl(["req", "-config", this.#path("openssl.cnf"), "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
      "-subj", `/CN=${subject}`, "-keyout", this.#path(`${name}.key`), ...flags]);
  }
  #openssl(words, alternative = "DNS:none") {
    execFileSync("openssl", words, { env: { ...process.env, ALTERNATIVE: alternative }, stdio: ["ignore", "pipe", "pipe"] });
  }
}

/** Puts `bytes` where a program reads them, whole at every moment. */
export function replaceFile(file, bytes) {
  writeFileSync(`${file}.new`, bytes, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
