import { describe, expect, it } from "vitest";
import { clamp, columnsFor, fitScale, gridMove, isPixelArt, visibleRows, zoomAt } from "./view";

describe("the first look at an image", () => {
  it("shows a 16 × 16 digit at a whole multiple", () => {
    expect(fitScale({ width: 16, height: 16 }, { width: 500, height: 300 })).toBe(18);
    expect(isPixelArt({ width: 16, height: 16 })).toBe(true);
  });
  it("shrinks a large image to the box and smooths it", () => {
    expect(fitScale({ width: 1024, height: 1024 }, { width: 512, height: 800 })).toBe(0.5);
    expect(isPixelArt({ width: 256, height: 256 })).toBe(false);
  });
  it("enlarges a middling one, but not without bound", () =>
    expect(fitScale({ width: 256, height: 256 }, { width: 4000, height: 4000 })).toBe(3));
  it("still shows a small image in a smaller box", () =>
    expect(fitScale({ width: 16, height: 16 }, { width: 8, height: 8 })).toBe(0.5));
});

describe("zoom and pan", () => {
  it("keeps the point under the pointer", () => {
    const before = { scale: 2, x: 10, y: -5 };
    const after = zoomAt(before, 1.5, 40, 30, 0.1);
    // The image's point under (40, 30) is (40 - x) / scale from its centre, before and after.
    expect((40 - after.x) / after.scale).toBeCloseTo((40 - before.x) / before.scale, 12);
    expect((30 - after.y) / after.scale).toBeCloseTo((30 - before.y) / before.scale, 12);
  });
  it("has bounds", () => {
    expect(zoomAt({ scale: 60, x: 0, y: 0 }, 9, 0, 0, 1).scale).toBe(64);
    expect(zoomAt({ scale: 1, x: 0, y: 0 }, 0.1, 0, 0, 0.5).scale).toBe(0.5);
  });
  it("cannot lose the image", () =>
    expect(clamp({ scale: 2, x: 9999, y: -9999 }, { width: 100, height: 50 })).toEqual({ scale: 2, x: 100, y: -50 }));
});

describe("a virtualised grid", () => {
  it("renders what is near", () => expect(visibleRows(1000, 400, 100, 500)).toEqual([8, 16]));
  it("stays within the rows that there are", () => {
    expect(visibleRows(0, 400, 100, 3)).toEqual([0, 3]);
    expect(visibleRows(99_999, 400, 100, 3)).toEqual([3, 3]);
  });
  it("has a column at least", () => expect([columnsFor(50, 128, 8), columnsFor(408, 128, 8)]).toEqual([1, 3]));
});

describe("keys on a light table", () => {
  it.each([
    ["ArrowRight", 0, 1],
    ["ArrowLeft", 5, 4],
    ["ArrowDown", 1, 5],
    ["ArrowUp", 5, 1],
    ["Home", 7, 0],
    ["End", 2, 9],
    ["ArrowLeft", 0, null],
    ["ArrowDown", 8, null],
    ["ArrowRight", 9, null],
    ["a", 3, null],
  ])("%s from place %i of ten in rows of four leads to %s", (key, at, to) => {
    expect(gridMove(key, at, 10, 4)).toBe(to);
  });
  it("chooses the first where none is chosen", () => expect(gridMove("ArrowDown", -1, 10, 4)).toBe(0));
  it("leads nowhere on an empty table", () => expect(gridMove("Home", -1, 0, 4)).toBeNull());
});
