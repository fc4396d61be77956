// @vitest-environment happy-dom
import { render } from "preact";
import { act } from "preact/test-utils";
import { expect, it } from "vitest";
import { Picker } from "./picker";

it("leaves the focus where it is when another metric appears", async () => {
  const root = document.body.appendChild(document.createElement("div"));
  const show = (...available: string[]) =>
    act(() => render(<Picker available={available} chosen={[]} onChange={() => {}} />, root));
  await show("loss");
  await act(() => root.querySelector("button")?.click());
  expect(document.activeElement).toBe(root.querySelector("input[type=search]"));
  const box = root.querySelector<HTMLElement>("input[type=checkbox]");
  box?.focus();
  await show("loss", "accuracy");
  expect(root.querySelectorAll("li")).toHaveLength(2);
  expect(document.activeElement).toBe(box);
  render(null, root);
  root.remove();
});
