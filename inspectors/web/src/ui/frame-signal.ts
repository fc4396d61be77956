/** Many changes, one redraw: a counter that moves at most once a frame. */
import { type Signal, signal } from "@preact/signals";

export class Version {
  readonly signal: Signal<number> = signal(0);
  private pending = false;

  /** Something has changed; whoever reads the signal draws again with the next frame. */
  bump(): void {
    if (this.pending) return;
    this.pending = true;
    // A hidden tab has no frames: a timer keeps its title and figures right.
    const later = document.hidden ? (f: () => void) => setTimeout(f, 250) : requestAnimationFrame;
    later(() => {
      this.pending = false;
      this.signal.value += 1;
    });
  }

  now(): void {
    this.signal.value += 1;
  }
}
