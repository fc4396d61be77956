// metric_line_chart: every control used, and its effect seen.
import type { Page } from "@playwright/test";
import { csv, expect, test } from "./stack";

const panel = (page: Page, metric: string) => page.locator(`.panel[data-metric="${metric}"]`);
const over = (page: Page, metric: string) => panel(page, metric).locator(".u-over");

async function open(page: Page, url: string, query = ""): Promise<void> {
  await page.goto(`${url}/runs/demo/ddpm-cat-0${query}`);
  await expect(over(page, "denoise/snr")).toBeVisible();
}

test("the picker searches, adds and removes metrics, and the URL holds the choice", async ({ page, stack }) => {
  await open(page, stack.url);
  await expect(page.locator(".panel")).toHaveCount(3);
  await page.getByRole("button", { name: /^Metrics/ }).click();
  await page.getByLabel("Search the metrics").fill("noise_level");
  await expect(page.locator(".picker li")).toHaveCount(1);
  await page.locator(".picker").getByText("denoise/noise_level").click();
  await expect(page.locator(".panel")).toHaveCount(2);
  await page.keyboard.press("Escape");
  await expect(page.locator(".picker")).toHaveCount(0);
  expect(page.url()).toContain("a.m=denoise/predicted_noise_mse,denoise/snr");
  await page.reload();
  await expect(page.locator(".panel")).toHaveCount(2);
  await page.goBack();
  await expect(page.locator(".panel")).toHaveCount(3);
});

test("smoothing draws a second line, by button, slider and key, and is in the CSV", async ({ page, stack }) => {
  await open(page, stack.url);
  await page.getByRole("button", { name: "EMA", exact: true }).click();
  await page.getByLabel("Smoothing weight").fill("0.9");
  expect(page.url()).toContain("a.s=ema");
  expect(page.url()).toContain("a.w=0.9");
  const rows = await csv(page, "denoise/predicted_noise_mse");
  expect(rows).toHaveLength(660);
  expect(rows.every((row) => Number.isFinite(Number(row.smoothed)) && row.smoothed !== "")).toBe(true);
  expect(rows.some((row) => row.smoothed !== row.value)).toBe(true);
  await page.locator("body").press("s");
  await expect(page.getByRole("button", { name: "Time EMA" })).toHaveAttribute("aria-pressed", "true");
  await page.locator("body").press("s");
  await expect(page.getByRole("button", { name: "Raw" })).toHaveAttribute("aria-pressed", "true");
  expect((await csv(page, "denoise/predicted_noise_mse"))[0]?.smoothed).toBe("");
});

test("log y is a true log10 and owns up to what it hides", async ({ page, stack }) => {
  await stack.begin("loghidden");
  for (const [step, value] of [[0, "0"], [1, "0.01"], [2, "-5"], [3, "100"]]) await stack.play(`value loghidden m ${step} ${value}`);
  await page.goto(`${stack.url}/runs/demo/loghidden?a.m=m`);
  await expect(over(page, "m")).toBeVisible();
  await expect(panel(page, "m")).not.toContainText("hidden");
  await page.locator("body").press("l");
  await expect(panel(page, "m")).toContainText("2 points ≤ 0 hidden");
  expect(page.url()).toContain("a.ly=1");
  await stack.play("finish loghidden");
});

test("log x spreads the early steps, and owns up to step 0", async ({ page, stack }) => {
  await stack.begin("logx");
  await stack.play("points logx m 0 101");
  await page.goto(`${stack.url}/runs/demo/logx?a.m=m`);
  const tip = panel(page, "m").locator(".tooltip");
  const stepAt = async (share: number) => {
    const box = await over(page, "m").boundingBox();
    if (!box) throw new Error("no chart");
    await page.mouse.move(box.x + box.width * share, box.y + box.height / 2);
    await expect(tip).toContainText(/step \d/);
    return Number(/step (\d+)/.exec((await tip.textContent()) ?? "")?.[1]);
  };
  expect(await stepAt(0.5)).toBe(50);
  await page.getByRole("button", { name: "Log x" }).click();
  await expect(panel(page, "m")).toContainText("1 point at x ≤ 0 hidden");
  expect(page.url()).toContain("a.lx=1");
  await expect.poll(() => stepAt(0.5)).toBe(10);
  await stack.play("finish logx");
});

test("NaN and infinity are counted, and marked rather than drawn", async ({ page, stack }) => {
  await stack.begin("nans");
  for (const [step, value] of [[0, "1"], [1, "nan"], [2, "inf"], [3, "2"]]) await stack.play(`value nans m ${step} ${value}`);
  await page.goto(`${stack.url}/runs/demo/nans?a.m=m`);
  await expect(panel(page, "m")).toContainText("2 points NaN or ∞");
  expect((await csv(page, "m")).map((row) => row.value)).toEqual(["1", "NaN", "Infinity", "2"]);
  await stack.play("value nans m 4 nan");
  await expect(panel(page, "m")).toContainText("3 points NaN or ∞");
  await stack.play("finish nans");
});

test("the x axis is the step, the time or the clock", async ({ page, stack }) => {
  await open(page, stack.url);
  for (const [button, kept] of [["Time", "a.x=relative"], ["Clock", "a.x=wall"]] as const) {
    await page.getByRole("button", { name: button, exact: true }).click();
    expect(page.url()).toContain(kept);
    await over(page, "denoise/snr").hover();
    await expect(page.locator(".tooltip").first()).toContainText(button === "Time" ? /\d s/ : /\d\d:\d\d:\d\d/);
  }
  await page.getByRole("button", { name: "Step", exact: true }).click();
  expect(page.url()).not.toContain("a.x=");
});

test("dragging zooms all charts, shift-dragging pans, a double click goes back", async ({ page, stack }) => {
  await open(page, stack.url);
  const box = await over(page, "denoise/snr").boundingBox();
  if (!box) throw new Error("no chart");
  const y = box.y + box.height / 2;
  const chart = await over(page, "denoise/snr").elementHandle();
  const drag = async (from: number, to: number) => {
    await page.mouse.move(box.x + box.width * from, y);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * to, y, { steps: 5 });
    await page.mouse.up();
  };
  const range = () => new URL(page.url()).searchParams.get("a.r")?.split("~").map(Number) ?? null;
  await drag(0.25, 0.5);
  await expect.poll(range).not.toBeNull();
  const zoomed = range() as number[];
  expect(zoomed[0]).toBeGreaterThan(8);
  expect(zoomed[1]).toBeLessThan(22);
  await page.keyboard.down("Shift");
  await drag(0.5, 0.25);
  await page.keyboard.up("Shift");
  const panned = range() as number[];
  const span = (zoomed[1] as number) - (zoomed[0] as number);
  expect(panned[0]).toBeCloseTo((zoomed[0] as number) + span / 4, 1); // as far as the pointer went
  expect((panned[1] as number) - (panned[0] as number)).toBeCloseTo(span, 3);
  expect(await chart?.evaluate((element) => element.isConnected)).toBe(true); // it is the same chart all along
  await over(page, "denoise/snr").dblclick();
  await expect.poll(range).toBeNull();
});

test("the tooltip and the keyboard cursor say what every line has at a step", async ({ page, stack }) => {
  await page.goto(`${stack.url}/runs/demo/ddpm-cat-waiting`);
  await over(page, "denoise/noise_level").hover();
  const tip = panel(page, "denoise/noise_level").locator(".tooltip");
  await expect(tip).toContainText(/step \d/);
  await expect(tip.locator("tr")).toHaveCount(2);
  await page.mouse.move(0, 0);
  const chart = panel(page, "denoise/noise_level").getByRole("group");
  await chart.focus();
  await chart.press("End");
  await chart.press("ArrowLeft");
  await expect(panel(page, "denoise/noise_level").locator("[aria-live]")).toContainText("step 8");
});

test("a click on a step seeks the slideshow to its sample", async ({ page, stack }) => {
  await stack.begin("seeking");
  for (let step = 0; step < 5; step += 1) {
    await stack.play(`points seeking m ${step * 10} ${step * 10 + 10}`);
    await stack.play(`picture seeking 0 ${step * 10}`);
  }
  await page.goto(`${stack.url}/runs/demo/seeking?a.m=m`);
  await expect(page.locator(".tile")).toHaveCount(5);
  const box = await over(page, "m").boundingBox();
  if (!box) throw new Error("no chart");
  await page.mouse.click(box.x + box.width * 0.62, box.y + box.height * 0.4);
  await expect(page.locator(".tile[aria-current]")).toContainText("step 30");
  await stack.play("finish seeking");
});

test("PNG and CSV have names that say what is in them", async ({ page, stack }) => {
  await open(page, stack.url);
  await panel(page, "denoise/snr").hover();
  const [png] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download denoise/snr as PNG" }).click()]);
  expect(png.suggestedFilename()).toBe("ddpm-cat-0-preview-full-denoise_snr.png");
  const rows = await csv(page, "denoise/snr");
  expect(rows).toHaveLength(2 * 10 + 16 * 40);
  await page.evaluate(() => {
    HTMLCanvasElement.prototype.toBlob = (callback) => callback(null);
  });
  await page.getByRole("button", { name: "Download denoise/snr as PNG" }).click();
  await expect(panel(page, "denoise/snr").getByRole("alert")).toHaveText("this browser gives no PNG");
});

test("clipping says how much it clips, the table has the figures", async ({ page, stack }) => {
  await open(page, stack.url);
  await page.getByRole("button", { name: "Clip" }).click();
  await expect(panel(page, "denoise/predicted_noise_mse")).toContainText("clipped");
  await page.getByRole("button", { name: "Table" }).click();
  await expect(panel(page, "denoise/snr").locator("tbody tr")).toHaveCount(200);
  expect(page.url()).toContain("a.t=1");
});

test("two hundred thousand points: thinned, exact in its counts, interactive within a second", async ({ page, stack }) => {
  await page.goto(`${stack.url}/runs/demo/long-training`);
  const loss = panel(page, "train/loss");
  await expect(loss).toContainText("showing 2,000 of 200,000");
  await expect(loss).toContainText("3 points NaN or ∞");
  await expect(page.locator('.card[data-metric="train/loss"]')).toContainText("200,000 points");
  const box = await over(page, "train/loss").boundingBox();
  if (!box) throw new Error("no chart");
  await page.mouse.move(box.x + box.width * 0.5, box.y + 50);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.504, box.y + 50, { steps: 4 });
  await page.mouse.up();
  await expect(loss).not.toContainText("showing"); // fetched again: every point of the stretch
  await page.getByRole("button", { name: "Reset zoom" }).click();
  await page.getByRole("button", { name: "All points" }).click();
  await expect(loss).not.toContainText("showing");
  const took = await page.evaluate(async () => {
    const target = document.querySelector(".u-over") as HTMLElement;
    const { left, top, width } = target.getBoundingClientRect();
    const begin = performance.now();
    for (let i = 0; i < 30; i += 1) {
      target.dispatchEvent(new MouseEvent("mousemove", { clientX: left + (width * i) / 30, clientY: top + 40, bubbles: true }));
      await new Promise(requestAnimationFrame);
    }
    return (performance.now() - begin) / 30;
  });
  expect(took).toBeLessThan(100); // ms a move of the pointer, on two cores without a GPU
});
