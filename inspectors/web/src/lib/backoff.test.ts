import { expect, it } from "vitest";
import { backoff, countdown } from "./backoff";

it("doubles from half a second up to fifteen, with spread", () => {
  expect([0, 1, 2, 10].map((n) => backoff(n, 1))).toEqual([500, 1000, 2000, 15_000]);
  expect(backoff(3, 0)).toBe(2000);
});

it("counts down to the next try, and says when it is under way", () => {
  expect(countdown(5000, 1200)).toBe("next try in 4 s");
  expect(countdown(5000, 4999)).toBe("next try in 1 s");
  expect(countdown(5000, 5000)).toBe("trying");
  expect(countdown(5000, 9000)).toBe("trying");
});
