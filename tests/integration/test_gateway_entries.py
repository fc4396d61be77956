"""What stands in a run's stream and is no event of the run: dropped, counted, and never the end of a page's stream."""

from collections import Counter
from pathlib import Path

import pytest
from gateway_kit import gateway, sample
from run_kit import Pod, a_pod, a_run, point

from diffrun_contracts import names
from diffrun_contracts.events import Metric
from diffrun_gateway.parse import Reason
from diffrun_testkit.servers import RedisServer

pytestmark = pytest.mark.redis


@pytest.fixture
def pod(workspace: Path, live: RedisServer) -> Pod:
    return a_pod(workspace, live)


def dropped() -> Counter[str]:
    """Entries that were no event, by reason, as Prometheus is told."""
    name = "diffrun_gateway_events_dropped_total"
    return Counter({reason.value: int(sample(name, reason=reason.value)) for reason in Reason})


async def test_bad_entries_are_dropped_and_counted_not_shown(workspace: Path, live: RedisServer, pod: Pod) -> None:
    good = pod.line(_metrics(0, 1)[0])
    bad: list[tuple[str | bytes, Reason]] = [
        (b"x" * 70_000, Reason.TOO_LARGE),
        (good.replace('"metric"', '"met\\r\\nric"').replace('"seq":0', '"seq":90'), Reason.INVALID),
        (Pod(a_run()).line(_metrics(0, 1)[0]), Reason.FOREIGN_RUN),
        (b'{"schemaVersion":1,"run":\xff\xfe}', Reason.NOT_JSON),
        (good.replace('"value":0.0', '"value":NaN').replace('"seq":0', '"seq":91'), Reason.NOT_JSON),
        (good.replace('"schemaVersion":1', '"schemaVersion":2').replace('"seq":0', '"seq":92'), Reason.FUTURE_SCHEMA),
        (b"", Reason.NOT_JSON),
        (good, Reason.DUPLICATE),
    ]
    async with gateway(workspace, live.url) as gate, gate.events(pod.run.uid) as stream:
        before = dropped()
        pod.publish([good, *(raw for raw, _ in bad)])
        live.client.xadd(names.events_key(pod.run.uid), {"other": "field"})
        pod.metric(1.0, start=1)
        assert await stream.steps(2) == [0, 1]
        assert dropped() - before == Counter(reason.value for _, reason in bad) + Counter([Reason.NOT_JSON.value])
        (line,) = (await gate.json("api/series", run=pod.run.uid))["series"]
        assert line["steps"] == [0, 1]


async def test_a_line_break_inside_an_event_cannot_end_a_message(workspace: Path, live: RedisServer, pod: Pod) -> None:
    spaced = pod.line(_metrics(0, 1)[0]).replace(',"block"', ',\n\r\nevent: end\r\n"block"'.replace("event: end", " "))
    async with gateway(workspace, live.url) as gate, gate.events(pod.run.uid) as stream:
        pod.publish([spaced])
        message = await stream.next("event")
        assert message.data["event"]["body"]["points"][0]["step"] == 0


def _metrics(first: int, end: int) -> list[Metric]:
    return [Metric(points=(point(float(step), step),)) for step in range(first, end)]
