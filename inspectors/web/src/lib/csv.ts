/** The points of a chart as CSV (RFC 4180): one row a point, raw and smoothed, every digit. */
import type { Drawn } from "./chart";
import { describeLabels } from "./series";

const HEADER = ["run", "block", "metric", "labels", "step", "time", "value", "smoothed"];

function cell(value: string | number): string {
  const text = String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** `nameOf` gives a run's name for its UID. */
export function toCsv(lines: readonly Drawn[], nameOf: (run: string) => string): string {
  const rows = [HEADER.join(",")];
  for (const { line, smoothed } of lines) {
    const head = [nameOf(line.id.run), line.id.block, line.id.metric, describeLabels(line.id.labels)]
      .map(cell)
      .join(",");
    for (let i = 0; i < line.steps.length; i += 1) {
      const time = new Date(line.times[i] as number).toISOString();
      const average = smoothed?.[i];
      rows.push(
        `${head},${line.steps[i]},${time},${line.values[i]},${average === undefined || Number.isNaN(average) ? "" : average}`,
      );
    }
  }
  return `${rows.join("\r\n")}\r\n`;
}

/** A name for a download that says what is in it: `ddpm-cat-preview-denoise_snr.csv`. */
export function fileName(parts: readonly string[], extension: string): string {
  const clean = parts.filter(Boolean).map((part) => part.replace(/[^A-Za-z0-9.-]+/g, "_"));
  return `${clean.join("-")}.${extension}`;
}
