// Looks for planted secrets wherever a program may have left them.
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

/** Every file below `directory`. */
function* filesBelow(directory, except) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (except.includes(entry.name)) continue;
    const name = path.join(directory, entry.name);
    if (entry.isDirectory()) yield* filesBelow(name, except);
    else if (entry.isFile()) yield name;
  }
}

export class Canary {
  /** @param secrets {name: text}; only the name is ever told */
  constructor(secrets) {
    this.secrets = Object.entries(secrets).map(([name, text]) => [name, Buffer.from(text)]);
    this.hits = new Set();
    this.looked = 0;
    this.bytes = 0;
  }

  /** @param where tells what `bytes` are */
  look(where, bytes) {
    ++this.looked;
    const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes);
    this.bytes += buffer.length;
    for (const [name, text] of this.secrets) if (buffer.includes(text)) this.hits.add(`${name} in ${where}`);
  }

  /** @param except names of files and directories that hold secrets by their nature: a program's own key */
  lookBelow(directory, except) {
    for (const file of filesBelow(directory, except)) {
      // A file may go while it is looked for: a journal of SQLite's, say.
      if (statSync(file, { throwIfNoEntry: false })) this.look(path.relative(directory, file), readFileSync(file));
    }
  }

  /** The argument list of a running process, which every user of the machine can read. */
  lookAtArguments(name, pid) {
    try {
      this.look(`the arguments of ${name}`, readFileSync(`/proc/${pid}/cmdline`));
    } catch (error) {
      if (error.code !== "ENOENT" && error.code !== "ESRCH") throw error;
    }
  }
}
