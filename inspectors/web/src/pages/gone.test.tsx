// @vitest-environment happy-dom
import { render } from "preact";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { useBackfill } from "../api/backfill";
import type { RunFeed } from "../api/feed";
import { usePageState } from "../stores/page";
import { barContent } from "../ui/bar-content";
import { RunsPage } from "./runs";

let open = 0;
class Stream extends EventTarget {
  constructor() {
    super();
    open += 1;
  }
  close(): void {
    open -= 1;
  }
}

let root: HTMLElement;
beforeEach(() => {
  open = 0;
  vi.stubGlobal("EventSource", Stream);
  root = document.body.appendChild(document.createElement("div"));
});
afterEach(() => {
  root.remove();
  vi.unstubAllGlobals();
});

const RUNS = ["u"];
function OfRuns() {
  usePageState(RUNS, () => "");
  return null;
}

const source = { fetch: () => new Promise<never>(() => {}), take: () => {}, apply: () => {} };
const listeners = new Set<object>();
const feed = {
  ready: new Promise(() => {}),
  listen: (listener: object) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
} as unknown as RunFeed;
function Following() {
  useBackfill(feed, "", () => source);
  return null;
}

describe("what is left before it was painted", () => {
  it.each([
    ["the list of runs", RunsPage],
    ["a page of runs", OfRuns],
  ])("leaves no stream open: %s", (_, Page) => {
    render(<Page />, root);
    expect(open).toBe(1);
    render(null, root);
    expect(open).toBe(0);
    expect(barContent.value).toBeNull();
  });
  it("follows no longer", () => {
    render(<Following />, root);
    expect(listeners.size).toBe(1);
    render(null, root);
    expect(listeners.size).toBe(0);
  });
});
