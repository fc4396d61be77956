/** How the stream is, in one small word at the top of the page. */
import type { Connection } from "../api/connection";
import { countdown } from "../lib/backoff";
import { age, duration } from "../lib/format";
import { now } from "../stores/clock";
import { MissingRight, Notice } from "./bits";
import { Icon } from "./icons";

/** Why nothing more arrives, where a right has been taken away. */
export function Denied({ connection, what }: { connection: Connection; what: string }) {
  const state = connection.state.value;
  if (state.kind !== "denied") return null;
  return (
    <Notice title={`No longer permitted: ${what}`} icon="lock" tone="bad">
      <MissingRight explanation={state.problem.message} grant={state.problem.grant} />
    </Notice>
  );
}

export function Live({ connection, lag }: { connection: Connection; lag?: number | null }) {
  const state = connection.state.value;
  switch (state.kind) {
    case "live":
      return (
        <span class="live" title="Events arrive as they are published.">
          <span class="dot state-ok" />
          live
          {lag !== null && lag !== undefined && lag < 60_000 && <span>· {duration(lag / 1000)}</span>}
        </span>
      );
    case "late":
      return (
        <span
          class="live state-wait"
          role="status"
          title="The event store does not answer; what is shown may be behind."
        >
          <Icon name="warn" />
          delayed since {age((now.value - state.since) / 1000)}
        </span>
      );
    case "reconnecting":
      return (
        <span class="live state-wait">
          <Icon name="reset" />
          <span role="status">reconnecting</span>
          <span>since {age((now.value - state.since) / 1000)}</span>
          <span class="next-try">{countdown(state.nextTry, now.value)}</span>
          <button type="button" class="button quiet small" onClick={() => connection.retryNow()}>
            try now
          </button>
        </span>
      );
    case "ended":
      return (
        <span class="live" title="All runs shown here are over; the history is complete.">
          <Icon name="done" />
          ended
        </span>
      );
    case "denied":
      return (
        <span class="live state-bad" role="status" title={state.problem.message}>
          <Icon name="lock" />
          no longer permitted
        </span>
      );
    default:
      return <span class="live">connecting…</span>;
  }
}
