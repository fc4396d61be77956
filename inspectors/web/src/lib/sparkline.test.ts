import { describe, expect, it } from "vitest";
import { sparkPath } from "./sparkline";

describe("sparkPath", () => {
  it("spans the box, low at the bottom", () => expect(sparkPath([0, 1])).toBe("M0 22L100 2"));
  it("breaks where a value is missing", () => expect(sparkPath([0, null, 1, 0])).toBe("M0 22M66.67 2L100 22"));
  it("draws a constant in the middle", () => expect(sparkPath([3, 3])).toBe("M0 12L100 12"));
  it("draws one value as a level line", () => expect(sparkPath([3])).toBe("M0 12H100"));
  it("draws nothing from nothing", () => expect(sparkPath([null, Number.NaN])).toBe(""));
});
