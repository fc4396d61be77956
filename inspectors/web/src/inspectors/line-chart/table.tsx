/** The figures of a chart as a table, for those who read rather than look; the newest first. */
import type { Axis, Drawn } from "../../lib/chart";
import { full, si } from "../../lib/format";
import type { Strokes } from "./strokes";
import { describeX } from "./tooltip";

const ROWS = 200;

export function PointTable({ drawn, axis, strokes }: { drawn: readonly Drawn[]; axis: Axis; strokes: Strokes }) {
  const rows = drawn.flatMap((d) => d.xs.map((x, i) => ({ d, x, i }))).sort((a, b) => b.x - a.x);
  return (
    <div class="point-table" tabIndex={0}>
      <table>
        <caption class="muted small">
          {rows.length > ROWS
            ? `The newest ${ROWS} of ${rows.length.toLocaleString("en-US")}; the CSV has all`
            : "All points"}
        </caption>
        <thead>
          <tr>
            <th scope="col">{axis === "step" ? "Step" : "Time"}</th>
            <th scope="col">Line</th>
            <th scope="col" class="num">
              Value
            </th>
            <th scope="col" class="num">
              Smoothed
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, ROWS).map(({ d, x, i }) => (
            <tr key={`${d.line.key}${i}`}>
              <td>{describeX(axis, x)}</td>
              <td>
                {strokes.of(d.line).name} <span class="muted">{strokes.detail(d.line)}</span>
              </td>
              <td class="num" title={full(d.ys[i])}>
                {si(d.ys[i])}
              </td>
              <td class="num">{d.smoothed ? si(d.smoothed[i]) : "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
