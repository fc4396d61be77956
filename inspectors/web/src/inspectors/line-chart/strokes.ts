/** Which line has which colour: by run, by block or by series, and what the legend calls them. */

import { type Grouping, groupingOf, type Line } from "../../lib/chart";
import { HUES } from "../../lib/colors";
import { describeLabels } from "../../lib/series";
import { type Page, runName, runStroke, type Stroke } from "../../stores/page";

export interface Group {
  key: string;
  name: string;
  stroke: Stroke;
}

export interface Strokes {
  grouping: Grouping;
  groups: Group[];
  of(line: Line): Group;
  /** What a line is called beside the others of its group. */
  detail(line: Line): string;
}

export function strokesOf(page: Page, lines: readonly Line[], runs: number): Strokes {
  const grouping = groupingOf(lines, runs, HUES);
  const groups = new Map<string, Group>();
  const keyOf = (line: Line) =>
    grouping === "run" ? line.id.run : grouping === "block" ? line.id.block : describeLabels(line.id.labels);
  for (const line of lines) {
    const key = keyOf(line);
    if (groups.has(key)) continue;
    const n = groups.size;
    const stroke = grouping === "run" ? runStroke(page, line.id.run) : { hue: n % HUES, dash: n < HUES ? [] : [6, 3] };
    const name = grouping === "run" ? runName(page, line.id.run) : key || line.id.metric;
    groups.set(key, { key, name, stroke });
  }
  return {
    grouping,
    groups: [...groups.values()],
    of: (line) => groups.get(keyOf(line)) as Group,
    detail: (line) => {
      const labels = describeLabels(line.id.labels);
      if (grouping === "series") return "";
      return grouping === "run" ? [line.id.block, labels].filter(Boolean).join(" · ") : labels;
    },
  };
}
