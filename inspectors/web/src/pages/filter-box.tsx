/** The box in which runs are sought by what they are called and how they are. */
import type { Ref } from "preact";
import { Icon } from "../ui/icons";

export interface FilterBoxProps {
  label: string;
  value: string;
  onText: (text: string) => void;
  box: Ref<HTMLInputElement>;
}

export function FilterBox({ label, value, onText, box }: FilterBoxProps) {
  return (
    <label class="search">
      <Icon name="search" />
      <input
        ref={box}
        class="field"
        type="search"
        placeholder="Filter by name, namespace, phase"
        aria-label={label}
        value={value}
        onInput={(event) => onText(event.currentTarget.value)}
      />
    </label>
  );
}
