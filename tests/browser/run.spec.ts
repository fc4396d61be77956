// The page of one run: its lines to copy, its rights, and the way to a comparison.
import { execFileSync } from "node:child_process";
import type { Page } from "@playwright/test";
import { expect, test } from "./stack";

const copied = (page: Page) => page.evaluate(() => navigator.clipboard.readText());

test("from a run one gets to its comparison with another", async ({ page, stack }) => {
  const [a, b] = [await stack.uid("ddpm-cat-0"), await stack.uid("ddpm-cat-1")];
  await page.goto(`${stack.url}/runs/demo/ddpm-cat-0`);
  await page.getByRole("button", { name: "Compare with…" }).click();
  const others = page.getByRole("dialog").getByRole("list", { name: "Other runs" }).getByRole("link");
  await expect(others.filter({ hasText: "ddpm-cat-waiting" })).toBeVisible();
  await expect(others.filter({ hasText: "ddpm-cat-0" })).toHaveCount(0);
  await expect(page.getByLabel("Filter the other runs")).toBeFocused();
  await page.getByLabel("Filter the other runs").fill("no such run");
  await expect(page.getByRole("dialog")).toContainText("No run matches");
  await page.getByLabel("Filter the other runs").fill("cat-1");
  await others.click();
  await expect(page.getByRole("heading", { name: "Compare" })).toBeVisible();
  expect(page.url()).toBe(`${stack.url}/compare?run=${a}&run=${b}`);
  await expect(page.locator(".run-legend li")).toHaveCount(2);
  await page.goBack();
  await expect(page.getByRole("heading", { name: "ddpm-cat-0" })).toBeVisible();
  await page.locator("body").press("c");
  await expect(page.getByRole("dialog")).toContainText("Compare ddpm-cat-0 with");
});

test("the lines that decide a gate are copied as they run in a shell", async ({ page, stack, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto(`${stack.url}/runs/demo/ddpm-cat-waiting`);
  const review = page.getByRole("region", { name: "Review of preview" });
  await review.getByText("From the command line").click();
  await review.getByLabel(/Note/).fill("it's fine");
  for (const [verb, decision] of [["approve", "Approved"], ["reject", "Rejected"]] as const) {
    await review.getByRole("button", { name: `Copy: ${verb}` }).click();
    await expect(review.getByRole("button", { name: `Copy: ${verb}` })).toContainText("Copied");
    const kubectl = `kubectl() { case "$1" in auth) printf alice ;; *) for last; do :; done; printf %s "$last" ;; esac; }`;
    const patch = execFileSync("sh", ["-c", `${kubectl}\n${await copied(page)}`], { encoding: "utf8" });
    expect(JSON.parse(patch).status.gates.preview).toMatchObject({ decision, decidedBy: "alice", note: "it's fine" });
  }
});

test("where the clipboard is closed, the button says what to do instead", async ({ page, stack }) => {
  await page.addInitScript(() => {
    navigator.clipboard.writeText = () => Promise.reject(new Error("not allowed"));
  });
  await page.goto(`${stack.url}/runs/demo/ddpm-cat-waiting`);
  const review = page.getByRole("region", { name: "Review of preview" });
  await review.getByText("From the command line").click();
  await review.getByRole("button", { name: "Copy: approve" }).click();
  await expect(review.getByRole("button", { name: "Copy: approve" })).toContainText("Select and copy by hand");
});

test("a run that is not to be had just now appears by itself when it is", async ({ page, stack, quiet }) => {
  quiet.tolerate.push(/ERR_FAILED/);
  await page.route("**/api/runs/demo/ddpm-cat-0*", (route) => route.abort());
  await page.goto(`${stack.url}/runs/demo/ddpm-cat-0`);
  await expect(page.getByRole("alert")).toContainText("The gateway does not answer.The page tries again by itself.");
  await page.unroute("**/api/runs/demo/ddpm-cat-0*");
  await expect(page.getByRole("heading", { name: "ddpm-cat-0", exact: true })).toBeVisible();
});

test("a run that one may not see says which right is missing, with the line that gives it", async ({ page, stack, quiet, context }) => {
  quiet.tolerate.push(/403/);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const grant = "kubectl create role diffrun-view-alice -n demo --verb=get,list,watch --resource=diffusionruns.diffrun.dev";
  const problem = { code: "Forbidden", message: "alice may not get diffusionruns in namespace demo", grant };
  await page.route("**/api/runs/demo/ddpm-cat-0*", (route) => route.fulfill({ status: 403, json: problem }));
  await page.goto(`${stack.url}/runs/demo/ddpm-cat-0`);
  await expect(page.getByRole("alert")).toContainText("No permission: The run ddpm-cat-0");
  await expect(page.getByRole("alert")).toContainText("alice may not get diffusionruns in namespace demo");
  await page.getByRole("button", { name: "Copy: give the right" }).click();
  await expect.poll(() => copied(page)).toBe(grant);
});

test("whoever may look and no more is shown the lines for each right", async ({ page, stack, quiet }) => {
  quiet.tolerate.push(/ERR_FAILED/);
  const [approveGrant, editGrant] = ["kubectl create rolebinding approve", "kubectl create role edit"];
  const permissions = { approve: false, edit: false, explanation: "alice may only look", approveGrant, editGrant };
  const asLooker = (text: string) => text.replaceAll(/"permissions":\{[^}]*\}/g, `"permissions":${JSON.stringify(permissions)}`);
  await page.route("**/api/runs/demo/ddpm-cat-waiting*", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: asLooker(await response.text()) });
  });
  await page.route("**/api/events*", (route) => route.abort()); // the stream would bring the true ones
  await page.goto(`${stack.url}/runs/demo/ddpm-cat-waiting`);
  const review = page.getByRole("region", { name: "Review of preview" });
  await expect(review).toContainText("alice may only look");
  await expect(review.locator("pre").first()).toHaveText(approveGrant);
  await expect(review.getByRole("button", { name: "Approve", exact: true })).toBeDisabled();
  await page.getByRole("button", { name: "Pause" }).click();
  await expect(page.getByRole("dialog").locator("pre").first()).toHaveText(editGrant);
  await expect(page.getByRole("dialog")).toContainText('"pause":true');
});
