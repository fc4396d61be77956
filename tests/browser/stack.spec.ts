// The stack itself: a gateway that does not start leaves nothing behind.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "@playwright/test";
import { Stack } from "./stack";

const STUCK = "#!/bin/sh\ntrap '' TERM\necho $$ > \"$0.pid\"\nwhile :; do sleep 0.2; done\n";

test("a gateway that neither starts nor heeds SIGTERM is killed, and Redis and the workspace go with it", async ({}, info) => {
  const python = info.outputPath("stuck");
  writeFileSync(python, STUCK, { mode: 0o755 });
  const stack = new Stack({ python, patience: 1000 });
  await expect(stack.start()).rejects.toThrow("the gateway: not within 1 s");
  const gateway = Number(readFileSync(`${python}.pid`, "utf8"));
  expect(() => process.kill(gateway, 0)).toThrow("ESRCH");
  expect(() => stack.redisCli("PING")).toThrow();
  expect(existsSync(stack.workspace)).toBe(false);
});

test("a gateway whose program is missing takes Redis and the workspace with it", async () => {
  const stack = new Stack({ python: "/no/such/python", patience: 1000 });
  await expect(stack.start()).rejects.toThrow("the gateway: not within 1 s");
  expect(() => stack.redisCli("PING")).toThrow();
  expect(existsSync(stack.workspace)).toBe(false);
});
