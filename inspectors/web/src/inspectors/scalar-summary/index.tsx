/** scalar_summary: a card for every metric that the runs emit, found by itself, live. */
import { useBackfill } from "../../api/backfill";
import { type InspectorInit, runsOf } from "../../lib/init";
import { usePage } from "../../stores/page";
import type { StatisticsList } from "../../types/api";
import { ErrorNotice, Notice, Skeleton } from "../../ui/bits";
import { Card } from "./card";
import { SummarySource } from "./source";

export function ScalarSummary({ init }: { init: InspectorInit }) {
  const page = usePage();
  const runs = runsOf(init);
  const metrics = init.metrics ?? [];
  const { source, backfill } = useBackfill<StatisticsList, SummarySource>(
    page.feed,
    `${runs.join()}|${metrics.join()}`,
    () => new SummarySource(runs, metrics),
  );
  source.version.signal.value; // read: a new point draws the cards again
  const load = backfill.load.value;
  if (load.error && !load.loaded)
    return <ErrorNotice error={load.error} what="The figures" retry={() => backfill.refetch()} />;
  if (!load.loaded) {
    return (
      <div class="cards" aria-busy="true">
        {[0, 1, 2].map((i) => (
          <Skeleton key={i} height={176} />
        ))}
      </div>
    );
  }
  const cards = source.byName(page.hidden.value);
  if (cards.length === 0) {
    return (
      <Notice title="No metric yet">
        <p>A card for each metric appears here as soon as a block emits its first point with ctx.metric().</p>
      </Notice>
    );
  }
  return (
    <>
      {source.notices.map((notice) => (
        <p class="badge" key={notice}>
          {notice}
        </p>
      ))}
      <div class={`cards ${runs.length > 1 ? "wide" : ""}`}>
        {cards.map(([name, rows]) => (
          <Card key={name} name={name} rows={rows} runs={runs} urlPrefix={init.urlPrefix ?? ""} />
        ))}
      </div>
    </>
  );
}
