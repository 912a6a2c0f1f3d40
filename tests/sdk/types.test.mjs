// A program in typed form compiles under the strictest flags.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import { test } from "node:test";

test("the client compiles in TypeScript's strict mode", async () => {
  const directory = import.meta.dirname;
  const compiler = path.join(directory, "node_modules/typescript/bin/tsc");
  const { code, output } = await new Promise((resolve) =>
    execFile(process.execPath, [compiler, "--noEmit", "--strict", "--skipLibCheck", "--project", path.join(directory, "tsconfig.json")], (error, stdout, stderr) => resolve({ code: error?.code ?? 0, output: stdout + stderr })),
  );
  assert.equal(code, 0, output);
});
