import { expect, it } from "vitest";
import { backoff } from "./backoff";

it("doubles from half a second up to fifteen, with spread", () => {
  expect([0, 1, 2, 10].map((n) => backoff(n, 1))).toEqual([500, 1000, 2000, 15_000]);
  expect(backoff(3, 0)).toBe(2000);
});
