/** The small parts that every page is made of. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { ApiError } from "../api/client";
import { clock, full, parseTime, si, utc } from "../lib/format";
import { PHASES, type Tone } from "../lib/runs";
import { now } from "../stores/clock";
import type { RunPhase } from "../types/api";
import { Icon, type IconName } from "./icons";

export function State({
  icon,
  word,
  tone,
  spin = false,
}: {
  icon: IconName;
  word: string;
  tone: Tone;
  spin?: boolean;
}) {
  return (
    <span class={`state state-${tone}`}>
      <Icon name={icon} spin={spin} />
      <span>{word}</span>
    </span>
  );
}

export function Phase({ phase }: { phase: RunPhase }) {
  const { word, icon, tone } = PHASES[phase];
  return <State icon={icon} word={word} tone={tone} spin={phase === "Running"} />;
}

/** A figure: three digits to read; all of them, and the step that it is of, on hover. */
export function Figure({ value, step = null }: { value: number | null | undefined; step?: number | null }) {
  return <span title={step === null ? full(value) : `${full(value)} at step ${step}`}>{si(value)}</span>;
}

/** An instant: local time, the UTC in the title. */
export function Time({ iso }: { iso: string | null | undefined }) {
  const ms = parseTime(iso);
  if (ms === null) return <span class="muted">–</span>;
  return (
    <time dateTime={iso ?? ""} title={utc(ms)}>
      {clock(ms, now.value)}
    </time>
  );
}

/** A line that runs, with a button that copies it. */
export function Command({ text, label }: { text: string; label: string }) {
  return (
    <div class="command">
      <pre tabIndex={0}>{text}</pre>
      <CopyButton text={text} label={`Copy: ${label}`} />
    </div>
  );
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const copied = useSignal<boolean | null>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      copied.value = true;
    } catch {
      copied.value = false; // no permission, or no secure context: the line can still be selected
    }
    setTimeout(() => {
      copied.value = null;
    }, 1600);
  };
  return (
    <button type="button" class="button quiet" aria-label={label} title={label} onClick={copy}>
      <Icon name={copied.value ? "done" : "copy"} />
      <span class="small" aria-live="polite">
        {copied.value === null ? "" : copied.value ? "Copied" : "Select and copy by hand"}
      </span>
    </button>
  );
}

export interface NoticeProps {
  title: string;
  icon?: IconName;
  tone?: Tone;
  children?: ComponentChildren;
}

/** An empty view, an error, an end: what, why, and what to do. */
export function Notice({ title, icon, tone = "idle", children }: NoticeProps) {
  return (
    <div class="notice" role={tone === "bad" ? "alert" : undefined}>
      <h2>
        {icon && (
          <span class={`state-${tone} row`}>
            <Icon name={icon} />
          </span>
        )}
        {title}
      </h2>
      {children}
    </div>
  );
}

/** Which right is missing, and the line by which an administrator gives it. */
export function MissingRight({ explanation, grant }: { explanation: string; grant?: string | null | undefined }) {
  return (
    <>
      <p>{explanation}</p>
      {grant && (
        <>
          <p>Whoever administers the cluster gives the right with</p>
          <Command label="give the right" text={grant} />
        </>
      )}
    </>
  );
}

/** `retry` is of those who also try again by themselves where the error may pass. */
export function ErrorNotice({
  error,
  retry,
  what,
}: {
  error: ApiError;
  retry?: (() => void) | undefined;
  what: string;
}) {
  const title = error.status === 403 ? `No permission: ${what}` : `${what}: not to be had just now`;
  return (
    <Notice title={title} icon="warn" tone="bad">
      <MissingRight explanation={error.message} grant={error.grant} />
      {retry && error.passing && <p>The page tries again by itself.</p>}
      {retry && (
        <p>
          <button type="button" class="button" onClick={retry}>
            <Icon name="reset" />
            Try again
          </button>
        </p>
      )}
    </Notice>
  );
}

export function Skeleton({ height, width = "100%" }: { height: number; width?: string }) {
  return <div class="skeleton" style={{ height: `${height}px`, width }} aria-hidden="true" />;
}

export interface SegmentsProps<T extends string> {
  label: string;
  value: T;
  options: readonly (readonly [T, string, string?])[];
  onChange: (value: T) => void;
}

/** One of a few: buttons in a row. */
export function Segments<T extends string>({ label, value, options, onChange }: SegmentsProps<T>) {
  return (
    <fieldset class="segments bare" aria-label={label}>
      {options.map(([option, text, title]) => (
        <button
          key={option}
          type="button"
          aria-pressed={option === value}
          title={title}
          onClick={() => onChange(option)}
        >
          {text}
        </button>
      ))}
    </fieldset>
  );
}

/** A run's line as it is in the charts: its colour and its dash. */
export function Swatch({ slot, dash }: { slot: number; dash: readonly number[] }) {
  return (
    <svg class="swatch" viewBox="0 0 20 8" aria-hidden="true">
      <line
        x1="0"
        y1="4"
        x2="20"
        y2="4"
        stroke={`var(--run-${slot})`}
        stroke-width="3"
        stroke-dasharray={dash.join(" ")}
      />
    </svg>
  );
}

/** A ring that fills. */
export function Ring({ share, label }: { share: number; label: string }) {
  const length = 2 * Math.PI * 6;
  return (
    <svg width="16" height="16" viewBox="0 0 16 16" role="img" aria-label={label}>
      <circle cx="8" cy="8" r="6" fill="none" stroke="var(--line)" stroke-width="2.5" />
      <circle
        cx="8"
        cy="8"
        r="6"
        fill="none"
        stroke="currentColor"
        stroke-width="2.5"
        stroke-dasharray={`${length * share} ${length}`}
        transform="rotate(-90 8 8)"
      />
    </svg>
  );
}
