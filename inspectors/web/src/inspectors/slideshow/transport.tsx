/** Steps through the images and videos: a slider, a number to type, play; the same in the light table and in the lightbox. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Icon } from "../../ui/icons";

export interface TransportProps {
  /** From 0; -1 where none is chosen yet. */
  index: number;
  count: number;
  /** What one step is called. */
  noun: string;
  onMove: (index: number) => void;
}

const PLAY_MS = 700;

export function Transport({ index, count, noun, onMove }: TransportProps) {
  const playing = useSignal(false);
  useEffect(() => {
    if (!playing.value || count === 0) return;
    const timer = setTimeout(() => onMove((index + 1) % count), PLAY_MS);
    return () => clearTimeout(timer);
  }, [playing.value, index, count]);
  const to = (i: number) => onMove(Math.max(0, Math.min(count - 1, i)));
  return (
    <div class="row transport">
      <button
        type="button"
        class="button quiet icon"
        aria-label={`Previous ${noun}`}
        title="Previous (←)"
        onClick={() => to(index - 1)}
      >
        <Icon name="left" />
      </button>
      <button
        type="button"
        class="button quiet icon"
        aria-label={playing.value ? "Pause the slideshow" : "Play the slideshow"}
        aria-pressed={playing.value}
        title={playing.value ? "Pause" : "Play"}
        onClick={() => {
          playing.value = !playing.value;
        }}
      >
        <Icon name={playing.value ? "pause" : "play"} />
      </button>
      <button
        type="button"
        class="button quiet icon"
        aria-label={`Next ${noun}`}
        title="Next (→)"
        onClick={() => to(index + 1)}
      >
        <Icon name="right" />
      </button>
      <input
        class="slider"
        type="range"
        min="1"
        max={Math.max(1, count)}
        value={Math.max(1, index + 1)}
        aria-label={`Which ${noun}`}
        onInput={(event) => to(Number(event.currentTarget.value) - 1)}
      />
      <label class="row nowrap small muted">
        <input
          class="field step-input"
          type="number"
          min="1"
          max={count}
          placeholder="–"
          value={index < 0 ? "" : index + 1}
          aria-label={`Number of the ${noun}`}
          onChange={(event) => to(Number(event.currentTarget.value) - 1)}
        />
        of {count}
      </label>
    </div>
  );
}
