/** The light table: rows of thumbnails in a box of its own, of which only those near the eye exist. */
import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { columnsFor, gridMove, visibleRows } from "../../lib/view";
import { runName, runStroke, usePage } from "../../stores/page";
import type { ArtifactEntry } from "../../types/api";
import { Swatch } from "../../ui/bits";
import { Tile } from "./tile";

type Group = readonly (ArtifactEntry | null)[];

export interface GridProps {
  /** One run: one list that wraps. Several: a row a sample, a column a run; a hole where a run has none. */
  rows: readonly (readonly (ArtifactEntry | null)[])[] | null;
  list: readonly ArtifactEntry[];
  runs: readonly string[];
  pixels: number;
  current: string | null;
  onOpen: (artifact: ArtifactEntry) => void;
  /** Makes the sample with this number the current one. */
  onMove: (index: number) => void;
  /** Told whether the newest images are in sight. */
  onEndVisible: (visible: boolean) => void;
}

const GAP = 12;
const CAPTION = 28;
/** Between the images of one sample, and between two samples, in a comparison. */
const PAIR_GAP = 4;
const GROUP_GAP = 28;
const LEAST = 96;
/** Room for the ring around a chosen tile; `.grid-box` has it as its padding. */
const INSET = 3;

export function Grid({ rows, list, runs, pixels, current, onOpen, onMove, onEndVisible }: GridProps) {
  const box = useRef<HTMLDivElement>(null);
  const seen = useSignal({ top: 0, height: 600, width: 800 });
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => {
      seen.value = { top: element.scrollTop, height: element.clientHeight, width: element.clientWidth - 2 * INSET };
      onEndVisible(element.scrollTop + element.clientHeight >= element.scrollHeight - 8);
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, []);

  const width = seen.value.width;
  const perGroup = rows ? runs.length : 1;
  const columns = rows ? groupsFor(width, perGroup, pixels) : columnsFor(width, Math.min(pixels, width), GAP);
  const groupWidth = (width - (rows ? GROUP_GAP : GAP) * (columns - 1)) / columns;
  const fill = (groupWidth - PAIR_GAP * (perGroup - 1)) / perGroup;
  const tile = Math.floor(Math.max(rows ? LEAST : 0, Math.min(pixels * 1.35, fill)));
  const rowHeight = tile + CAPTION + GAP;
  const samples: readonly Group[] = rows ?? list.map((artifact) => [artifact]);
  const table: Group[][] = chunk(samples, columns);
  const [first, last] = visibleRows(seen.value.top, seen.value.height, rowHeight, table.length);

  useEffect(() => {
    const row = table.findIndex((groups) => groups.some((cells) => cells.some((cell) => cell?.id === current)));
    const element = box.current;
    if (row < 0 || !element) return;
    const top = row * rowHeight;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + rowHeight > element.scrollTop + element.clientHeight)
      element.scrollTop = top + rowHeight - element.clientHeight;
  }, [current]);

  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = samples.findIndex((cells) => cells.some((cell) => cell?.id === current));
    if (event.key === "Enter" && event.target === box.current) {
      const chosen = samples[at]?.find((cell) => cell?.id === current);
      if (chosen) onOpen(chosen);
      return;
    }
    const to = gridMove(event.key, at, samples.length, columns);
    if (to === null) return;
    event.preventDefault();
    box.current?.focus({ preventScroll: true }); // from a tile that may scroll out of sight
    onMove(to);
  };

  const template = `repeat(${perGroup}, ${tile}px)`;
  const blocks = new Set(list.map((artifact) => artifact.block));
  return (
    <div class="light-table">
      {rows && (
        <div class="grid-heads small" aria-hidden="true" style={{ gap: `${GROUP_GAP}px` }}>
          {Array.from({ length: Math.min(columns, rows.length) }, (_, group) => (
            <div class="group" key={group} style={{ gridTemplateColumns: template }}>
              {runs.map((run) => (
                <RunHead key={run} run={run} />
              ))}
            </div>
          ))}
        </div>
      )}
      <div class="grid-box" ref={box} tabIndex={0} role="group" aria-label="Images" onKeyDown={onKey}>
        <div class="grid-space" style={{ height: `${table.length * rowHeight - GAP}px` }}>
          {table.slice(first, last).map((groups, i) => (
            <div
              class="grid-row"
              key={first + i}
              style={{ top: `${(first + i) * rowHeight}px`, gap: `${rows ? GROUP_GAP : GAP}px` }}
            >
              {groups.map((cells, column) => (
                <div class="group" key={column} style={{ gridTemplateColumns: template }}>
                  {cells.map((artifact, run) =>
                    artifact ? (
                      <Tile
                        key={artifact.id}
                        artifact={artifact}
                        pixels={tile}
                        current={artifact.id === current}
                        showBlock={blocks.size > 1}
                        onOpen={() => onOpen(artifact)}
                      />
                    ) : (
                      <span class="tile-hole small muted" key={run}>
                        none
                      </span>
                    ),
                  )}
                </div>
              ))}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}

function RunHead({ run }: { run: string }) {
  const page = usePage();
  const { hue, dash } = runStroke(page, run);
  return (
    <span class="row">
      <Swatch slot={hue} dash={dash} />
      <span class="truncate">{runName(page, run)}</span>
    </span>
  );
}

/** The width of a tile where every sample has one of each run beside each other. */
function groupTile(width: number, perGroup: number, pixels: number): number {
  return Math.max(LEAST, Math.min(pixels, (width - PAIR_GAP * (perGroup - 1)) / perGroup));
}

/** How many samples fit beside each other. */
function groupsFor(width: number, perGroup: number, pixels: number): number {
  const group = groupTile(width, perGroup, pixels) * perGroup + PAIR_GAP * (perGroup - 1);
  return columnsFor(width, group, GROUP_GAP);
}

function chunk<T>(items: readonly T[], size: number): T[][] {
  const out: T[][] = [];
  for (let i = 0; i < items.length; i += size) out.push(items.slice(i, i + size));
  return out;
}
