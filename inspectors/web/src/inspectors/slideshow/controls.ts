/** The slideshow's state in the URL. */
import { flag, list, oneOf, text } from "../../lib/urlstate";
import { type Control, control } from "../../ui/router";

export const TILE_SIZES = ["s", "m", "l"] as const;
export type TileSize = (typeof TILE_SIZES)[number];
export const TILE_PIXELS: Readonly<Record<TileSize, number>> = { s: 96, m: 168, l: 320 };

export const COMPARE_MODES = ["side", "wipe", "flicker", "difference"] as const;
export type CompareMode = (typeof COMPARE_MODES)[number];

export interface SlideControls {
  schemas: Control<readonly string[]>;
  tags: Control<readonly string[]>;
  size: Control<TileSize>;
  follow: Control<boolean>;
  /** The image in the lightbox; empty where it is closed. */
  open: Control<string>;
  /** What it is compared with; empty for nothing. */
  against: Control<string>;
  mode: Control<CompareMode>;
}

export function slideControls(prefix: string): SlideControls {
  return {
    schemas: control(list("k"), prefix),
    tags: control(list("tag"), prefix),
    size: control(oneOf("z", TILE_SIZES, "m"), prefix),
    follow: control(flag("live"), prefix),
    open: control(text("i"), prefix),
    against: control(text("b"), prefix),
    mode: control(oneOf("cm", COMPARE_MODES, "side"), prefix),
  };
}
