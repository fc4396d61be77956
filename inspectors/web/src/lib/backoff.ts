/** Trying again. */

/** How long to wait before the n-th try (from 0): half a second, doubled up to fifteen, spread so that tabs do not march in step. */
export function backoff(attempt: number, random: number): number {
  const longest = Math.min(15_000, 500 * 2 ** attempt);
  return longest * (0.5 + random / 2);
}

/** When the next try is, counted down in whole seconds. */
export function countdown(atMs: number, nowMs: number): string {
  const seconds = Math.ceil((atMs - nowMs) / 1000);
  return seconds > 0 ? `next try in ${seconds} s` : "trying";
}
