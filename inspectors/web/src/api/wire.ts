/** The messages of the streams as closed unions: `type` tells them apart. */
import type {
  RunChanged,
  RunGone,
  RunsSnapshot,
  StreamCursor,
  StreamDenied,
  StreamEnd,
  StreamEvent,
  StreamHeartbeat,
  StreamLive,
  StreamReset,
  StreamStatus,
} from "../types/api";

export type Wire =
  | StreamCursor
  | StreamEvent
  | StreamStatus
  | StreamReset
  | StreamLive
  | StreamHeartbeat
  | StreamEnd
  | StreamDenied;

export type RunsWire = RunsSnapshot | RunChanged | RunGone | StreamHeartbeat | StreamDenied;

const NON_FINITE: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
};

/** A metric's value: the three that JSON has no number for travel as strings. */
export function metricValue(value: number | string): number {
  if (typeof value === "number") return value;
  const special = NON_FINITE[value];
  if (special === undefined) throw new TypeError(`a metric's value is a number, NaN or infinite; got ${value}`);
  return special;
}
