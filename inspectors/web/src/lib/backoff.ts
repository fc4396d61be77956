/** How long to wait before the n-th try (from 0): half a second, doubled up to fifteen, spread so that tabs do not march in step. */
export function backoff(attempt: number, random: number): number {
  const longest = Math.min(15_000, 500 * 2 ** attempt);
  return longest * (0.5 + random / 2);
}
