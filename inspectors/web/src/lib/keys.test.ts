import { describe, expect, it } from "vitest";
import { type KeyPress, type Pending, resolveKey } from "./keys";

const prefixes = new Set(["g"]);
const press = (key: string, over: Partial<KeyPress> = {}): KeyPress => ({
  key,
  time: 0,
  modified: false,
  typing: false,
  ...over,
});

describe("resolveKey", () => {
  it("acts on a single key at once", () => expect(resolveKey(press("j"), null, prefixes).sequence).toBe("j"));
  it("waits for the second key of a pair", () => {
    const { sequence, pending } = resolveKey(press("g"), null, prefixes);
    expect(sequence).toBeNull();
    expect(resolveKey(press("r", { time: 400 }), pending, prefixes).sequence).toBe("g r");
  });
  it("forgets the first key after a second", () => {
    const pending: Pending = { prefix: "g", time: 0 };
    expect(resolveKey(press("r", { time: 1500 }), pending, prefixes).sequence).toBe("r");
  });
  it("leaves typing and the browser's shortcuts alone", () => {
    expect(resolveKey(press("j", { typing: true }), null, prefixes).sequence).toBeNull();
    expect(resolveKey(press("l", { modified: true }), null, prefixes).sequence).toBeNull();
  });
  it("lets Escape leave a text field", () =>
    expect(resolveKey(press("Escape", { typing: true }), null, prefixes).sequence).toBe("Escape"));
});
