/** What the inspectors of one page share: the stream, the runs' names and colours, the step that all of them speak of. */
import { type Signal, signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext, useLayoutEffect, useMemo } from "preact/hooks";
import { RunFeed } from "../api/feed";
import type { Seek } from "../lib/artifacts";
import { assignSlots, dashOf, hueOf } from "../lib/colors";

export interface Page {
  feed: RunFeed;
  /** Every run's slot of colour and dash, by UID. */
  slots: ReadonlyMap<string, number>;
  /** Runs that the legend has switched off. */
  hidden: Signal<ReadonlySet<string>>;
  /** The run that differences are taken against. */
  baseline: Signal<string | null>;
  /** The block that the page is filtered to; empty for all. */
  block: () => string;
  /** The step under the pointer, wherever that is. */
  hover: Signal<number | null>;
  /** What a click on a chart asks the slideshow for. */
  seek: Signal<Seek | null>;
}

const Context = createContext<Page | null>(null);
export const PageProvider = Context.Provider;

export function usePage(): Page {
  const page = useContext(Context);
  if (!page) throw new Error("an inspector stands inside of a PageProvider");
  return page;
}

/** A page's shared state for as long as its runs stay the same. */
export function usePageState(runs: readonly string[], block: () => string): Page {
  const key = runs.join();
  const page = useMemo<Page>(
    () => ({
      feed: new RunFeed(runs),
      slots: assignSlots(runs),
      hidden: signal<ReadonlySet<string>>(new Set()),
      baseline: signal<string | null>(null),
      block,
      hover: signal<number | null>(null),
      seek: signal<Seek | null>(null),
    }),
    [key],
  );
  // Not after the next paint: of a page that is left before it, the stream would stay.
  useLayoutEffect(() => () => page.feed.close(), [page]);
  return page;
}

/** A run's name; its UID's beginning until the stream has told it. */
export function runName(page: Page, uid: string): string {
  const entry = page.feed.details.value.get(uid)?.entry;
  return entry ? entry.name : uid.slice(0, 8);
}

export interface Stroke {
  hue: number;
  dash: readonly number[];
}

export function runStroke(page: Page, uid: string): Stroke {
  const slot = page.slots.get(uid) ?? 0;
  return { hue: hueOf(slot), dash: dashOf(slot) };
}
