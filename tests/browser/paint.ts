// How soon a page with 200,000 points can be used: `python benchmarks/pages.py`, which reads the lines of JSON.
// It measures and judges nothing; each repeat is a browser context of its own, with nothing in its cache.
import type { Page } from "@playwright/test";
import { expect, test } from "./stack";

const REPEATS = Number(process.env.REPEATS ?? 7);
/** Without a long task for so long, the main thread counts as free. */
const QUIET_MS = 500;

interface Watch {
  /** Ends of the main thread's tasks of more than 50 ms. */
  busyUntil: number;
  busy: number;
  /** The frame that showed the newest chart. */
  painted: number;
  hovered: number;
}

declare global {
  interface Window {
    watch: Watch;
  }
}

/** Runs in the page before its own scripts. */
function observe(): void {
  const watch: Watch = { busyUntil: 0, busy: 0, painted: 0, hovered: 0 };
  window.watch = watch;
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) {
      watch.busyUntil = startTime + duration;
      watch.busy += duration;
    }
  }).observe({ type: "longtask", buffered: true });
  let charts = 0;
  const look = (): void => {
    const found = document.querySelectorAll(".panel .u-over").length;
    // What a frame draws can be seen when the next one begins.
    if (found > charts) requestAnimationFrame(() => requestAnimationFrame((now) => { watch.painted = now; }));
    charts = found;
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
  document.addEventListener("pointermove", (event) => {
    if (!(event.target as Element).closest?.(".u-over")) return;
    const sent = event.timeStamp;
    requestAnimationFrame(() => requestAnimationFrame((now) => { watch.hovered = now - sent; }));
  }, { passive: true });
}

async function open(page: Page, url: string): Promise<Record<string, number>> {
  await page.addInitScript(observe);
  await page.goto(url);
  await expect(page.locator(".panel").first()).toContainText("of 200,000");
  await page.waitForFunction((quiet) => {
    const { painted, busyUntil } = window.watch;
    return painted > 0 && performance.now() - Math.max(painted, busyUntil) > quiet;
  }, QUIET_MS);
  const measured = await page.evaluate(() => {
    const answers = performance.getEntriesByType("resource").filter(({ name }) => name.includes("/api/series")) as PerformanceResourceTiming[];
    const { painted, busyUntil, busy } = window.watch;
    const arrived = Math.min(...answers.map((answer) => answer.responseEnd));
    const bytes = answers.reduce((sum, answer) => sum + answer.decodedBodySize, 0);
    return { arrived, bytes, paint: painted - arrived, interactive: Math.max(painted, busyUntil) - arrived, busy };
  });
  await page.locator(".panel .u-over").first().hover();
  await page.waitForFunction(() => window.watch.hovered > 0);
  return { ...measured, hover: await page.evaluate(() => window.watch.hovered) };
}

test("a run of 200,000 points", async ({ browser, stack }) => {
  // The first visit has the gateway read the run's history, which is no concern of the browser's.
  for (let repeat = 0; repeat <= REPEATS; repeat += 1) {
    const context = await browser.newContext();
    const measured = await open(await context.newPage(), `${stack.url}/runs/demo/long-training`);
    if (repeat > 0) console.log(`PAINT ${JSON.stringify(measured)}`);
    await context.close();
  }
});
