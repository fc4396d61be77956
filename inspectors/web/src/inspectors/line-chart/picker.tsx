/** Which metrics are drawn: a list that can be searched, filled from what the runs emit, growing as they emit more. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "../../ui/icons";

export interface PickerProps {
  available: readonly string[];
  chosen: readonly string[];
  onChange: (metrics: readonly string[]) => void;
}

/** When the box appears, and then no more: it is one function for all renderings. */
const focus = (input: HTMLInputElement | null) => input?.focus({ preventScroll: true });

export function Picker({ available, chosen, onChange }: PickerProps) {
  const open = useSignal(false);
  const search = useSignal("");
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open.value) return;
    const outside = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) open.value = false;
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open.value]);

  const names = [...new Set([...available, ...chosen])].sort();
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = names.filter((name) => words.every((word) => name.toLowerCase().includes(word)));
  const toggle = (name: string) =>
    onChange(chosen.includes(name) ? chosen.filter((m) => m !== name) : [...chosen, name]);
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape") {
      open.value = false;
      root.current?.querySelector("button")?.focus();
      event.stopPropagation();
    }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const items = [...(root.current?.querySelectorAll<HTMLElement>("input") ?? [])];
      const to = items.indexOf(document.activeElement as HTMLElement) + (event.key === "ArrowDown" ? 1 : -1);
      items[Math.max(0, Math.min(items.length - 1, to))]?.focus();
      event.preventDefault();
    }
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys belong to what is inside
    <div class="anchor" ref={root} onKeyDown={onKey}>
      <button
        type="button"
        class="button"
        aria-expanded={open.value}
        aria-haspopup="true"
        onClick={() => {
          open.value = !open.value;
        }}
      >
        Metrics <span class="muted">{chosen.length}</span>
        <Icon name="chevron" />
      </button>
      {open.value && (
        <div class="popover picker">
          <input
            class="field"
            type="search"
            placeholder="Search the metrics"
            aria-label="Search the metrics"
            value={search.value}
            ref={focus}
            onInput={(event) => {
              search.value = event.currentTarget.value;
            }}
          />
          <ul>
            {shown.map((name) => (
              <li key={name}>
                <label>
                  <input type="checkbox" checked={chosen.includes(name)} onChange={() => toggle(name)} />
                  <span class="truncate">{name}</span>
                </label>
              </li>
            ))}
            {shown.length === 0 && (
              <li class="muted none">{names.length === 0 ? "No metric yet" : "No metric has such a name"}</li>
            )}
          </ul>
        </div>
      )}
    </div>
  );
}
