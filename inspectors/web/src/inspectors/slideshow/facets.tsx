/** Chips to filter by: schema types and tags, each with how many images a click gives. */
import { type ArtifactInfo, describeTag, type Facets, facetCounts, isKind } from "../../lib/artifacts";
import { Icon } from "../../ui/icons";
import type { SlideControls } from "./controls";

export interface FacetChipsProps {
  artifacts: readonly ArtifactInfo[];
  wanted: Facets;
  c: SlideControls;
}

export function FacetChips({ artifacts, wanted, c }: FacetChipsProps) {
  const counts = facetCounts(artifacts, wanted);
  const perKey = new Map<string, number>();
  const keyOf = (tag: string) => tag.split("=", 1)[0] as string;
  for (const { value } of counts.tags) perKey.set(keyOf(value), (perKey.get(keyOf(value)) ?? 0) + 1);
  const tags = counts.tags.filter(({ value }) => {
    if (wanted.tags.includes(value)) return true;
    return isKind(perKey.get(keyOf(value)) ?? 0, artifacts.length);
  });
  const schemas = counts.schemaTypes.length > 1 || wanted.schemaTypes.length > 0 ? counts.schemaTypes : [];
  if (schemas.length === 0 && tags.length === 0) return null;
  const toggle = (values: readonly string[], value: string) =>
    values.includes(value) ? values.filter((v) => v !== value) : [...values, value];
  return (
    <div class="row wrap facets">
      {schemas.map(({ value, count }) => (
        <button
          key={value}
          type="button"
          class="chip"
          aria-pressed={wanted.schemaTypes.includes(value)}
          onClick={() => c.schemas.set(toggle(wanted.schemaTypes, value))}
        >
          {describeTag(value)} <span class="n">{count}</span>
        </button>
      ))}
      {tags.map(({ value, count }) => (
        <button
          key={value}
          type="button"
          class="chip"
          aria-pressed={wanted.tags.includes(value)}
          onClick={() => c.tags.set(toggle(wanted.tags, value))}
        >
          {describeTag(value)} <span class="n">{count}</span>
        </button>
      ))}
      {(c.tags.value.length > 0 || c.schemas.value.length > 0) && (
        <button
          type="button"
          class="button quiet small"
          onClick={() => {
            c.tags.set([], true);
            c.schemas.set([], true);
          }}
        >
          <Icon name="close" />
          Clear
        </button>
      )}
    </div>
  );
}
