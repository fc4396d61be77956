// The pages: the list, the gate, the comparison, any path prefix, and who may look.
import { expect, Stack, test } from "./stack";

test("the list is live, filtered by text and phase, walked by keyboard; a waiting gate stands on top", async ({ page, stack }) => {
  await page.goto(`${stack.url}/`);
  const rows = page.locator(".run-row .run-link");
  await expect(rows.first()).toHaveText("ddpm-cat-waiting");
  await page.locator("body").press("/");
  await page.keyboard.type("rejected");
  await expect(rows).toHaveCount(1);
  expect(page.url()).toContain("q=rejected");
  await page.getByLabel("Filter the runs").fill("");
  await page.getByRole("button", { name: /^Succeeded/ }).click();
  await expect(page.locator(".run-row", { hasText: "ddpm-cat-rejected" })).toHaveCount(0);
  await page.getByRole("button", { name: /^Succeeded/ }).click();
  await page.locator("body").press("Escape");
  await page.locator("body").press("j");
  await page.locator("body").press("j");
  await expect(rows.nth(1)).toBeFocused();
  await stack.begin("appears");
  await expect(rows.filter({ hasText: "appears" })).toBeVisible();
  await stack.play("finish appears");
  await expect(page.locator(".run-row", { hasText: "appears" })).toContainText("Succeeded");
});

test("a gate is approved in the browser with a note, and the run goes on", async ({ page, stack }) => {
  await stack.begin("gated");
  await stack.play("points gated denoise/snr 0 10");
  await stack.play("picture gated 0");
  await page.goto(`${stack.url}/runs/demo/gated`);
  await stack.play("gate gated");
  const review = page.getByRole("region", { name: "Review of preview" });
  await expect(review).toContainText("Review the preview samples before the full batch runs.");
  await expect(review.locator(".sample img")).toHaveCount(1);
  await expect(review.locator(".review-curves")).toContainText("denoise/snr");
  await expect(page).toHaveTitle("● gated · waiting for review");
  await review.getByText("From the command line").click();
  await expect(review.locator("pre").first()).toContainText("--subresource=status --type=merge");
  await expect(review.locator("pre").first()).toContainText("previewDigest");
  await review.getByLabel(/Note/).fill("cats, indeed");
  await page.locator("h1").click();
  await page.locator("body").press("a");
  await page.getByRole("dialog").getByRole("button", { name: "Approve" }).click();
  expect(await stack.play("decided gated")).toBe("Approved");
  await expect(page.locator(".phase-large")).toHaveText("Succeeded");
  await expect(review).toHaveCount(0);
  await expect(page.locator(".decisions")).toContainText("cats, indeed");
  await expect(page.locator(".decisions")).toContainText("by local");
});

test("a rejected gate ends the run and says by whom", async ({ page, stack }) => {
  await stack.begin("refused");
  await stack.play("picture refused 0");
  await stack.play("gate refused");
  await page.goto(`${stack.url}/runs/demo/refused`);
  await page.getByRole("button", { name: "Reject" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Reject" }).click();
  await stack.play("decided refused");
  await expect(page.locator(".phase-large")).toHaveText("Rejected");
  await expect(page.locator(".trouble")).toContainText("rejected by");
});

test("choosing a block filters what is below, by click and by key", async ({ page, stack }) => {
  await page.goto(`${stack.url}/runs/demo/ddpm-cat-0`);
  await expect(page.getByText("18 images")).toBeVisible();
  await page.getByRole("button", { name: /^Block preview/ }).click();
  await expect(page.getByText("2 images")).toBeVisible();
  expect(page.url()).toContain("block=preview");
  await page.locator("body").press("]");
  await expect(page.getByText("16 images")).toBeVisible();
  await page.locator("body").press("]");
  await expect(page.getByText("18 images")).toBeVisible();
});

test("blocks that branch stand in a graph, each after those that it waits for", async ({ page, stack }) => {
  await stack.begin("branched");
  await stack.play("branch branched");
  await page.goto(`${stack.url}/runs/demo/branched`);
  await expect(page.locator(".placed")).toHaveCount(5);
  const left = async (name: string) => (await page.getByRole("button", { name: new RegExp(`^Block ${name}`) }).boundingBox())?.x ?? 0;
  expect(await left("poster")).toBe(await left("full"));
  expect(await left("sheet")).toBeGreaterThan(await left("full"));
  await expect(page.locator(".graph path")).not.toHaveCount(0);
  await stack.play("finish branched");
});

test("a block's ring follows its pods between the operator's words", async ({ page, stack }) => {
  await stack.begin("ringing");
  await page.goto(`${stack.url}/runs/demo/ringing`);
  await expect(page.locator(".bar")).toContainText("live");
  await stack.play("progress ringing 7 20");
  await expect(page.getByRole("button", { name: /^Block preview/ })).toContainText("7 of 20");
  await stack.play("progress ringing 15 20");
  await expect(page.getByRole("button", { name: /^Block preview.*75%/ })).toBeVisible();
  await stack.play("finish ringing");
});

test("two runs are ticked and compared; the legend governs all inspectors", async ({ page, stack }) => {
  await page.goto(`${stack.url}/`);
  for (const name of ["ddpm-cat-0", "ddpm-cat-1"]) await page.getByLabel(`Select ${name} for comparison`).check();
  await page.getByRole("link", { name: "Compare 2" }).click();
  await expect(page.locator(".card").first().locator("tbody tr")).toHaveCount(2);
  await expect(page.locator(".tile")).toHaveCount(36);
  await expect(page.locator(".tile-hole")).toHaveCount(0);
  await page.getByRole("button", { name: "Make baseline" }).first().click();
  await expect(page.locator(".card").first()).toContainText("base");
  await page.locator(".u-over").first().hover();
  await expect(page.locator(".tooltip").first()).toContainText("ddpm-cat-1");
  await page.getByLabel("Show ddpm-cat-1").uncheck();
  await expect(page.locator(".card").first().locator("tbody tr")).toHaveCount(1);
  await expect(page.getByText("18 images")).toBeVisible();
  expect(page.url()).toContain("off=");
  await page.goBack();
  await expect(page.locator(".card").first().locator("tbody tr")).toHaveCount(2);
});

test("pausing is one click, cancelling asks first", async ({ page, stack }) => {
  await stack.begin("held");
  await page.goto(`${stack.url}/runs/demo/held`);
  await page.getByRole("button", { name: "Pause" }).click();
  await expect(page.getByRole("button", { name: "Resume" })).toBeVisible();
  await page.getByRole("button", { name: "Resume" }).click();
  await expect(page.getByRole("button", { name: "Pause" })).toBeVisible();
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByRole("dialog")).toContainText("cannot be taken back");
  await page.getByRole("button", { name: "Keep it running" }).click();
  await expect(page.getByRole("dialog")).toBeHidden();
  await stack.play("finish held");
});

test("an inspector is collapsed, and the shortcuts are listed", async ({ page, stack }) => {
  await page.goto(`${stack.url}/runs/demo/ddpm-cat-0`);
  await page.getByRole("button", { name: "Quality Dashboard", exact: true }).click();
  await expect(page.locator(".cards")).toHaveCount(0);
  expect(page.url()).toContain("b.c=1");
  await page.locator("body").press("?");
  await expect(page.getByRole("dialog")).toContainText("Logarithmic y axis");
});

test("an inspector fills the screen by its button and by key, and goes back", async ({ page, stack }) => {
  await page.goto(`${stack.url}/runs/demo/ddpm-cat-0`);
  await expect(page.getByText("18 images")).toBeVisible();
  const filling = () => page.evaluate(() => document.fullscreenElement?.getAttribute("data-type") ?? null);
  await page.locator(`.frame[data-type="slideshow"]`).getByRole("button", { name: /full screen/ }).click();
  await expect.poll(filling).toBe("slideshow");
  await page.locator("body").press("f");
  await expect.poll(filling).toBeNull();
  await page.locator('.frame[data-type="scalar_summary"]').hover();
  await page.locator("body").press("f");
  await expect.poll(filling).toBe("scalar_summary");
  await page.locator("body").press("f");
  await expect.poll(filling).toBeNull();
  await page.evaluate(() => {
    Element.prototype.requestFullscreen = () => Promise.reject(new TypeError("not allowed"));
  });
  await page.locator("body").press("f"); // no error of the page's: the fixture would see it
  await page.locator("body").press("?");
  await expect(page.getByRole("dialog")).toBeVisible();
});

test("a run that is not there says so, and what to do", async ({ page, stack, quiet }) => {
  quiet.tolerate.push(/404/);
  await page.goto(`${stack.url}/runs/demo/nothing`);
  await expect(page.getByRole("heading", { name: "There is no run demo/nothing" })).toBeVisible();
});

test("dark and light follow the system until one chooses, and the choice is remembered", async ({ page, stack }) => {
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto(`${stack.url}/`);
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.getByRole("button", { name: "Light colours" }).click();
  await page.reload();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "light");
});

test("everything works behind a path prefix, and an empty list says how to begin", async ({ page }) => {
  const stack = await new Stack({ prefix: "/some/where" }).start();
  try {
    await page.goto(`${stack.url}/`);
    await expect(page.getByRole("heading", { name: "No run yet" })).toBeVisible();
    await expect(page.locator("pre")).toContainText("kubectl apply");
    await stack.begin("prefixed");
    await stack.play("picture prefixed 0");
    await page.getByRole("link", { name: "prefixed" }).click();
    await expect(page.locator(".tile-image[data-state=shown]")).toHaveCount(1);
    await page.reload();
    await expect(page.locator(".tile-image[data-state=shown]")).toHaveCount(1);
    expect(new URL(page.url()).pathname).toBe("/some/where/runs/demo/prefixed");
  } finally {
    await stack.stop();
  }
});

test("where a token is asked for, it is sent once, in a header, and a wrong one is explained", async ({ page, stack, quiet }) => {
  quiet.tolerate.push(/401/);
  let session: object = { authRequired: true, version: "0" };
  await page.route("**/api/session", async (route) => {
    if (route.request().method() !== "POST") return route.fulfill({ json: session });
    if (route.request().headers().authorization !== "Bearer good") {
      return route.fulfill({ status: 401, json: { code: "TokenRefused", message: "Kubernetes does not know this token." } });
    }
    session = { authRequired: true, user: "alice", version: "0" };
    return route.fulfill({ json: session });
  });
  await page.goto(`${stack.url}/`);
  await page.getByRole("textbox", { name: "Token" }).fill("bad");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toContainText("does not know this token");
  await page.getByRole("textbox", { name: "Token" }).fill("good");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { name: "Runs" })).toBeVisible();
  expect(page.url()).not.toContain("good");
  await page.route("**/api/session", (route) => route.fulfill({ status: 503, json: { code: "Unavailable", message: "Kubernetes does not answer." } }));
  quiet.tolerate.push(/503/);
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("alert")).toHaveText("Still signed in. Kubernetes does not answer.");
});
