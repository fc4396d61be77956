// One run on the cluster, followed in the browser from its gate to its end, and decided there by an approver.
import { expect, test } from "@playwright/test";

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: this test is started by tests/e2e`);
  return value;
}

test("an approver signs in, looks at the samples, approves, and the run goes on to its end", async ({ page }) => {
  const url = setting("DIFFRUN_URL");
  await page.goto(`${url}/runs/${setting("DIFFRUN_NAMESPACE")}/${setting("DIFFRUN_RUN")}`);
  await page.getByRole("textbox", { name: "Token" }).fill(setting("DIFFRUN_TOKEN"));
  await page.getByRole("button", { name: "Sign in" }).click();

  await expect(page.getByText("Good enough?").first()).toBeVisible({ timeout: 60_000 });
  await expect(page.locator(".tile").first()).toBeVisible();
  await page.getByRole("button", { name: /^Approve/ }).first().click();
  await page.getByRole("dialog").getByRole("button", { name: /Approve/ }).click();

  await expect(page.locator(".phase-large")).toHaveText("Succeeded", { timeout: 120_000 });
  await expect(page.getByText("approved by")).toBeVisible();
  await page.screenshot({ path: "../../out/browser-cluster/approved.png", fullPage: true });
});
