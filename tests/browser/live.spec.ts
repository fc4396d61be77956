// A run followed from its first event to its end: nothing missing, nothing twice, whatever is restarted meanwhile.
import { csv, expect, test } from "./stack";

const RESTARTS = /Failed to load resource|ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|EventSource|net::/;
const steps = (n: number) => Array.from({ length: n }, (_, i) => i);

test("a run is followed from its first point to its end, with every point once", async ({ page, stack }) => {
  await stack.begin("followed");
  await page.goto(`${stack.url}/runs/demo/followed?a.m=loss`);
  await expect(page.getByRole("heading", { name: "followed" })).toBeVisible();
  await expect(page.getByText("No points yet")).toBeVisible();
  for (let first = 0; first < 50; first += 10) await stack.play(`points followed loss ${first} ${first + 10}`);
  await expect(page.locator('.card[data-metric="loss"]')).toContainText("50 points");
  expect((await csv(page, "loss")).map((row) => row.step)).toEqual(steps(50));
  await stack.play("picture followed 0");
  await expect(page.locator(".tile")).toHaveCount(1);
  await stack.play("finish followed");
  await expect(page.locator(".phase-large")).toHaveText("Succeeded");
  await expect(page.locator(".bar")).toContainText("ended");
  await expect(page).toHaveTitle(/✓ followed/);
});

test("a metric that appears later is in the picker and has a card at once", async ({ page, stack }) => {
  await stack.begin("later");
  await stack.play("points later loss 0 5");
  await page.goto(`${stack.url}/runs/demo/later`);
  await expect(page.locator(".card")).toHaveCount(1);
  await stack.play("points later accuracy 0 5");
  await expect(page.locator('.card[data-metric="accuracy"]')).toContainText("5 points");
  await page.getByRole("button", { name: /^Metrics/ }).click();
  await expect(page.locator(".picker").getByText("accuracy")).toBeVisible();
  await stack.play("finish later");
});

test("a gateway that restarts in the middle of a run costs no event", async ({ page, stack, quiet }) => {
  quiet.tolerate.push(RESTARTS);
  await stack.begin("restarted");
  await stack.play("points restarted loss 0 20");
  await page.goto(`${stack.url}/runs/demo/restarted?a.m=loss`);
  await expect(page.locator('.card[data-metric="loss"]')).toContainText("20 points");
  await stack.stopGateway();
  await expect(page.locator(".bar")).toContainText("reconnecting");
  await stack.play("points restarted loss 20 40");
  await stack.startGateway();
  await expect(page.locator('.card[data-metric="loss"]')).toContainText("40 points", { timeout: 30_000 });
  await stack.play("points restarted loss 40 60");
  await expect(page.locator('.card[data-metric="loss"]')).toContainText("60 points");
  expect((await csv(page, "loss")).map((row) => row.step)).toEqual(steps(60));
  await stack.play("finish restarted");
});

test("after a restart of the gateway the page says when it tries next, and tries at once when told to", async ({ page, stack, quiet }) => {
  quiet.tolerate.push(RESTARTS);
  await page.goto(`${stack.url}/runs/demo/ddpm-cat-waiting`);
  const bar = page.locator(".bar");
  await expect(bar).toContainText("live");
  await stack.stopGateway();
  await expect(bar).toContainText("reconnecting");
  await page.route("**/api/events*", (route) => route.abort()); // it would come back by itself meanwhile
  await stack.startGateway();
  // Every wait is doubled: one of them is long enough to be cut short.
  const next = bar.locator(".next-try");
  await expect(next).toHaveText(/^next try in ([7-9]|1\d) s$/, { timeout: 60_000 });
  const seconds = async () => Number((await next.textContent())?.match(/\d+/)?.[0]);
  const first = await seconds();
  await expect.poll(seconds).toBeLessThan(first);
  await page.unroute("**/api/events*");
  await bar.getByRole("button", { name: "try now" }).click();
  await expect(bar).toContainText("live", { timeout: 4000 });
});

test("a Redis that loses everything costs no event", async ({ page, stack, quiet }) => {
  quiet.tolerate.push(RESTARTS);
  await stack.begin("flushed");
  await stack.play("points flushed loss 0 20");
  await page.goto(`${stack.url}/runs/demo/flushed?a.m=loss`);
  await expect(page.locator('.card[data-metric="loss"]')).toContainText("20 points");
  stack.redisCli("FLUSHALL");
  await stack.play("points flushed loss 20 45");
  await expect(page.locator('.card[data-metric="loss"]')).toContainText("45 points", { timeout: 30_000 });
  expect((await csv(page, "loss")).map((row) => row.step)).toEqual(steps(45));
  await stack.play("finish flushed");
});

test("a Redis that is restarted says so and costs no event", async ({ page, stack, quiet }) => {
  quiet.tolerate.push(RESTARTS);
  await stack.begin("bounced");
  await stack.play("points bounced loss 0 20");
  await page.goto(`${stack.url}/runs/demo/bounced?a.m=loss`);
  await expect(page.locator('.card[data-metric="loss"]')).toContainText("20 points");
  await stack.stopRedis();
  await expect(page.locator(".bar")).toContainText("delayed", { timeout: 20_000 });
  await stack.startRedis();
  await stack.play("points bounced loss 20 30");
  await expect(page.locator('.card[data-metric="loss"]')).toContainText("30 points", { timeout: 30_000 });
  await expect(page.locator(".bar")).toContainText("live");
  expect((await csv(page, "loss")).map((row) => row.step)).toEqual(steps(30));
  await stack.play("finish bounced");
});

test("a page opened after Redis has lost the run shows its whole history", async ({ page, stack }) => {
  await stack.begin("archived");
  await stack.play("points archived loss 0 30");
  await stack.play("picture archived 0");
  await stack.play("finish archived");
  stack.redisCli("FLUSHALL");
  await page.goto(`${stack.url}/runs/demo/archived?a.m=loss`);
  await expect(page.locator('.card[data-metric="loss"]')).toContainText("30 points");
  await expect(page.locator(".tile")).toHaveCount(1);
  expect((await csv(page, "loss")).map((row) => row.step)).toEqual(steps(30));
});

test("a new image never moves what is being looked at", async ({ page, stack }) => {
  await stack.begin("still");
  await stack.play("points still loss 0 30");
  for (let i = 0; i < 30; i += 1) await stack.play(`picture still ${i}`);
  await page.goto(`${stack.url}/runs/demo/still`);
  for (const ready of [page.getByText("30 images"), page.locator(".card").first(), page.locator(".u-over").first()]) await expect(ready).toBeVisible();
  const tile = page.locator(".tile").nth(3);
  await tile.scrollIntoViewIfNeeded();
  await tile.hover();
  const before = await tile.boundingBox();
  const scroll = await page.evaluate(() => scrollY);
  for (let i = 30; i < 40; i += 1) await stack.play(`picture still ${i}`);
  await expect(page.getByText("40 images")).toBeVisible();
  expect(await tile.boundingBox()).toEqual(before);
  expect(await page.evaluate(() => scrollY)).toBe(scroll);
  await expect(page.getByRole("button", { name: "10 new" })).toBeVisible();
  await stack.play("finish still");
});
