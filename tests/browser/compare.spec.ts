// The comparison's own legend.
import { expect, test } from "./stack";

test("a run is taken out of the comparison, and Back brings it in again", async ({ page, stack }) => {
  const [a, b, c] = [await stack.uid("ddpm-cat-0"), await stack.uid("ddpm-cat-1"), await stack.uid("ddpm-cat-rejected")];
  await page.goto(`${stack.url}/compare?run=${a}&run=${b}&run=${c}&base=${a}`);
  const legend = page.locator(".run-legend li");
  const rows = page.locator(".card").first().locator("tbody tr");
  await expect(legend).toHaveCount(3);
  await expect(rows).toHaveCount(3);
  await page.getByRole("link", { name: "Take ddpm-cat-1 out" }).click();
  await expect(legend).toHaveText([/ddpm-cat-0/, /ddpm-cat-rejected/]);
  await expect(rows).toHaveCount(2);
  expect(new URL(page.url()).searchParams.getAll("run")).toEqual([a, c]);
  expect(new URL(page.url()).searchParams.get("base")).toBe(a);
  await page.goBack();
  await expect(legend).toHaveCount(3);
  await expect(rows).toHaveCount(3);
});

test("the last run cannot be taken out", async ({ page, stack }) => {
  const [a, b] = [await stack.uid("ddpm-cat-0"), await stack.uid("ddpm-cat-1")];
  await page.goto(`${stack.url}/compare?run=${a}&run=${b}`);
  await page.getByRole("link", { name: "Take ddpm-cat-0 out" }).click();
  await expect(page.locator(".run-legend li")).toHaveText([/ddpm-cat-1/]);
  await expect(page.getByRole("link", { name: /^Take / })).toHaveCount(0);
});

test("an image is compared with the same sample of the other run", async ({ page, stack }) => {
  const [a, b] = [await stack.uid("ddpm-cat-0"), await stack.uid("ddpm-cat-1")];
  await page.goto(`${stack.url}/compare?run=${a}&run=${b}`);
  await page.locator(".tile").first().click();
  await page.keyboard.press("c");
  const box = page.getByRole("dialog");
  await expect(box.locator(".stage-box")).toHaveCount(2);
  await expect(box.getByLabel("compared with").locator("option:checked")).toHaveText("ddpm-cat-1 · preview · sample 0");
});

test("where a run may no longer be seen, the comparison says so", async ({ page, stack }) => {
  const [a, b] = [await stack.uid("ddpm-cat-0"), await stack.uid("ddpm-cat-1")];
  const problem = { code: "Forbidden", message: "alice may not get diffusionruns in namespace demo" };
  const body = `event: denied\ndata: ${JSON.stringify({ type: "denied", problem })}\n\n`;
  await page.route("**/api/events*", (route) => route.fulfill({ contentType: "text/event-stream", body }));
  await page.goto(`${stack.url}/compare?run=${a}&run=${b}`);
  await expect(page.getByRole("heading", { name: "No longer permitted: the compared runs" })).toBeVisible();
  await expect(page.getByRole("alert")).toContainText("alice may not get diffusionruns");
});
