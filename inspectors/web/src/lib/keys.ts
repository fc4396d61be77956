/** Key sequences: single keys, and pairs such as `g r` whose second key follows within a second. */

export interface KeyPress {
  key: string;
  time: number;
  /** Ctrl, Alt or Meta: the browser's own shortcuts are left alone. */
  modified: boolean;
  /** The focus is where text is typed. */
  typing: boolean;
}

export interface Pending {
  prefix: string;
  time: number;
}

export const SEQUENCE_MS = 1000;

export interface Resolved {
  /** The sequence to act upon, for example `j` or `g r`. */
  sequence: string | null;
  pending: Pending | null;
}

/** What a key press means, given what was pressed before. `prefixes` are the keys that may begin a pair. */
export function resolveKey(press: KeyPress, pending: Pending | null, prefixes: ReadonlySet<string>): Resolved {
  const nothing: Resolved = { sequence: null, pending: null };
  if (press.modified) return nothing;
  if (press.typing) return press.key === "Escape" ? { sequence: "Escape", pending: null } : nothing;
  if (pending && press.time - pending.time <= SEQUENCE_MS)
    return { sequence: `${pending.prefix} ${press.key}`, pending: null };
  if (prefixes.has(press.key)) return { sequence: null, pending: { prefix: press.key, time: press.time } };
  return { sequence: press.key, pending: null };
}
