/** One clock for every age on the page: it ticks once a second, and not at all while nobody looks. */
import { signal } from "@preact/signals";

export const now = signal(Date.now());

export function startClock(): () => void {
  const timer = setInterval(() => {
    if (!document.hidden) now.value = Date.now();
  }, 1000);
  return () => clearInterval(timer);
}
