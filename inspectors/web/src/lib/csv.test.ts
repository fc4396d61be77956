import { describe, expect, it } from "vitest";
import { draw, type Line } from "./chart";
import { fileName, toCsv } from "./csv";

const line: Line = {
  id: { run: "uid", block: "preview", metric: "denoise/snr", labels: { sample_index: 0 } },
  key: "k",
  generation: { attempt: 1, retry: 0 },
  steps: [0, 1],
  times: [0, 1500],
  values: [1, Number.NaN],
  total: 2,
  thinned: false,
  cut: false,
  smoothed: null,
  nonFinite: 0,
  hiddenOnLog: 0,
  added: 0,
  start: 0,
};

describe("CSV", () => {
  it("has a row a point, raw and smoothed", () => {
    expect(toCsv([draw(line, "step", "ema", 0.5)], () => 'odd,"name"').split("\r\n")).toEqual([
      "run,block,metric,labels,step,time,value,smoothed",
      '"odd,""name""",preview,denoise/snr,sample index 0,0,1970-01-01T00:00:00.000Z,1,1',
      '"odd,""name""",preview,denoise/snr,sample index 0,1,1970-01-01T00:00:01.500Z,NaN,',
      "",
    ]);
  });
  it("is called by what is in it", () =>
    expect(fileName(["ddpm-cat", "preview", "denoise/snr"], "csv")).toBe("ddpm-cat-preview-denoise_snr.csv"));
});
