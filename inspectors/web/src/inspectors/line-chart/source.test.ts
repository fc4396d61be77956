// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { draw } from "../../lib/chart";
import type { Series, SeriesList } from "../../types/api";
import { type ChartQuery, ChartSource } from "./source";

const urls: URL[] = [];
beforeEach(() => {
  urls.length = 0;
  vi.stubGlobal("fetch", async (url: string) => {
    urls.push(new URL(url));
    return new Response(JSON.stringify({ cursors: {}, notices: [], series: [] }));
  });
});
afterEach(() => vi.unstubAllGlobals());

const query = (over: Partial<ChartQuery> = {}): ChartQuery => ({
  runs: ["a", "b"],
  metrics: ["loss"],
  axis: "step",
  range: null,
  mode: "ema",
  weight: 0.6,
  points: 2000,
  ...over,
});
const ask = (source: ChartSource) => source.fetch(new AbortController().signal);

describe("a chart's request", () => {
  it.each([
    ["names its metrics", ["loss", "lr"], ["loss", "lr"]],
    ["asks for no line, and not for all, where there is no metric yet", [], [""]],
  ])("%s", async (_, metrics, asked) => {
    await ask(new ChartSource(query({ metrics })));
    expect(urls).toHaveLength(1);
    expect(urls[0]?.searchParams.getAll("metric")).toEqual(asked);
    expect(urls[0]?.searchParams.getAll("run")).toEqual(["a", "b"]);
    expect(Number(urls[0]?.searchParams.get("points"))).toBe(2000);
  });
});

/** Steps 10 and 11 of a line of `total` points. */
const answer = (total: number): SeriesList => {
  const series = {
    run: "a",
    block: "train",
    name: "loss",
    labels: {},
    series: "s",
    shown: 2,
    total,
  } as unknown as Series;
  const columns = { steps: [10, 11], times: [1000, 2000], values: [9, 9], smoothed: [5, 7] };
  const counts = { nonFinite: 0, hiddenOnLog: 0, nonFinitePoints: [], start: 0 };
  return { cursors: {}, notices: [], series: [{ ...series, ...columns, ...counts }] } as unknown as SeriesList;
};
const loaded = async (over: Partial<ChartQuery>, total = 2) => {
  const source = new ChartSource(query(over));
  await ask(source);
  source.take(answer(total));
  return source;
};

describe("what a chart was answered", () => {
  it("is smoothed by the gateway where it was asked for in a range, though every point of it came", async () => {
    const [line] = (await loaded({ range: [10, 11] })).lines.values();
    expect(line && draw(line, "step", "ema", 0.6).smoothed).toEqual([5, 7]);
  });
  it.each([
    ["serves any zoom and smoothing where it is every point", {}, 2, { range: [0, 1], weight: 0.9 }, false],
    ["does not serve another smoothing of a thinned line", {}, 9, { weight: 0.9 }, true],
    ["does not serve another smoothing within a range", { range: [10, 11] }, 2, { weight: 0.9 }, true],
    ["does not serve the whole line where it is a range of it", { range: [10, 11] }, 2, { range: null }, true],
    ["serves what was asked for", { range: [10, 11] }, 9, {}, false],
  ] as const)("%s", async (_, over, total, change, outdated) => {
    const source = await loaded(over, total);
    source.query = { ...source.query, ...change };
    expect(source.outdated(true)).toBe(outdated);
  });
  it("stays outdated until the new question is asked, whatever else is changed meanwhile", async () => {
    const source = await loaded({ range: [10, 11] });
    source.query = { ...source.query, range: null };
    source.query = { ...source.query, mode: "time" };
    expect(source.outdated(true)).toBe(true);
    await ask(source);
    expect(source.outdated(false)).toBe(false);
    source.query = { ...source.query, weight: 0.9 }; // its answer will be smoothed as it was asked
    expect(source.outdated(false)).toBe(true);
  });
  it("takes live points beyond a zoom that no question was asked for", async () => {
    const source = await loaded({});
    source.query = { ...source.query, range: [10, 11] };
    const point = { name: "loss", value: 1, step: 12, labels: {} };
    const event = { block: "train", attempt: 1, retry: 0, time: new Date(3000).toISOString() };
    source.apply({ run: "a", event: { ...event, body: { type: "metric", points: [point] } } } as never);
    expect([...source.lines.values()][0]?.steps).toEqual([10, 11, 12]);
  });
});
