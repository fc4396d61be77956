/** Around every inspector: its title; collapsed, or over the whole screen. */
import { useRef } from "preact/hooks";
import type { InspectorInit } from "../lib/init";
import { flag } from "../lib/urlstate";
import type { Inspector } from "../types/api";
import { Icon } from "../ui/icons";
import { control } from "../ui/router";
import { INSPECTORS } from ".";

export interface FrameProps {
  inspector: Inspector;
  /** Its place on the page, which prefixes its controls in the URL. */
  place: number;
  runs: readonly string[];
}

export function initOf(inspector: Inspector, place: number, runs: readonly string[]): InspectorInit {
  const which = runs.length === 1 ? { run_id: runs[0] as string } : { runs };
  return {
    ...which,
    title: inspector.title,
    metrics: inspector.metrics ?? [],
    filter: inspector.filter ?? null,
    urlPrefix: `${"abcdefghijklmnop"[place]}.`,
  };
}

/** Shows a frame over the whole screen, or goes back. */
async function fullScreen(frame: Element | null): Promise<void> {
  try {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await frame?.requestFullscreen();
  } catch {
    // the browser, or the page that holds this one, does not allow it: the frame stays as it is
  }
}

/** The shortcut of the page for its frames: the one under the pointer or the focus, else the first. */
export const FULL_SCREEN = {
  keys: "f",
  does: "Full screen",
  run: () =>
    void fullScreen(document.querySelector(".frame:focus-within, .frame:hover") ?? document.querySelector(".frame")),
};

export function Frame({ inspector, place, runs }: FrameProps) {
  const root = useRef<HTMLElement>(null);
  const init = initOf(inspector, place, runs);
  const closed = control(flag("c"), init.urlPrefix);
  const Body = INSPECTORS[inspector.type];
  return (
    <section class="frame" ref={root} aria-label={inspector.title} data-type={inspector.type}>
      <header class="frame-head">
        <h2 class="truncate">
          <button
            type="button"
            class="frame-title"
            aria-expanded={!closed.value}
            onClick={() => closed.set(!closed.value, true)}
          >
            <Icon name="chevron" />
            {inspector.title}
          </button>
        </h2>
        <button
          type="button"
          class="button quiet icon"
          onClick={() => void fullScreen(root.current)}
          aria-label={`${inspector.title}: full screen`}
          title="Full screen (f)"
        >
          <Icon name="expand" />
        </button>
      </header>
      {!closed.value && <Body init={init} />}
    </section>
  );
}
