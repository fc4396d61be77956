// Makes src/types/api.d.ts from the contracts. With --check it writes nothing and fails where the file differs.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compile } from "json-schema-to-typescript";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const target = fileURLToPath(new URL("../src/types/api.d.ts", import.meta.url));
const venv = `${root}.venv/bin/python`;
const python = process.env.PYTHON ?? (existsSync(venv) ? venv : "python3");

const schema = JSON.parse(execFileSync(python, [`${root}tools/generate_types.py`], { encoding: "utf8" }));
const text = await compile(schema, "Api", {
  additionalProperties: false,
  ignoreMinAndMaxItems: true,
  bannerComment: "// Made from diffrun_contracts by `npm run types`; changes here are lost.",
  style: { printWidth: 120 },
});

if (process.argv.includes("--check")) {
  if (!existsSync(target) || readFileSync(target, "utf8") !== text) {
    process.stderr.write("src/types/api.d.ts differs from the contracts: run `npm run types` and commit it.\n");
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
