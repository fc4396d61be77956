// WCAG AA by axe on every page and dialog, light and dark; nothing is cut off at 400 px.
import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { expect, test } from "./stack";

async function violations(page: Page): Promise<string[]> {
  const { violations: found } = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]).analyze();
  return found.map((v) => `${v.id}: ${v.nodes.map((node) => `${node.target} ${node.any[0]?.message ?? ""}`).join(" | ")}`);
}

const PAGES = {
  runs: { path: "/", ready: ".run-row .run-link" },
  run: { path: "/runs/demo/ddpm-cat-0?a.s=ema&a.t=1", ready: ".u-over" },
  review: { path: "/runs/demo/ddpm-cat-waiting", ready: ".sample img" },
  failed: { path: "/runs/demo/ddpm-cat-rejected", ready: ".trouble" },
} as const;

test.describe.configure({ timeout: 120_000 }); // axe looks at every cell of the tables

for (const colorScheme of ["light", "dark"] as const) {
  for (const [name, { path, ready }] of Object.entries(PAGES)) {
    test(`axe finds nothing on ${name}, ${colorScheme}`, async ({ page, stack }) => {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.goto(stack.url + path);
      await expect(page.locator(ready).first()).toBeVisible();
      expect(await violations(page)).toEqual([]);
    });
  }

  test(`axe finds nothing on a comparison, the lightbox and the list of keys, ${colorScheme}`, async ({ page, stack }) => {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const [a, b] = [await stack.uid("ddpm-cat-0"), await stack.uid("ddpm-cat-1")];
    await page.goto(`${stack.url}/compare?run=${a}&run=${b}&base=${a}`);
    await expect(page.locator(".tile").first()).toBeVisible();
    expect(await violations(page)).toEqual([]);
    await page.locator(".tile").first().click();
    await page.keyboard.press("c");
    await page.keyboard.press("i");
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await page.locator("h1").click();
    await page.locator("body").press("?");
    expect(await violations(page)).toEqual([]);
  });
}

for (const [name, { path, ready }] of Object.entries(PAGES)) {
  for (const width of [400, 3840]) {
    test(`${name} scrolls in one direction only at ${width} px`, async ({ page, stack }) => {
      await page.setViewportSize({ width, height: 900 });
      await page.goto(stack.url + path);
      await expect(page.locator(ready).first()).toBeVisible();
      expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBeLessThanOrEqual(0);
    });
  }
}

test("the first Tab offers to skip the bar, and Enter stays on the page", async ({ page, stack }) => {
  await page.goto(`${stack.url}/runs/demo/ddpm-cat-waiting`);
  await expect(page.locator(".sample img").first()).toBeVisible();
  const url = page.url();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.locator("main")).toBeFocused();
  expect(page.url()).toBe(url);
});

test("the whole run page is reached by keyboard, with a focus that is seen", async ({ page, stack }) => {
  await page.goto(`${stack.url}/runs/demo/ddpm-cat-waiting`);
  for (const ready of [".sample img", ".u-over", ".tile"]) await expect(page.locator(ready).first()).toBeVisible();
  const reached = new Set<string>();
  for (let i = 0; i < 70; i += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const element = document.activeElement as HTMLElement;
      return { name: element.className || element.tagName, outline: getComputedStyle(element).outlineStyle };
    });
    reached.add(at.name.split(" ")[0] as string);
    if (at.name !== "BODY") expect(at.outline, at.name).not.toBe("none");
  }
  for (const part of ["node", "sample", "plot", "frame-title", "tile", "field"]) expect([...reached]).toContain(part);
});
