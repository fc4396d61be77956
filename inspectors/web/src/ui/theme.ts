/** Dark or light: what the system prefers, until somebody says otherwise here. */
import { effect, signal } from "@preact/signals";

export type Theme = "light" | "dark";
const KEY = "diffrun-theme";
const system = window.matchMedia("(prefers-color-scheme: dark)");

function remembered(): Theme | null {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : null;
  } catch {
    return null; // storage is forbidden: the system's preference stands
  }
}

const chosen = signal<Theme | null>(remembered());
const preferred = signal<Theme>(system.matches ? "dark" : "light");
system.addEventListener("change", () => {
  preferred.value = system.matches ? "dark" : "light";
});

export const theme = signal<Theme>(chosen.value ?? preferred.value);

effect(() => {
  theme.value = chosen.value ?? preferred.value;
  document.documentElement.dataset.theme = theme.value;
});

/** Switches, and remembers it only where it differs from the system's own choice. */
export function toggleTheme(): void {
  const next: Theme = theme.value === "dark" ? "light" : "dark";
  chosen.value = next === preferred.value ? null : next;
  try {
    if (chosen.value) localStorage.setItem(KEY, chosen.value);
    else localStorage.removeItem(KEY);
  } catch {
    // storage is forbidden: the choice lasts as long as the page
  }
}

/** The value of a token of the theme in force. */
export function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
