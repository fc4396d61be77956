/**
 * The state of every control in the URL: short keys, defaults left out, unknown or broken values replaced by the default
 * (a link from another version still opens).
 */

export interface Field<T> {
  key: string;
  initial: T;
  read(raw: string): T | undefined;
  write(value: T): string;
}

/** One of a closed list of words. */
export function oneOf<T extends string>(key: string, words: readonly T[], initial: NoInfer<T>): Field<T> {
  return { key, initial, read: (raw) => words.find((word) => word === raw), write: (value) => value };
}

/** A flag, `1` where it differs from its default of false. */
export function flag(key: string): Field<boolean> {
  return { key, initial: false, read: (raw) => raw === "1", write: (value) => (value ? "1" : "0") };
}

/** A finite number in a range. */
export function number(key: string, initial: number, min: number, max: number): Field<number> {
  const read = (raw: string) => {
    const value = raw.trim() === "" ? Number.NaN : Number(raw);
    return Number.isFinite(value) && value >= min && value <= max ? value : undefined;
  };
  return { key, initial, read, write: (value) => String(Number(value.toPrecision(6))) };
}

/** Any text. */
export function text(key: string, initial = ""): Field<string> {
  return { key, initial, read: (raw) => raw, write: (value) => value };
}

/** A list of words; a comma within a word is escaped. */
export function list(key: string): Field<readonly string[]> {
  return {
    key,
    initial: [],
    read: (raw) => (raw === "" ? [] : raw.split(",").map((word) => decodeURIComponent(word))),
    write: (value) => value.map((word) => word.replace(/[%,]/g, encodeURIComponent)).join(","),
  };
}

/** An interval `from~to`, or null for all. */
export function interval(key: string): Field<readonly [number, number] | null> {
  const read = (raw: string): readonly [number, number] | undefined => {
    const [from, to, more] = raw.split("~").map(Number);
    if (from === undefined || to === undefined || more !== undefined) return undefined;
    return Number.isFinite(from) && Number.isFinite(to) && from < to ? [from, to] : undefined;
  };
  const write = (value: readonly [number, number] | null) =>
    value ? value.map((v) => Number(v.toPrecision(9))).join("~") : "";
  return { key, initial: null, read, write };
}

/** The value of a field in a query; its default where the query has none, or nonsense. */
export function read<T>(query: URLSearchParams, field: Field<T>, prefix = ""): T {
  const raw = query.get(prefix + field.key);
  if (raw === null) return field.initial;
  try {
    return field.read(raw) ?? field.initial;
  } catch {
    return field.initial; // a broken percent escape
  }
}

/** The query with the field set; left out where it is the default. */
export function write<T>(query: URLSearchParams, field: Field<T>, value: T, prefix = ""): URLSearchParams {
  const next = new URLSearchParams(query);
  const raw = field.write(value);
  if (raw === field.write(field.initial)) next.delete(prefix + field.key);
  else next.set(prefix + field.key, raw);
  return next;
}

/** The query as text that people can read: `/`, `,`, `:` and `~` need no escape there. */
export function toSearch(query: URLSearchParams): string {
  const raw = query.toString();
  return raw ? `?${raw.replace(/%2F/gi, "/").replace(/%2C/gi, ",").replace(/%3A/gi, ":").replace(/%7E/gi, "~")}` : "";
}
