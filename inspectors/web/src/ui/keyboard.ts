/** The page's shortcuts: whoever is mounted says which keys it takes; the newest one wins, and `?` lists them all. */
import { signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { type Pending, resolveKey } from "../lib/keys";

export interface Shortcut {
  keys: string;
  does: string;
  run: (event: KeyboardEvent) => void;
}

const stack = signal<readonly { readonly current: readonly Shortcut[] }[]>([]);

/** Every shortcut in force, newest first, one a key. */
export function activeShortcuts(): Shortcut[] {
  const seen = new Map<string, Shortcut>();
  for (const layer of [...stack.value].reverse())
    for (const s of layer.current) if (!seen.has(s.keys)) seen.set(s.keys, s);
  return [...seen.values()];
}

/** Takes keys for as long as the component is mounted. */
export function useShortcuts(shortcuts: readonly Shortcut[]): void {
  const layer = useRef(shortcuts);
  layer.current = shortcuts;
  // Not after the next paint: what is seen takes its keys.
  useLayoutEffect(() => {
    stack.value = [...stack.value, layer];
    return () => {
      stack.value = stack.value.filter((other) => other !== layer);
    };
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement)
    return true;
  return target instanceof HTMLInputElement && !["checkbox", "radio", "range", "button"].includes(target.type);
}

/** Listens to the whole page; returns what ends it. */
export function startKeyboard(): () => void {
  let pending: Pending | null = null;
  const onKey = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.isComposing) return;
    const shortcuts = activeShortcuts();
    const prefixes = new Set(
      shortcuts.filter((s) => s.keys.includes(" ") && s.keys.length === 3).map((s) => s.keys[0] as string),
    );
    const press = {
      key: event.key,
      time: event.timeStamp,
      modified: event.ctrlKey || event.metaKey || event.altKey,
      typing: isTyping(event.target),
    };
    const resolved = resolveKey(press, pending, prefixes);
    pending = resolved.pending;
    const shortcut = shortcuts.find((s) => s.keys === resolved.sequence);
    if (!shortcut || document.querySelector("dialog[open]:not(.takes-keys)")) return;
    event.preventDefault();
    shortcut.run(event);
  };
  document.addEventListener("keydown", onKey);
  return () => document.removeEventListener("keydown", onKey);
}
