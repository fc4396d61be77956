// @vitest-environment happy-dom
import { afterEach, describe, expect, it, vi } from "vitest";
import { ChartSource } from "./source";

afterEach(() => vi.unstubAllGlobals());

describe("a chart's request", () => {
  it.each([
    ["names its metrics", ["loss", "lr"], ["loss", "lr"]],
    ["asks for no line, and not for all, where there is no metric yet", [], [""]],
  ])("%s", async (_, metrics, asked) => {
    const urls: URL[] = [];
    vi.stubGlobal("fetch", async (url: string) => {
      urls.push(new URL(url));
      return new Response(JSON.stringify({ cursors: {}, notices: [], series: [] }));
    });
    const query = {
      runs: ["a", "b"],
      metrics,
      axis: "step",
      range: null,
      mode: "ema",
      weight: 0.6,
      points: 2000,
    } as const;
    await new ChartSource(query).fetch(new AbortController().signal);
    expect(urls).toHaveLength(1);
    expect(urls[0]?.searchParams.getAll("metric")).toEqual(asked);
    expect(urls[0]?.searchParams.getAll("run")).toEqual(["a", "b"]);
    expect(Number(urls[0]?.searchParams.get("points"))).toBe(2000);
  });
});
