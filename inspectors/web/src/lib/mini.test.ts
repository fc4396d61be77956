import { describe, expect, it } from "vitest";
import { miniPaths } from "./mini";

describe("miniPaths", () => {
  it("puts all lines on one scale", () => {
    expect(
      miniPaths([
        { xs: [0, 10], ys: [0, 1] },
        { xs: [0, 5], ys: [0.5, 0.5] },
      ]),
    ).toEqual(["M0 22L100 2", "M0 12L50 12"]);
  });
  it("breaks a line where a value is missing", () =>
    expect(miniPaths([{ xs: [0, 1, 2], ys: [0, null, 1] }])).toEqual(["M0 22M100 2"]));
  it("survives nothing", () => expect(miniPaths([{ xs: [], ys: [] }])).toEqual([""]));
});
