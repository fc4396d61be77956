/**
 * Where images are looked at: one, or two under the same zoom and pan, beside each other, wiped, in turn, or subtracted.
 * A video stands alone, or beside what it is compared with.
 */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { apiUrl } from "../../api/client";
import { isVideo } from "../../lib/artifacts";
import { clamp, fitScale, fitView, isPixelArt, type Size, type View, zoomAt } from "../../lib/view";
import type { ArtifactEntry } from "../../types/api";
import { Clip } from "./clip";
import type { CompareMode } from "./controls";

export interface StageProps {
  image: ArtifactEntry;
  against: ArtifactEntry | null;
  mode: CompareMode;
  /** Null: the whole image is seen. */
  view: Signal<View | null>;
  labels: readonly [string, string];
}

const FLICKER_MS = 600;

export function Stage({ image, against, mode, view, labels }: StageProps) {
  if (against && (mode === "side" || isVideo(image) || isVideo(against))) {
    return (
      <div class="stage-pair">
        <Side label={labels[0]} view={view} geometry={image} shown={image} />
        <Side label={labels[1]} view={view} geometry={isVideo(image) ? against : image} shown={against} />
      </div>
    );
  }
  if (against) return <Overlay image={image} against={against} mode={mode} view={view} labels={labels} />;
  return <Side label="" view={view} geometry={image} shown={image} />;
}

interface SideProps {
  label: string;
  view: Signal<View | null>;
  /** The image whose size the geometry takes. */
  geometry: ArtifactEntry;
  shown: ArtifactEntry;
}

function Side({ label, view, geometry, shown }: SideProps) {
  if (isVideo(shown)) return <Clip label={label} video={shown} />;
  return <Box label={label} view={view} image={geometry} layers={[shown]} />;
}

function Overlay({ image, against, mode, view, labels }: StageProps & { against: ArtifactEntry }) {
  const cut = useSignal(50);
  const second = useSignal(false);
  useEffect(() => {
    if (mode !== "flicker") return;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return; // by hand: a click swaps the two
    const timer = setInterval(() => {
      second.value = !second.value;
    }, FLICKER_MS);
    return () => clearInterval(timer);
  }, [mode]);
  const style =
    mode === "wipe"
      ? { clipPath: `inset(0 0 0 ${cut.value}%)` }
      : mode === "flicker"
        ? { opacity: second.value ? 1 : 0 }
        : { mixBlendMode: "difference" as const };
  const label =
    mode === "flicker"
      ? labels[second.value ? 1 : 0]
      : mode === "wipe"
        ? `${labels[0]} | ${labels[1]}`
        : `|${labels[0]} − ${labels[1]}|`;
  return (
    <div class="stage-overlay" data-mode={mode}>
      <Box label={label} view={view} image={image} layers={[image, against]} topStyle={style} />
      {mode === "wipe" && (
        <input
          class="wipe"
          type="range"
          min="0"
          max="100"
          step="0.5"
          value={cut.value}
          aria-label="Where the two images meet"
          onInput={(event) => {
            cut.value = Number(event.currentTarget.value);
          }}
        />
      )}
      {mode === "flicker" && (
        <button
          type="button"
          class="button flick"
          onClick={() => {
            second.value = !second.value;
          }}
        >
          Swap
        </button>
      )}
    </div>
  );
}

interface BoxProps {
  label: string;
  view: Signal<View | null>;
  /** The image whose size the geometry takes. */
  image: ArtifactEntry;
  layers: readonly ArtifactEntry[];
  topStyle?: Record<string, string | number>;
}

function Box({ label, view, image, layers, topStyle }: BoxProps) {
  const box = useRef<HTMLDivElement>(null);
  const room = useSignal<Size>({ width: 0, height: 0 });
  const natural = useSignal<Size | null>(
    image.width && image.height ? { width: image.width, height: image.height } : null,
  );
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => {
      room.value = { width: element.clientWidth, height: element.clientHeight };
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const size = natural.value ?? { width: 256, height: 256 };
  const ready = room.value.width > 0;
  const now = view.value ?? (ready ? fitView(size, room.value) : { scale: 1, x: 0, y: 0 });
  const least = ready ? Math.min(1, fitScale(size, room.value)) : 0.1;

  const onWheel = (event: WheelEvent) => {
    event.preventDefault();
    const rect = (box.current as HTMLElement).getBoundingClientRect();
    const px = event.clientX - rect.left - rect.width / 2;
    const py = event.clientY - rect.top - rect.height / 2;
    view.value = clamp(zoomAt(now, Math.exp(-event.deltaY / 400), px, py, least), size);
  };
  const onDown = (event: PointerEvent) => {
    if (event.button !== 0) return;
    const start = { x: event.clientX - now.x, y: event.clientY - now.y };
    const scale = now.scale;
    const target = event.currentTarget as HTMLElement;
    target.setPointerCapture(event.pointerId);
    const move = (e: PointerEvent) => {
      view.value = clamp({ scale, x: e.clientX - start.x, y: e.clientY - start.y }, size);
    };
    target.addEventListener("pointermove", move);
    target.addEventListener("pointerup", () => target.removeEventListener("pointermove", move), { once: true });
  };
  return (
    <figure class="stage-box">
      {label && <figcaption class="small">{label}</figcaption>}
      <div
        ref={box}
        class="stage-view"
        role="group"
        aria-label={`${image.fileName}: wheel or + and − zoom, drag pans`}
        onWheel={onWheel}
        onPointerDown={onDown}
        onDblClick={() => {
          view.value = view.value ? null : { scale: 1, x: 0, y: 0 };
        }}
      >
        {layers.map((layer, i) => (
          <img
            key={layer.id}
            src={apiUrl(layer.url)}
            alt={i === 0 ? `${layer.fileName}` : ""}
            draggable={false}
            class={isPixelArt(size) || now.scale >= 4 ? "pixelated" : undefined}
            style={{
              width: `${size.width * now.scale}px`,
              height: `${size.height * now.scale}px`,
              transform: `translate(-50%, -50%) translate(${now.x}px, ${now.y}px)`,
              visibility: ready ? "visible" : "hidden",
              ...(i === 1 ? topStyle : {}),
            }}
            onLoad={(event) => {
              if (i === 0)
                natural.value = { width: event.currentTarget.naturalWidth, height: event.currentTarget.naturalHeight };
            }}
          />
        ))}
      </div>
    </figure>
  );
}
