// Fails where the bundle is heavier than 120 KB gzip, or where a file of it names another host.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const LIMIT = 120_000;
const dist = fileURLToPath(new URL("../dist", import.meta.url));
// Names, not addresses: namespaces of XML that no browser fetches.
const ALLOWED = /https?:\/\/(www\.w3\.org\/)/;

const files = readdirSync(dist, { recursive: true }).filter((name) => statSync(join(dist, name)).isFile());
let total = 0;
for (const name of files) {
  const content = readFileSync(join(dist, name));
  const size = gzipSync(content, { level: 9 }).length;
  total += size;
  process.stdout.write(`${String(size).padStart(8)}  ${name}\n`);
  for (const [url] of content.toString("latin1").matchAll(/https?:\/\/[a-z0-9.-]+\/?/gi)) {
    if (!ALLOWED.test(url)) {
      process.stderr.write(`${name} names another host: ${url}\n`);
      process.exitCode = 1;
    }
  }
}
process.stdout.write(`${String(total).padStart(8)}  bytes gzip of ${LIMIT}\n`);
if (total > LIMIT) process.exitCode = 1;
