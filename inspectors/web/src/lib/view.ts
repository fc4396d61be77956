/** The geometry of looking at an image: how large it is at first, how zoom keeps the point under the pointer, how far one may pan. */

export interface Size {
  width: number;
  height: number;
}

/** `scale` is CSS pixels a pixel of the image; x and y move the image's centre away from the box's, in CSS pixels. */
export interface View {
  scale: number;
  x: number;
  y: number;
}

/** Up to this edge an image is shown pixel by pixel, at whole multiples; above it, smoothly. */
export const PIXEL_EDGE = 256;
const MAX_SCALE = 64;

export function isPixelArt(image: Size): boolean {
  return Math.max(image.width, image.height) < PIXEL_EDGE;
}

/** The scale at which the whole image is seen; a whole multiple for small ones. Never above 1 for large ones. */
export function fitScale(image: Size, box: Size): number {
  const scale = Math.min(box.width / image.width, box.height / image.height);
  if (isPixelArt(image)) return scale >= 1 ? Math.floor(scale) : scale;
  return Math.min(scale, Math.max(1, (PIXEL_EDGE * 3) / Math.max(image.width, image.height)));
}

export function fitView(image: Size, box: Size): View {
  return { scale: fitScale(image, box), x: 0, y: 0 };
}

/** Zoomed by `factor`, with the point (px, py), counted from the box's centre, staying where it is. */
export function zoomAt(view: View, factor: number, px: number, py: number, least: number): View {
  const scale = Math.min(MAX_SCALE, Math.max(least, view.scale * factor));
  const ratio = scale / view.scale;
  return { scale, x: px - (px - view.x) * ratio, y: py - (py - view.y) * ratio };
}

/** The view with the image's edge never leaving the box's centre, so that it cannot be lost. */
export function clamp(view: View, image: Size): View {
  const limitX = (image.width * view.scale) / 2;
  const limitY = (image.height * view.scale) / 2;
  return {
    scale: view.scale,
    x: Math.max(-limitX, Math.min(limitX, view.x)),
    y: Math.max(-limitY, Math.min(limitY, view.y)),
  };
}

/** Which rows of a grid are near what is seen: [first, last], last exclusive. */
export function visibleRows(
  scrollTop: number,
  viewport: number,
  rowHeight: number,
  rows: number,
  overscan = 2,
): [number, number] {
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - overscan);
  const last = Math.min(rows, Math.ceil((scrollTop + viewport) / rowHeight) + overscan);
  return [Math.min(first, last), last];
}

/** How many tiles of at least `least` pixels fit beside each other. */
export function columnsFor(width: number, least: number, gap: number): number {
  return Math.max(1, Math.floor((width + gap) / (least + gap)));
}

/** Where a key leads on a light table of `count` places in rows of `columns`; null where it leads nowhere. -1 is none. */
export function gridMove(key: string, at: number, count: number, columns: number): number | null {
  const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  if (count === 0) return null;
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  const step = steps[key];
  if (step === undefined) return null;
  if (at < 0) return 0;
  const to = at + step;
  return to < 0 || to >= count ? null : to;
}
