/** How figures and times are written: three significant digits, SI suffixes, local time with the UTC in the title. */

const SI: readonly (readonly [number, string])[] = [
  [1e15, "P"],
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];
const MINUS = "−";
const NO_VALUE = "–";

function signed(text: string): string {
  return text.startsWith("-") ? MINUS + text.slice(1) : text;
}

/** Three significant digits, no trailing zeros: `0.9987` is `0.999`, `12` is `12`. */
function threeDigits(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** A figure for people: `1.23k`, `0.0456`, `1.2e−7`, `NaN`, `∞`. */
export function si(value: number | null | undefined): string {
  if (value === null || value === undefined) return NO_VALUE;
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : `${MINUS}∞`;
  const rounded = Number(value.toPrecision(3));
  const size = Math.abs(rounded);
  if (size === 0) return "0";
  if (size < 1e-4 || size >= 1e18)
    return signed(rounded.toExponential(2))
      .replace(/\.?0+e/, "e")
      .replace("e-", `e${MINUS}`);
  for (const [unit, suffix] of SI) {
    if (size >= unit) return signed(threeDigits(rounded / unit)) + suffix;
  }
  return signed(threeDigits(rounded));
}

/** The figure with every digit that a double has, for titles. */
export function full(value: number | null | undefined): string {
  if (value === null || value === undefined) return "no value";
  return signed(String(value));
}

/** A difference: always with its sign. */
export function delta(value: number): string {
  if (Number.isNaN(value)) return NO_VALUE;
  return value > 0 ? `+${si(value)}` : si(value);
}

/** A share of one as a whole percentage: `0.503` is `50%`. */
export function percent(share: number): string {
  const hundredths = Math.max(0, Math.min(1, share)) * 100;
  return `${Math.floor(hundredths + 1e-9)}%`; // 0.29 * 100 is a little less than 29
}

/** Seconds as people say them: `0.4 s`, `42 s`, `3m 05s`, `2h 10m`, `4d 3h`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return NO_VALUE;
  const s = Math.max(0, seconds);
  if (s < 9.95) return `${Number(s.toFixed(1))} s`;
  if (s < 59.5) return `${Math.round(s)} s`;
  const whole = Math.round(s);
  const pad = (n: number) => String(n).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${pad(whole % 60)}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h ${pad(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86_400)}d ${Math.floor((whole % 86_400) / 3600)}h`;
}

/** Seconds after something, or before it: `0`, `42 s`, `−42 s`. */
export function offset(seconds: number): string {
  if (seconds === 0) return "0";
  return seconds < 0 ? MINUS + duration(-seconds) : duration(seconds);
}

/** One unit is enough for an age: `8 s`, `3 min`, `2 h`, `4 d`. */
export function age(seconds: number): string {
  if (!Number.isFinite(seconds)) return NO_VALUE;
  const s = Math.max(0, seconds);
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86_400)} d`;
}

/** Bytes in powers of 1024: `1.2 MiB`. */
export function bytes(size: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = size;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : threeDigits(value)} ${units[unit]}`;
}

/** The hour in local time; the date with it where it is not today's. */
export function clock(ms: number, nowMs: number): string {
  const at = new Date(ms);
  const time = at.toLocaleTimeString(undefined, {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23", // midnight is 00, never 24
  });
  if (at.toDateString() === new Date(nowMs).toDateString()) return time;
  return `${at.toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" })} ${time}`;
}

/** The same instant in UTC, for titles. */
export function utc(ms: number): string {
  return `${new Date(ms)
    .toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, "")} UTC`;
}

/** Milliseconds since 1970 of an ISO time, or null where there is none. */
export function parseTime(iso: string | null | undefined): number | null {
  if (!iso) return null;
  const ms = Date.parse(iso);
  return Number.isNaN(ms) ? null : ms;
}

/** `1 point`, `2 points`. */
export function count(n: number, singular: string, plural = `${singular}s`): string {
  return `${n.toLocaleString("en-US")} ${n === 1 ? singular : plural}`;
}
