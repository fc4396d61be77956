// slideshow and scalar_summary: every control used, and its effect seen.
import { readFile } from "node:fs/promises";
import type { Locator, Page } from "@playwright/test";
import { expect, test } from "./stack";

async function open(page: Page, url: string, query = ""): Promise<void> {
  await page.goto(`${url}/runs/demo/ddpm-cat-0${query}`);
  await expect(page.getByText("18 images")).toBeVisible();
}

/** Where something is once it has stopped to move. */
async function settled(what: Locator): Promise<{ x: number; y: number; width: number; height: number }> {
  let last = await what.boundingBox();
  await expect
    .poll(async () => {
      const before = last;
      last = await what.boundingBox();
      return last !== null && JSON.stringify(last) === JSON.stringify(before);
    })
    .toBe(true);
  if (!last) throw new Error("nothing to be seen");
  return last;
}

test("chips filter by tag, with counts, in the URL", async ({ page, stack }) => {
  await open(page, stack.url);
  await page.getByRole("button", { name: "phase preview 2" }).click();
  await expect(page.locator(".tile")).toHaveCount(2);
  await expect(page.getByText("2 of 18 images")).toBeVisible();
  expect(page.url()).toContain("c.tag=phase%3Dpreview");
  await page.reload();
  await expect(page.locator(".tile")).toHaveCount(2);
  await page.getByRole("button", { name: "Clear" }).click();
  await expect(page.getByText("18 images")).toBeVisible();
});

test("the lightbox opens on a click and works by keyboard; Back closes it", async ({ page, stack }) => {
  await open(page, stack.url);
  await page.locator(".tile").first().click();
  const box = page.getByRole("dialog");
  await expect(box).toContainText("preview · sample 0");
  await page.keyboard.press("ArrowRight");
  await expect(box).toContainText("preview · sample 1");
  await page.keyboard.press("End");
  await expect(box).toContainText("full · sample 15");
  await page.keyboard.press("i");
  await expect(box).toContainText("256 × 256");
  await page.keyboard.press("Escape");
  await expect(box).toBeHidden();
  await page.goBack();
  await expect(box).toBeVisible();
});

test("the lightbox keeps its keys when the control that had the focus goes away", async ({ page, stack }) => {
  await open(page, stack.url);
  await page.locator(".tile").first().click();
  const box = page.getByRole("dialog");
  await page.keyboard.press("c");
  await page.getByRole("button", { name: "Wipe" }).click();
  await page.getByRole("button", { name: "Wipe" }).press("c"); // which takes the four ways to compare away
  await expect(box.getByRole("button", { name: "Wipe" })).toHaveCount(0);
  await page.keyboard.press("ArrowRight");
  await expect(box.locator("h2")).toHaveText("ddpm-cat-0 · preview · sample 1");
  await page.keyboard.press("c");
  await page.getByLabel("compared with").focus();
  await page.keyboard.press("End"); // the select's own
  await expect(box.locator("h2")).toHaveText("ddpm-cat-0 · preview · sample 1");
});

test("an image that is opened after Back is seen whole, however large the one before was", async ({ page, stack }) => {
  await open(page, stack.url);
  const image = page.locator(".stage-view img");
  await page.locator(".tile").first().click();
  const whole = await settled(image);
  await page.keyboard.press("+");
  await expect.poll(async () => (await image.boundingBox())?.width).toBeGreaterThan(whole.width * 1.2);
  await page.goBack();
  await expect(page.getByRole("dialog")).toBeHidden();
  await page.locator(".tile").first().click();
  expect((await settled(image)).width).toBeCloseTo(whole.width, 0);
});

test("on the light table arrows, Home and End choose, and Enter opens what is chosen", async ({ page, stack }) => {
  await open(page, stack.url);
  await page.getByRole("group", { name: "Images" }).focus();
  const chosen = page.locator(".tile[aria-current]");
  await page.keyboard.press("ArrowRight");
  await expect(chosen).toHaveAccessibleName(/preview, sample 0/);
  await page.keyboard.press("ArrowRight");
  await expect(chosen).toHaveAccessibleName(/preview, sample 1/);
  await page.keyboard.press("End");
  await expect(chosen).toHaveAccessibleName(/full, sample 15/);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog")).toContainText("full · sample 15");
});

test("zoom keeps the point under the pointer, drag pans, 0 fits", async ({ page, stack }) => {
  await open(page, stack.url);
  await page.locator(".tile").first().click();
  const image = page.locator(".stage-view img");
  const before = await settled(image);
  const x = before.x + before.width * 0.75;
  const y = before.y + before.height * 0.25;
  await page.mouse.move(x, y);
  await page.mouse.wheel(0, -300);
  await expect.poll(async () => (await image.boundingBox())?.width).toBeGreaterThan(before.width * 1.5);
  const after = await image.boundingBox();
  if (!after) throw new Error("no image");
  expect((x - after.x) / after.width).toBeCloseTo(0.75, 2);
  expect((y - after.y) / after.height).toBeCloseTo(0.25, 2);
  await page.mouse.down();
  await page.mouse.move(x + 40, y + 20, { steps: 3 });
  await page.mouse.up();
  expect(((await image.boundingBox())?.x ?? 0) - after.x).toBeCloseTo(40, 0);
  await page.keyboard.press("0");
  await expect.poll(async () => (await image.boundingBox())?.width).toBeCloseTo(before.width, 0);
});

test("a key pressed in the same breath as the click is the lightbox's, before the page is painted", async ({ page, stack }) => {
  await open(page, stack.url);
  await page.locator(".tile").first().evaluate(async (tile: HTMLElement) => {
    tile.focus();
    tile.click();
    await Promise.resolve(); // what is rendered in the click's own task is there; nothing is painted yet
    const press = new KeyboardEvent("keydown", { key: "c", bubbles: true, cancelable: true });
    (document.activeElement as HTMLElement).dispatchEvent(press);
  });
  await expect(page.locator(".stage-box")).toHaveCount(2);
});

test("two images are compared beside each other, wiped, in turn and subtracted", async ({ page, stack }) => {
  await open(page, stack.url);
  await page.locator(".tile").first().click();
  await page.keyboard.press("c");
  await expect(page.locator(".stage-box")).toHaveCount(2);
  await page.getByRole("button", { name: "Wipe" }).click();
  await page.getByLabel("Where the two images meet").fill("30");
  await expect(page.locator(".stage-view img").nth(1)).toHaveCSS("clip-path", "inset(0px 0px 0px 30%)");
  await page.getByRole("button", { name: "Difference" }).click();
  await expect(page.locator(".stage-view img").nth(1)).toHaveCSS("mix-blend-mode", "difference");
  await page.getByRole("button", { name: "Flicker" }).click();
  const second = page.locator(".stage-view img").nth(1);
  await expect(second).toHaveCSS("opacity", "1");
  await expect(second).toHaveCSS("opacity", "0");
  await page.getByLabel("compared with").selectOption({ label: "ddpm-cat-0 · full · sample 3" });
  expect(page.url()).toContain("c.cm=flicker");
});

test("the original is downloaded under a name that says run and block, byte for byte", async ({ page, stack }) => {
  await open(page, stack.url);
  await page.locator(".tile").first().click();
  const link = page.getByLabel("Download the original");
  const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
  const served = await page.request.get(new URL((await link.getAttribute("href")) ?? "", page.url()).href);
  expect((await readFile(await download.path())).equals(await served.body())).toBe(true);
  expect(download.suggestedFilename()).toMatch(/ddpm-cat-0.*preview.*\.png$/);
});

test("follow latest chooses each image as it comes, until it is switched off", async ({ page, stack }) => {
  await stack.begin("follow");
  await stack.play("picture follow 0");
  await page.goto(`${stack.url}/runs/demo/follow`);
  const chosen = page.locator(".tile[aria-current]");
  await expect(page.locator(".tile")).toHaveCount(1);
  await expect(chosen).toHaveCount(0);
  await page.getByRole("button", { name: "Follow latest" }).click();
  await expect(chosen).toContainText("sample 0");
  for (const index of [1, 2]) {
    await stack.play(`picture follow ${index}`);
    await expect(chosen).toContainText(`sample ${index}`);
  }
  await page.getByRole("button", { name: "Follow latest" }).click();
  await stack.play("picture follow 3");
  await expect(page.locator(".tile")).toHaveCount(4);
  await expect(chosen).toContainText("sample 2");
  await stack.play("finish follow");
});

test("thumbnail sizes, the number to type and play", async ({ page, stack }) => {
  await open(page, stack.url);
  const width = async () => (await page.locator(".tile").first().boundingBox())?.width ?? 0;
  const medium = await width();
  await page.getByRole("button", { name: "L", exact: true }).click();
  await expect.poll(width).toBeGreaterThan(medium * 1.4);
  await page.getByLabel("Number of the image").fill("5");
  await page.getByLabel("Number of the image").press("Enter");
  await expect(page.locator(".tile[aria-current]")).toContainText("sample 2");
  await page.getByRole("button", { name: "Play the slideshow" }).click();
  await expect(page.locator(".tile[aria-current]")).not.toContainText("sample 2"); // each is shown for less than a poll may take
  await page.getByRole("button", { name: "Pause the slideshow" }).click();
  await expect(page.getByRole("button", { name: "Play the slideshow" })).toBeVisible();
});

test("a video is played in its place, by keyboard, and any moment of it is reached", async ({ page, stack }) => {
  await stack.begin("film");
  await stack.play("picture film 0");
  await stack.play("video film 0");
  await stack.play("finish film");
  await page.goto(`${stack.url}/runs/demo/film`);
  await expect(page.getByText("1 image, 1 video")).toBeVisible();
  await page.getByRole("button", { name: "sample 0, video: open" }).click();
  const video = page.getByRole("dialog", { name: "Video" }).locator("video");
  const state = (read: (v: HTMLVideoElement) => number | boolean) => expect.poll(() => video.evaluate(read));
  await state((v) => v.duration).toBeCloseTo(2, 1);
  await expect(video).toHaveCSS("image-rendering", "pixelated"); // its 128 pixels are shown as they are, not as a blur
  await video.focus();
  await page.keyboard.press("Space");
  await state((v) => v.paused).toBe(false);
  await page.keyboard.press("Space");
  await state((v) => v.paused).toBe(true);
  await page.keyboard.press("ArrowLeft"); // the video's own: it goes back, and not to the image before
  await expect(video).toBeVisible();
  await video.evaluate((v: HTMLVideoElement) => {
    v.currentTime = 1.5;
  });
  await state((v) => !v.seeking && v.currentTime).toBeCloseTo(1.5, 1);
  await page.getByRole("button", { name: "Close" }).focus();
  await page.keyboard.press("ArrowLeft");
  await expect(page.getByRole("dialog", { name: "Image" })).toContainText("sample 0");
});

test("of thousands of images only those in sight exist", async ({ page, stack }) => {
  await stack.begin("crowd");
  for (let i = 0; i < 150; i += 1) await stack.play(`picture crowd ${i}`);
  await stack.play("finish crowd");
  await page.goto(`${stack.url}/runs/demo/crowd`);
  await expect(page.getByText("150 images")).toBeVisible();
  expect(await page.locator(".tile").count()).toBeLessThan(90);
  await page.locator(".grid-box").evaluate((box) => box.scrollTo(0, box.scrollHeight));
  await expect(page.locator(".tile", { hasText: "sample 149" })).toBeVisible();
});

test("a card shows the newest value, exact bounds with their steps, the trend, and opens into its series", async ({ page, stack }) => {
  await stack.begin("cards");
  await stack.play("points cards loss 0 30"); // 1 … 30
  await page.goto(`${stack.url}/runs/demo/cards`);
  const card = page.locator('.card[data-metric="loss"]');
  await expect(card.locator(".card-value")).toHaveText(/^30.*up$/);
  await expect(card.locator(".card-stats")).toHaveText(/min1 @0mean15\.5max30 @29/);
  await stack.play("value cards loss 30 -4");
  await expect(card.locator(".card-value")).toHaveText(/^−4.*down$/);
  await expect(card.locator(".card-stats")).toContainText("−4 @30");
  await card.getByRole("button", { name: "Open the series of loss" }).click();
  await expect(card.locator(".u-over")).toBeVisible();
  await page.reload();
  await expect(card.locator(".u-over")).toBeVisible();
  await card.getByRole("button", { name: "Close the series of loss" }).click();
  await expect(card.locator(".u-over")).toBeHidden();
  await stack.play("finish cards");
});

test("pointing at the newest value of a card marks the same step in the others", async ({ page, stack }) => {
  await open(page, stack.url);
  const marked = page.locator('.newest[data-marked="true"]');
  await expect(page.locator(".newest")).not.toHaveCount(0);
  await expect(marked).toHaveCount(0);
  await page.locator(".newest").first().hover();
  await expect.poll(() => marked.count()).toBeGreaterThan(1);
  await page.mouse.move(0, 0);
  await expect(marked).toHaveCount(0);
});
