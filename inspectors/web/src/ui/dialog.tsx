/** A modal dialog of the browser's own: focus stays in it, Escape closes it, what is behind it is inert. */
import type { Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

export interface DialogProps {
  open: Signal<boolean>;
  title: string;
  class?: string;
  children: ComponentChildren;
}

export function Dialog({ open, title, class: cls = "sheet", children }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  // Not after the next paint: a key pressed before it would go to what is behind.
  useLayoutEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    if (open.value && !dialog.open) dialog.showModal();
    if (!open.value && dialog.open) dialog.close();
  }, [open.value]);
  return (
    <dialog
      ref={ref}
      class={cls}
      aria-label={title}
      onClose={() => {
        open.value = false;
      }}
    >
      {open.value && children}
    </dialog>
  );
}
