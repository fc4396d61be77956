// @vitest-environment happy-dom
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { RunEntry } from "../types/api";
import { CompareWith } from "./compare-with";

const entry = (name: string) => ({ uid: name, name, namespace: "demo", phase: "Running" }) as RunEntry;
let answer: (runs: RunEntry[]) => void;
let root: HTMLElement;
beforeEach(() => {
  const response = new Promise<Response>((resolve) => {
    answer = (runs) => resolve(Response.json({ runs }));
  });
  vi.stubGlobal("fetch", () => response);
  root = document.body.appendChild(document.createElement("div"));
});
afterEach(() => {
  render(null, root);
  root.remove();
  vi.unstubAllGlobals();
});

it("takes what is typed before the other runs have come", async () => {
  await act(() => render(<CompareWith entry={entry("cat")} />, root));
  await act(() => root.querySelector("button")?.click());
  const box = root.querySelector<HTMLInputElement>("dialog input");
  expect(box).not.toBeNull();
  await act(() => {
    if (box) box.value = "dog";
    box?.dispatchEvent(new InputEvent("input", { bubbles: true }));
  });
  await act(async () => {
    answer([entry("cat"), entry("dog"), entry("bird")]);
    await new Promise((resolve) => setTimeout(resolve));
  });
  expect(root.querySelector("dialog input")).toBe(box);
  expect([...root.querySelectorAll("dialog li strong")].map((name) => name.textContent)).toEqual(["dog"]);
});
