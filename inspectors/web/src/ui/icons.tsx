/** Sixteen-pixel line icons, drawn here: no font, no request. They are decoration; the word beside them speaks. */
import type { JSX } from "preact";

const PATHS = {
  pending: <circle cx="8" cy="8" r="5.5" stroke-dasharray="2.2 2.12" />,
  running: <path d="M8 2.5A5.5 5.5 0 1 1 2.5 8" />,
  done: <path d="m3 8.5 3.5 3.5L13 4.5" />,
  failed: <path d="m4 4 8 8m0-8-8 8" />,
  lock: <path d="M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5" />,
  unlock: <path d="M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 4.8-1" />,
  pause: <path d="M5.5 3.5v9m5-9v9" />,
  play: <path d="M5 3.5v9l7-4.5z" />,
  skip: <path d="M3.5 8h9" />,
  cancel: <path d="M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11ZM4.2 4.2l7.6 7.6" />,
  copy: <path d="M5.5 5.5h7v8h-7zM3.5 10.5v-8h7" />,
  download: <path d="M8 2.5v8m-3.5-3L8 11l3.5-3.5M3 13.5h10" />,
  expand: <path d="M9.5 3h3.5v3.5M6.5 13H3V9.5M13 3 9 7m-2 2-4 4" />,
  chevron: <path d="m4.5 6.5 3.5 3.5 3.5-3.5" />,
  left: <path d="M9.5 4 5.5 8l4 4" />,
  right: <path d="m6.5 4 4 4-4 4" />,
  close: <path d="m4 4 8 8m0-8-8 8" />,
  sun: (
    <path d="M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6Zm0-3.5v1m0 11v1M1.5 8h1m11 0h1M3.4 3.4l.7.7m7.8 7.8.7.7m0-9.2-.7.7m-7.8 7.8-.7.7" />
  ),
  moon: <path d="M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5Z" />,
  search: <path d="M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9Zm3.3 7.8 3.2 3.2" />,
  reset: <path d="M3 8a5 5 0 1 0 1.5-3.5M3 3v2.5h2.5" />,
  help: <path d="M5.8 6a2.2 2.2 0 1 1 3 2c-.5.3-.8.6-.8 1.3M8 11.9v.1" />,
  table: <path d="M2.5 3.5h11v9h-11zM2.5 6.5h11M6.5 6.5v6" />,
  compare: <path d="M8 2v12M2.5 4.5h4v7h-4zm7 0h4v7h-4z" />,
  warn: <path d="M8 3 2.5 13h11zM8 7v3m0 1.6v.1" />,
} satisfies Record<string, JSX.Element>;

export type IconName = keyof typeof PATHS;

export function Icon({ name, spin = false }: { name: IconName; spin?: boolean }) {
  return (
    <svg
      class={spin ? "spin" : undefined}
      width="16"
      height="16"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {PATHS[name]}
    </svg>
  );
}
