// Every page in light and dark, wide and narrow, to out/screenshots: `tools/screenshots`.
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { expect, ROOT, type Stack, test } from "./stack";

interface Shot {
  path: (stack: Stack) => Promise<string> | string;
  /** What has to be there before the picture is taken. */
  ready: string;
  /** Done first; then the picture is of the window rather than of the whole page. */
  act?: (page: Page) => Promise<void>;
}

async function comparison(stack: Stack): Promise<string> {
  const [a, b] = [await stack.uid("ddpm-cat-0"), await stack.uid("ddpm-cat-1")];
  return `/compare?run=${a}&run=${b}&base=${a}`;
}

const SHOTS: Record<string, Shot> = {
  runs: { path: () => "/", ready: ".run-row .run-link" },
  run: { path: () => "/runs/demo/ddpm-cat-0", ready: ".u-over" },
  smoothed: { path: () => "/runs/demo/ddpm-cat-0?a.s=ema&a.w=0.7&a.ly=1", ready: ".u-over" },
  review: { path: () => "/runs/demo/ddpm-cat-waiting", ready: ".review-curves .sparkline" },
  rejected: { path: () => "/runs/demo/ddpm-cat-rejected", ready: ".u-over" },
  long: { path: () => "/runs/demo/long-training?a.s=ema&a.w=0.9", ready: ".u-over" },
  live: { path: () => "/runs/demo/live", ready: ".tile img" },
  compare: { path: comparison, ready: ".tile img" },
  hover: { path: comparison, ready: ".u-over", act: (page) => page.locator(".u-over").nth(1).hover() },
  lightbox: { path: () => "/runs/demo/ddpm-cat-0", ready: ".tile img", act: (page) => page.locator(".tile").first().click() },
  pair: {
    path: comparison,
    ready: ".tile img",
    act: async (page) => {
      await page.locator(".tile").first().click();
      await page.keyboard.press("c");
      await page.keyboard.press("i");
    },
  },
  keys: { path: () => "/", ready: ".run-row", act: (page) => page.locator("body").press("?") },
};
const SIZES = { wide: { width: 1440, height: 900 }, narrow: { width: 400, height: 860 } };

async function still(page: Page): Promise<void> {
  await page.waitForFunction(() => [...document.images].every((image) => image.complete || image.loading === "lazy"));
  await page.waitForFunction(() => !document.querySelector(".tile-image[data-state=loading]"));
  await page.evaluate(() => Promise.all(document.getAnimations().filter((a) => a instanceof CSSTransition).map((a) => a.finished)));
}

test.beforeAll(async ({ stack }) => {
  await stack.begin("live");
  for (const metric of ["denoise/noise_level", "denoise/predicted_noise_mse", "denoise/snr"]) await stack.play(`points live ${metric} 0 24`);
  for (let i = 0; i < 3; i += 1) await stack.play(`picture live ${i}`);
});

for (const [name, shot] of Object.entries(SHOTS)) {
  test(name, async ({ browser, stack }) => {
    const path = await shot.path(stack);
    for (const colorScheme of ["light", "dark"] as const) {
      for (const [size, viewport] of Object.entries(SIZES)) {
        const context = await browser.newContext({ viewport, colorScheme, deviceScaleFactor: 2 });
        const page = await context.newPage();
        await page.goto(stack.url + path);
        await expect(page.locator(shot.ready).first()).toBeVisible();
        await still(page);
        if (shot.act) await shot.act(page);
        await still(page);
        await page.screenshot({ path: join(ROOT, "out/screenshots", `${name}-${colorScheme}-${size}.png`), fullPage: !shot.act });
        await context.close();
      }
    }
  });
}
