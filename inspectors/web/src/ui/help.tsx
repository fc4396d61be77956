import type { Signal } from "@preact/signals";
import { Dialog } from "./dialog";
import { activeShortcuts } from "./keyboard";

export function HelpDialog({ open }: { open: Signal<boolean> }) {
  return (
    <Dialog open={open} title="Keyboard shortcuts">
      <h2>Keyboard</h2>
      <dl class="keys">
        {activeShortcuts().map((shortcut) => (
          <>
            <dt>
              {shortcut.keys.split(" ").map((key) => (
                <>
                  <kbd>{key}</kbd>{" "}
                </>
              ))}
            </dt>
            <dd>{shortcut.does}</dd>
          </>
        ))}
        <dt>
          <kbd>←</kbd> <kbd>→</kbd>
        </dt>
        <dd>Move the cursor of a focused chart, or the image</dd>
      </dl>
      <form method="dialog" class="actions">
        <button type="submit" class="button">
          Close
        </button>
      </form>
    </Dialog>
  );
}
