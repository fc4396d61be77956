// The list by keyboard, and the runs that are ticked in it: both are in the address.
import { expect, test } from "./stack";

test("runs are ticked and compared without a mouse, and g r leads back", async ({ page, stack }) => {
  await page.goto(`${stack.url}/?q=ddpm-cat-&phase=Succeeded`);
  const links = page.locator(".run-row .run-link");
  await expect(links).toHaveCount(2);
  const keys = page.locator("body");
  await keys.press("c");
  await expect(page.getByRole("heading", { name: "Runs" })).toBeVisible();
  await keys.press("j");
  await keys.press("x");
  await expect(page.locator(".run-row input").first()).toBeChecked();
  await keys.press("j");
  await expect(links.nth(1)).toBeFocused();
  await keys.press("x");
  await keys.press("k");
  await expect(links.first()).toBeFocused();
  await keys.press("x");
  await expect(page.locator(".run-row input").first()).not.toBeChecked();
  await keys.press("x");
  await expect(page.getByRole("link", { name: "Compare 2" })).toBeVisible();
  await keys.press("c");
  await expect(page.getByRole("heading", { name: "Compare" })).toBeVisible();
  await expect(page.locator(".run-legend li")).toHaveCount(2);
  await keys.press("g");
  await keys.press("r");
  await expect(page.getByRole("heading", { name: "Runs" })).toBeVisible();
  expect(page.url()).toBe(`${stack.url}/`);
});

test("the keys act on the run that has the focus, wherever it has moved to", async ({ page, stack }) => {
  for (const name of ["moves-c", "moves-b"]) await stack.begin(name); // the newest stands first, of one second the first by name
  await page.goto(`${stack.url}/?q=moves-`);
  const links = page.locator(".run-row .run-link");
  await expect(links).toHaveText(["moves-b", "moves-c"]);
  await page.keyboard.press("j");
  await expect(links.first()).toBeFocused();
  await stack.begin("moves-a");
  await expect(links).toHaveText(["moves-a", "moves-b", "moves-c"]);
  await page.keyboard.press("x");
  await expect(page.getByLabel("Select moves-b for comparison")).toBeChecked();
  await page.keyboard.press("j");
  await expect(links.nth(2)).toBeFocused();
  for (const name of ["moves-c", "moves-b", "moves-a"]) await stack.play(`finish ${name}`);
});

test("what is ticked is in the address: a link, a reload and Back show the same", async ({ page, stack, context }) => {
  await page.goto(`${stack.url}/`);
  for (const name of ["ddpm-cat-0", "ddpm-cat-1"]) await page.getByLabel(`Select ${name} for comparison`).check();
  expect(page.url()).toContain(`sel=${await stack.uid("ddpm-cat-0")},${await stack.uid("ddpm-cat-1")}`);
  const other = await context.newPage();
  await other.goto(page.url());
  await expect(other.getByRole("link", { name: "Compare 2" })).toBeVisible();
  await expect(other.locator(".run-row input:checked")).toHaveCount(2);
  await other.close();
  await page.getByRole("link", { name: "Compare 2" }).click();
  await expect(page.getByRole("heading", { name: "Compare" })).toBeVisible();
  await page.goBack();
  await expect(page.locator(".run-row input:checked")).toHaveCount(2);
  await page.getByLabel("Select ddpm-cat-1 for comparison").uncheck();
  await page.goBack();
  await expect(page.locator(".run-row input:checked")).toHaveCount(2);
});

test("who may see no run is told the right that is missing, with the line that gives it", async ({ page, stack }) => {
  const grant = "kubectl create role diffrun-view-alice -n '<namespace>' --verb=get,list,watch";
  const denied = { code: "Forbidden", message: "alice may not list diffusionruns in any namespace that has some", grant };
  await page.route("**/api/runs/events", (route) =>
    route.fulfill({
      contentType: "text/event-stream",
      body: `event: runs\ndata: ${JSON.stringify({ type: "runs", list: { runs: [], problems: [], denied } })}\n\n`,
    }),
  );
  await page.goto(`${stack.url}/`);
  await expect(page.getByRole("heading", { name: "No permission: the runs" })).toBeVisible();
  await expect(page.locator(".notice")).toContainText("alice may not list diffusionruns");
  await expect(page.locator(".notice pre")).toHaveText(grant);
});
