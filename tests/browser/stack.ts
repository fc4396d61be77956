// Redis, gateway and data of the tests: started once a worker, restarted where a test says so, ended by their ids.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { test as base, expect, type Page } from "@playwright/test";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PYTHON = process.env.PYTHON ?? join(ROOT, ".venv/bin/python");
const DIST = join(ROOT, "inspectors/web/dist");
const ENV = { ...process.env, OMP_NUM_THREADS: "1" };

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => (address && typeof address === "object" ? resolve(address.port) : reject(new Error("no port"))));
    });
  });
}

function ended(child: ChildProcess): Promise<void> {
  const gone = child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  return gone ? Promise.resolve() : new Promise((resolve) => child.once("exit", () => resolve()));
}

/** Ends a process that was started, if any; one that does not heed the signal is killed, so that none outlives the tests. */
async function end(child: ChildProcess | null, signal: NodeJS.Signals): Promise<void> {
  if (!child) return;
  child.kill(signal);
  const late = setTimeout(() => child.kill("SIGKILL"), 5000);
  await ended(child);
  clearTimeout(late);
}

async function until(what: string, condition: () => Promise<boolean>, patience = 30_000): Promise<void> {
  const deadline = Date.now() + patience;
  while (!(await condition().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${patience / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export interface StackOptions {
  prefix?: string;
  seed?: boolean;
  points?: number;
  /** What runs the gateway. */
  python?: string;
  /** Milliseconds within which the gateway has to answer. */
  patience?: number;
}

export class Stack {
  readonly workspace = mkdtempSync(join(tmpdir(), "diffrun-browser-"));
  url = "";
  private redisPort = 0;
  private port = 0;
  private redis: ChildProcess | null = null;
  private gateway: ChildProcess | null = null;
  private scene: { process: ChildProcess; lines: Interface; answers: ((line: string) => void)[] } | null = null;

  constructor(private readonly options: StackOptions = {}) {}

  private get redisUrl(): string {
    return `redis://127.0.0.1:${this.redisPort}/0`;
  }

  async start(): Promise<this> {
    if (!existsSync(DIST)) throw new Error("inspectors/web/dist is missing: run `npm run build` in inspectors/web");
    this.redisPort = await freePort();
    this.port = await freePort();
    try {
      await this.startRedis();
      if (this.options.seed) this.seed();
      await this.startGateway();
    } catch (error) {
      await this.stop(); // who did not get it cannot stop it
      throw error;
    }
    return this;
  }

  private seed(): void {
    const points = String(this.options.points ?? 200_000);
    execFileSync(PYTHON, ["-m", "diffrun_testkit.demo", "--once", "--points", points, "--workspace", this.workspace, "--redis", this.redisUrl], { env: ENV });
  }

  async startRedis(): Promise<void> {
    this.redis = spawn("redis-server", ["--port", String(this.redisPort), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", this.workspace], { stdio: "ignore" });
    await until("Redis", async () => this.redisCli("PING").trim() === "PONG");
  }

  /** Ends Redis with all it holds, as a lost pod does. */
  async stopRedis(): Promise<void> {
    await end(this.redis, "SIGKILL");
  }

  redisCli(...command: string[]): string {
    return execFileSync("redis-cli", ["-p", String(this.redisPort), ...command], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  }

  async startGateway(): Promise<void> {
    const prefix = this.options.prefix ?? "";
    const args = ["-m", "diffrun_gateway", "--local", "--no-auth", "--workspace", this.workspace, "--redis", this.redisUrl, "--port", String(this.port), "--static", DIST];
    if (prefix) args.push("--prefix", prefix);
    this.gateway = spawn(this.options.python ?? PYTHON, args, { stdio: ["ignore", "ignore", process.env.GATEWAY_LOG ? "inherit" : "ignore"], env: ENV });
    this.gateway.on("error", (error) => console.error(error.message)); // a program that is not there: `until` says the rest
    this.url = `http://127.0.0.1:${this.port}${prefix}`;
    await until("the gateway", async () => (await fetch(`http://127.0.0.1:${this.port}/readyz`)).ok, this.options.patience);
  }

  async stopGateway(): Promise<void> {
    await end(this.gateway, "SIGTERM");
  }

  /** A run of scene.py that has begun, and that the gateway knows of. */
  async begin(name: string): Promise<string> {
    const uid = await this.play(`start ${name}`);
    await until(`the run ${name}`, async () => (await this.uid(name)) === uid);
    return uid;
  }

  /** A command of scene.py; its answer. */
  play(command: string): Promise<string> {
    if (!this.scene) {
      const process = spawn(PYTHON, [join(ROOT, "tests/browser/scene.py"), "--workspace", this.workspace, "--redis", this.redisUrl], {
        stdio: ["pipe", "pipe", "inherit"],
        env: ENV,
      });
      const answers: ((line: string) => void)[] = [];
      const lines = createInterface({ input: process.stdout as NodeJS.ReadableStream });
      lines.on("line", (line) => answers.shift()?.(line));
      this.scene = { process, lines, answers };
    }
    const { process, answers } = this.scene;
    if (process.exitCode !== null) throw new Error(`scene.py has ended; asked for: ${command}`);
    return new Promise((resolve) => {
      answers.push(resolve);
      process.stdin?.write(`${command}\n`);
    });
  }

  async uid(name: string): Promise<string> {
    const { runs } = (await (await fetch(`${this.url}/api/runs`)).json()) as { runs: { name: string; uid: string }[] };
    const run = runs.find((r) => r.name === name);
    if (!run) throw new Error(`no run ${name}`);
    return run.uid;
  }

  async stop(): Promise<void> {
    this.scene?.process.stdin?.end();
    await this.stopGateway();
    await this.stopRedis();
    rmSync(this.workspace, { recursive: true, force: true });
  }
}

interface Fixtures {
  /** Fails the test where the page throws, logs an error or asks another host. `tolerate` names what a test provokes. */
  quiet: { tolerate: RegExp[] };
}

export const test = base.extend<Fixtures, { stack: Stack }>({
  stack: [
    async ({}, use) => {
      const stack = await new Stack({ seed: true }).start();
      await use(stack);
      await stack.stop();
    },
    { scope: "worker", timeout: 90_000 },
  ],
  quiet: [
    async ({ page }, use) => {
      const complaints: string[] = [];
      const quiet = { tolerate: [] as RegExp[] };
      page.on("pageerror", (error) => complaints.push(`thrown: ${error.message}`));
      page.on("console", (message) => message.type() === "error" && complaints.push(`console: ${message.text()}`));
      page.on("request", (request) => {
        if (!/^(http:\/\/127\.0\.0\.1:|blob:|data:)/.test(request.url())) complaints.push(`asked another host: ${request.url()}`);
      });
      await use(quiet);
      expect(complaints.filter((text) => !quiet.tolerate.some((pattern) => pattern.test(text)))).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

/** The rows of a metric's CSV, as one gets them from the page. */
export async function csv(page: Page, metric: string): Promise<{ step: number; value: string; smoothed: string; run: string }[]> {
  const panel = page.locator(`.panel[data-metric="${metric}"]`);
  await panel.hover();
  const [download] = await Promise.all([page.waitForEvent("download"), panel.getByRole("button", { name: `Download ${metric} as CSV` }).click()]);
  const stream = await download.createReadStream();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  const [, ...rows] = Buffer.concat(chunks).toString("utf8").trim().split("\r\n");
  return rows.filter(Boolean).map((row) => {
    const cells = row.split(",");
    return { run: cells[0] ?? "", step: Number(cells[4]), value: cells[6] ?? "", smoothed: cells[7] ?? "" };
  });
}
