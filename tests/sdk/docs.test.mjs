// docs/api.md names every field that the edge reads, in both languages.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { root } from "./relay.mjs";
import { extensions } from "./schemas.mjs";

const files = (await readdir(path.join(root, "edge"))).filter((name) => /(request|input|parts).*\.cc$/.test(name));
const source = (await Promise.all(files.map((name) => readFile(path.join(root, "edge", name), "utf8")))).join("\n");

// Fields of inner objects that are told in words, or are another API's name for the same thing.
const untold = new Set(["caller", "media_type", "context", "tool_use_id", "call_id", "phase", "file_url", "filters", "search_content_types"]);

for (const name of ["docs/api.md", "docs/api.zh-CN.md"]) {
  const text = await readFile(path.join(root, name), "utf8");
  const told = new Set([...text.matchAll(/`([^`]+)`/g)].flatMap((match) => match[1].match(/\w+/g) ?? []));

  test(`${name} names every field that the edge reads`, () => {
    const read = [...source.matchAll(/(?:\.(?:String|Bool|Int|Double|Raw|Required|RequiredRaw|List|OneOf)|ReadObject|AddUnsupported)\((?:\w+, )?"(\w+)"/g)].map((match) => match[1]);
    assert.ok(new Set(read).size > 40, "the fields are not found in the source");
    const missing = [...new Set(read)].filter((field) => !told.has(field) && !untold.has(field));
    assert.deepEqual(missing, []);
  });

  test(`${name} names the relay's own fields`, () => {
    for (const field of Object.values(extensions).flatMap(Object.keys)) assert.ok(told.has(field), field);
  });

  test(`${name} has every code of an error`, async () => {
    const table = await readFile(path.join(root, "services/common/status/reason.cc"), "utf8");
    const codes = [...table.matchAll(/REASON_\w+,[^}]*?\d{3},\s*"\w+",\s*"(\w+)"/g)].map((match) => match[1]);
    assert.ok(codes.length >= 24, `${codes.length} codes`);
    for (const code of codes) assert.ok(told.has(code), code);
  });
}

test("both languages have the same tables", async () => {
  const shape = async (name) => {
    const text = await readFile(path.join(root, name), "utf8");
    const rows = text.split("\n").filter((line) => line.startsWith("|"));
    return { headings: text.split("\n").filter((line) => /^#+ /.test(line)).map((line) => line.match(/^#+/)[0]), first: rows.filter((row) => row.startsWith("| `")).map((row) => (row.split("|")[1].match(/`[^`]+`/g) ?? []).sort().join()), rows: rows.length };
  };
  assert.deepEqual(await shape("docs/api.zh-CN.md"), await shape("docs/api.md"));
});
