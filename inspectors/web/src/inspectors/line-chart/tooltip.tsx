/** What the lines say at the cursor: each by itself while they are few; where they are many each group, and the nearest. */
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Axis } from "../../lib/chart";
import { clock, duration, full, si } from "../../lib/format";
import { byGroup, type Reading, shownValue } from "../../lib/readings";
import { now } from "../../stores/clock";
import { Swatch } from "../../ui/bits";
import type { CursorAt } from "./plot";
import type { Group, Strokes } from "./strokes";

const FEW = 8;
/** How near it may come to the edge of the page. */
const EDGE = 8;
/** How wide the y axis is: the cursor is counted from its right. */
const Y_AXIS = 48;

/** The x axis in words. */
export function describeX(axis: Axis, x: number): string {
  if (axis === "step") return `step ${Number.isInteger(x) ? x.toLocaleString("en-US") : si(x)}`;
  return axis === "relative" ? duration(x) : clock(x, now.value);
}

export interface TooltipProps {
  axis: Axis;
  x: number;
  at: CursorAt;
  /** Of the plotting area. */
  width: number;
  readings: readonly Reading[];
  strokes: Strokes;
}

export function Tooltip({ axis, x, at, width, readings, strokes }: TooltipProps) {
  const toLeft = at.left > width / 2;
  const side = toLeft ? { right: `${width - at.left + 28}px` } : { left: `${at.left + Y_AXIS + 12}px` };
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    element.style.translate = "none";
    const { left, right } = element.getBoundingClientRect();
    const shift = Math.max(EDGE - left, Math.min(0, document.documentElement.clientWidth - EDGE - right));
    element.style.translate = `${shift}px`;
  });
  return (
    <div class="tooltip" ref={box} style={side} aria-hidden="true">
      <div class="muted">{describeX(axis, x)}</div>
      {readings.length <= FEW ? (
        <Each readings={readings} strokes={strokes} />
      ) : (
        <Groups readings={readings} strokes={strokes} />
      )}
    </div>
  );
}

function Mark({ group }: { group: Group }) {
  return (
    <td>
      <Swatch slot={group.stroke.hue} dash={group.stroke.dash} />
    </td>
  );
}

function Each({ readings, strokes }: { readings: readonly Reading[]; strokes: Strokes }) {
  const nearest = readings[0]?.drawn.line;
  const shown = [...readings].sort((a, b) => shownValue(b) - shownValue(a));
  return (
    <table>
      <tbody>
        {shown.map(({ drawn, raw, smoothed }) => {
          const group = strokes.of(drawn.line);
          return (
            <tr key={drawn.line.key} data-nearest={drawn.line === nearest}>
              <Mark group={group} />
              <td class="truncate">
                {group.name} <span class="muted">{strokes.detail(drawn.line)}</span>
              </td>
              <td class="num" title={full(raw)}>
                {si(smoothed ?? raw)}
              </td>
              {smoothed !== null && <td class="num muted">{si(raw)}</td>}
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function Groups({ readings, strokes }: { readings: readonly Reading[]; strokes: Strokes }) {
  const groups = byGroup(
    readings,
    strokes.groups.map((group) => group.key),
    (reading) => strokes.of(reading.drawn.line).key,
  );
  const [nearest] = readings;
  return (
    <>
      <table>
        <tbody>
          {groups.map(({ key, lines, mean, min, max }) => {
            const group = strokes.groups.find((g) => g.key === key) as Group;
            return (
              <tr key={key}>
                <Mark group={group} />
                <td class="truncate">
                  {group.name} <span class="muted">× {lines}</span>
                </td>
                <td class="num">{si(mean)}</td>
                <td class="num muted">{min === max ? "" : `${si(min)} … ${si(max)}`}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {nearest && (
        <div class="muted truncate nearest">
          nearest: {strokes.detail(nearest.drawn.line) || strokes.of(nearest.drawn.line).name} {si(shownValue(nearest))}
        </div>
      )}
    </>
  );
}
