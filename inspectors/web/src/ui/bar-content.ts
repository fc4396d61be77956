import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";

/** What the page of the moment puts into the bar: where one is, and how the stream is. */
export const barContent = signal<ComponentChildren>(null);
