/** Where one is: path and query as signals, relative to the page's base, so that any path prefix works. */
import { batch, computed, signal } from "@preact/signals";
import { type Field, read, toSearch, write } from "../lib/urlstate";

const base = new URL(".", document.baseURI).pathname;

function here(): string {
  const path = location.pathname;
  return path.startsWith(base) ? path.slice(base.length) : "";
}

export const path = signal(here());
export const query = signal(new URLSearchParams(location.search));

addEventListener("popstate", () => {
  batch(() => {
    path.value = here();
    query.value = new URLSearchParams(location.search);
  });
});

/** The address of a page of ours, for links. */
export function href(to: string, search = ""): string {
  return base + to + search;
}

/** The query of a comparison of these runs. */
export function compareSearch(runs: readonly { uid: string }[]): string {
  return `?${runs.map((run) => `run=${encodeURIComponent(run.uid)}`).join("&")}`;
}

/** Goes to a page, as a new entry of the history. */
export function go(to: string, search = ""): void {
  history.pushState(null, "", href(to, search));
  batch(() => {
    path.value = to;
    query.value = new URLSearchParams(search);
  });
  scrollTo(0, 0);
}

/** Puts a control's state into the URL. Choices become entries of the history, drags (`replace`) do not. */
export function setQuery(next: URLSearchParams, replace = false): void {
  const search = toSearch(next);
  if (search === toSearch(query.value)) return;
  const url = href(path.value, search) + location.hash;
  if (replace) history.replaceState(null, "", url);
  else history.pushState(null, "", url);
  query.value = next;
}

export interface Control<T> {
  readonly value: T;
  set(value: T, replace?: boolean): void;
}

/** A control whose state lives in the URL under `prefix` + the field's key. */
export function control<T>(field: Field<T>, prefix = ""): Control<T> {
  return {
    get value() {
      return read(query.value, field, prefix);
    },
    set(value, replace = false) {
      setQuery(write(query.value, field, value, prefix), replace);
    },
  };
}

export type Route =
  | { page: "runs" }
  | { page: "run"; namespace: string; name: string }
  | { page: "compare"; runs: readonly string[] }
  | { page: "missing" };

/** Which page a path and a query name. */
export const route = computed<Route>(() => {
  const parts = path.value.split("/").filter(Boolean).map(decodeURIComponent);
  if (parts.length === 0) return { page: "runs" };
  if (parts.length === 1 && parts[0] === "compare") return { page: "compare", runs: query.value.getAll("run") };
  const [first, namespace, name] = parts;
  if (first === "runs" && namespace && name && parts.length === 3) return { page: "run", namespace, name };
  return { page: "missing" };
});

/** Follows links to our own pages without loading anything anew. */
export function interceptLinks(): () => void {
  const onClick = (event: MouseEvent) => {
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    const link = (event.target as Element | null)?.closest("a");
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (!link.pathname.startsWith(base) || link.pathname.startsWith(`${base}api/`)) return;
    event.preventDefault();
    go(link.pathname.slice(base.length), link.search);
  };
  document.addEventListener("click", onClick);
  return () => document.removeEventListener("click", onClick);
}
