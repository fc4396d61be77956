/** The same examples are read by the gateway's tests: where the two differ, a tile has no thumbnail. */
import { expect, it } from "vitest";
import { type ArtifactInfo, isImage } from "./artifacts";

type Example = Pick<ArtifactInfo, "contentType" | "fileName" | "schemaType"> & { is: string; image: boolean };

const files = import.meta.glob<Example[]>("../../../golden/images.json", { eager: true, import: "default" });
const examples = Object.values(files).flat();

it("has examples", () => expect(examples.length).toBeGreaterThan(20));

it.each(examples)("takes for an image what the gateway does: $is", ({ image, ...artifact }) =>
  expect(isImage({ id: "a", tags: {}, ...artifact })).toBe(image),
);
