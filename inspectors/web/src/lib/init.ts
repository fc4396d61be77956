/** What an inspector is given: which runs, and its options. */

export interface ArtifactFilterInit {
  schemaType?: string | null;
  tags?: readonly string[] | null;
}

export interface InspectorInit {
  /** The run, by UID, where `runs` is not given. */
  run_id?: string;
  /** Several runs, by UID; each is rendered distinctly. */
  runs?: readonly string[];
  title?: string;
  /** The metrics to begin with. */
  metrics?: readonly string[];
  filter?: ArtifactFilterInit | null;
  /** Where its controls' state stands in the URL; unique on a page. */
  urlPrefix?: string;
}

/** The runs of an init, each once: `runs[]`, else `run_id`. */
export function runsOf(init: InspectorInit): readonly string[] {
  const runs = init.runs && init.runs.length > 0 ? init.runs : init.run_id ? [init.run_id] : [];
  if (runs.length === 0) throw new TypeError("an inspector needs init.run_id or a non-empty init.runs[]");
  return [...new Set(runs)];
}
