"""Back-fill, then follow: nothing missing, nothing twice, whatever is restarted or lost on the way."""

from pathlib import Path

import pytest
from gateway_kit import Gateway, eventually, gateway, shown
from pydantic import TypeAdapter
from run_kit import Pod, a_pod, a_run, point, run_object, write_object

from diffrun_contracts import names
from diffrun_contracts.api import StreamMessage
from diffrun_contracts.events import Metric
from diffrun_testkit.servers import RedisServer

pytestmark = pytest.mark.redis


@pytest.fixture
def pod(workspace: Path, live: RedisServer) -> Pod:
    return a_pod(workspace, live)


async def test_a_page_opened_mid_run_has_each_point_exactly_once(workspace: Path, live: RedisServer, pod: Pod) -> None:
    pod.metric(*range(10))
    async with gateway(workspace, live.url) as gate:
        uid = pod.run.uid
        async with gate.events(uid) as stream:
            first = await stream.next("cursor")
            pod.metric(*range(5), start=10)
            answer = await gate.json("api/series", run=uid)
            pod.metric(*range(5), start=15)
            cursor = answer["cursors"][uid]
            assert first.data["live"]
            fetched = answer["series"][0]["steps"]
            followed: list[int] = []
            while not followed or followed[-1] < 19:
                message = await stream.next("event")
                if order(message.data["cursor"]) > order(cursor):
                    followed += [point["step"] for point in message.data["event"]["body"]["points"]]
            assert fetched + followed == list(range(20))


async def test_every_message_is_what_the_contracts_say(workspace: Path, live: RedisServer, pod: Pod) -> None:
    async with gateway(workspace, live.url) as gate, gate.events(pod.run.uid) as stream:
        pod.started()
        pod.metric(1.0, float("nan"))
        pod.artifact(b"\x89PNG\r\n\x1a\n", phase="preview")
        pod.finished()
        write_object(workspace, run_object(pod.run, over=True))
        messages = await stream.until("end")
    adapter: TypeAdapter[object] = TypeAdapter(StreamMessage)
    for message in messages:
        adapter.validate_python(message.data)
        assert message.data["type"] == message.name
    announced = [m.data["artifact"]["url"] for m in messages if "artifact" in m.data]
    assert announced[0].startswith("api/artifacts/")


async def test_a_stream_resumes_where_the_browser_was_cut_off(workspace: Path, live: RedisServer, pod: Pod) -> None:
    async with gateway(workspace, live.url) as gate:
        async with gate.events(pod.run.uid) as stream:
            await stream.next("cursor")
            pod.metric(*range(4))
            assert await stream.steps(2) == [0, 1]
            last = stream.last_id
        pod.metric(*range(3), start=4)
        async with gate.events(pod.run.uid, last_id=last, cursor="1-0.zzz") as stream:
            assert await stream.steps(5) == [2, 3, 4, 5, 6]


async def test_a_cursor_in_the_address_begins_there(workspace: Path, live: RedisServer, pod: Pod) -> None:
    pod.metric(*range(3))
    async with gateway(workspace, live.url) as gate:
        cursor = (await gate.json("api/series", run=pod.run.uid))["cursors"][pod.run.uid]
        pod.metric(*range(2), start=3)
        async with gate.events(pod.run.uid, cursor=cursor) as stream:
            assert await stream.steps(2) == [3, 4]


async def test_a_restarted_gateway_resumes_streams_without_gap(workspace: Path, live: RedisServer, pod: Pod) -> None:
    async with gateway(workspace, live.url) as gate, gate.events(pod.run.uid) as stream:
        await stream.next("cursor")
        pod.metric(*range(6))
        assert await stream.steps(6) == list(range(6))
        last = stream.last_id
    pod.metric(*range(3), start=6)
    async with gateway(workspace, live.url) as gate:
        async with gate.events(pod.run.uid, last_id=last) as stream:
            assert await stream.steps(3) == [6, 7, 8]
            pod.metric(9.0, start=9)
            assert await stream.steps(1) == [9]
        assert await shown(gate, pod.run.uid) == list(range(10))


async def test_after_a_restart_lines_that_redis_never_got_mean_a_reset(
    workspace: Path, live: RedisServer, pod: Pod
) -> None:
    async with gateway(workspace, live.url) as gate, gate.events(pod.run.uid) as stream:
        pod.metric(*range(3))
        await stream.steps(3)
        last = stream.last_id
    pod.metric(*range(2), start=3, live=False)
    async with gateway(workspace, live.url) as gate, gate.events(pod.run.uid, last_id=last) as stream:
        assert (await stream.next("reset")).data["reason"] == "trimmed"
        assert await shown(gate, pod.run.uid) == list(range(5))


async def test_a_flushed_redis_loses_nothing(workspace: Path, live: RedisServer, pod: Pod) -> None:
    async with gateway(workspace, live.url) as gate, gate.events(pod.run.uid) as stream:
        pod.metric(*range(5))
        assert await stream.steps(5) == list(range(5))
        lost = [pod.line(body) for body in _metrics(5, 8)]
        pod.write(lost)
        live.client.flushall()
        pod.metric(*range(2), start=8)
        reset = await stream.next("reset", "event")
        assert reset.data["reason"] == "completed"
        assert await shown(gate, pod.run.uid) == list(range(10))
        pod.metric(10.0, start=10)
        assert await stream.steps(1) == [10]


async def test_a_gateway_started_after_a_flush_shows_the_complete_history(
    workspace: Path, live: RedisServer, pod: Pod
) -> None:
    pod.metric(*range(20))
    picture = pod.artifact(b"\x89PNG\r\n\x1a\n")
    live.client.flushall()
    async with gateway(workspace, live.url) as gate:
        assert await shown(gate, pod.run.uid) == list(range(20))
        assert [a["id"] for a in (await gate.json("api/artifacts", run=pod.run.uid))["artifacts"]] == [picture.id]


async def test_trimmed_history_comes_from_the_files(workspace: Path, live: RedisServer, pod: Pod) -> None:
    pod.metric(*range(20))
    live.client.xtrim(names.events_key(pod.run.uid), maxlen=3, approximate=False)
    async with gateway(workspace, live.url) as gate:
        assert await shown(gate, pod.run.uid) == list(range(20))
        async with gate.events(pod.run.uid, cursor="1-0.abc") as stream:
            assert (await stream.next("reset")).data["reason"] == "trimmed"


async def test_redis_restarts_in_the_middle_of_a_run(workspace: Path, live: RedisServer, pod: Pod) -> None:
    async with gateway(workspace, live.url) as gate, gate.events(pod.run.uid) as stream:
        pod.metric(*range(3))
        assert await stream.steps(3) == [0, 1, 2]
        live.stop()
        assert (await stream.next("live")).data == {"type": "live", "live": False}
        live.start()
        assert (await stream.next("live")).data == {"type": "live", "live": True}
        pod.metric(*range(3), start=3)
        assert await stream.steps(3) == [3, 4, 5]
        assert await shown(gate, pod.run.uid) == list(range(6))


async def test_a_failover_to_a_replica_that_is_behind_loses_nothing(
    workspace: Path, live: RedisServer, other: RedisServer, pod: Pod
) -> None:
    async with gateway(workspace, live.url) as gate, gate.events(pod.run.uid) as stream:
        pod.metric(*range(5))
        assert await stream.steps(5) == list(range(5))
        other.demote(live.port)
        other.promote()
        pod.metric(*range(3), start=5)  # the replica never got these
        assert await stream.steps(3) == [5, 6, 7]
        live.demote(other.port)  # what is behind the address is the replica's history now
        pod.metric(*range(2), start=8, live=False)  # refused with READONLY
        live.promote()
        pod.metric(10.0, start=10)
        await eventually(lambda: _has(gate, pod.run.uid, list(range(11))))
        pod.metric(11.0, start=11)
        while await stream.steps(1) != [11]:
            pass


async def test_without_redis_the_files_are_followed(workspace: Path, live: RedisServer, pod: Pod) -> None:
    async with gateway(workspace, None) as gate, gate.events(pod.run.uid) as stream:
        await stream.next("cursor")
        pod.metric(*range(3), live=False)
        assert (await stream.next("reset")).data["reason"] == "completed"
        await eventually(lambda: _has(gate, pod.run.uid, [0, 1, 2]))


async def test_a_reply_lost_by_the_worker_counts_once(workspace: Path, live: RedisServer, pod: Pod) -> None:
    async with gateway(workspace, live.url) as gate, gate.events(pod.run.uid) as stream:
        lines = [pod.line(body) for body in _metrics(0, 3)]
        pod.write(lines)
        pod.publish(lines[:2])
        pod.publish(lines)  # the first two again
        pod.metric(3.0, start=3)
        assert await stream.steps(4) == [0, 1, 2, 3]


async def test_a_retry_supersedes_what_it_writes_again(workspace: Path, live: RedisServer, pod: Pod) -> None:
    pod.metric(1.0, 1.0, 1.0, 1.0)
    again = Pod(pod.run, workspace, live.client, retry=1)
    async with gateway(workspace, live.url) as gate, gate.events(pod.run.uid) as stream:
        await stream.next("cursor")
        again.metric(2.0, start=2)
        assert (await stream.next("reset")).data["reason"] == "superseded"
        line = (await gate.json("api/series", run=pod.run.uid))["series"][0]
        assert (line["steps"], line["values"]) == ([0, 1, 2], [1.0, 1.0, 2.0])
        again.metric(3.0, start=3)
        assert await stream.steps(1) == [3]


async def test_several_runs_share_a_stream_and_its_position(workspace: Path, live: RedisServer, pod: Pod) -> None:
    other = Pod(a_run("dogs"), workspace, live.client)
    write_object(workspace, run_object(other.run))
    uids = [pod.run.uid, other.run.uid]
    async with gateway(workspace, live.url) as gate:
        async with gate.events(*uids) as stream:
            pod.metric(*range(2))
            await stream.steps(2)
            other.metric(*range(2))
            await stream.steps(1)
            last = stream.last_id
            assert last is not None
            assert len(last.split(",")) == 2
        pod.metric(2.0, start=2)
        async with gate.events(*uids, last_id=last) as stream:
            seen = {}
            for _ in range(2):
                message = await stream.next("event")
                seen[message.data["run"]] = message.data["event"]["body"]["points"][0]["step"]
            assert seen == {pod.run.uid: 2, other.run.uid: 1}


async def test_a_stream_ends_when_all_its_runs_are_over(workspace: Path, live: RedisServer, pod: Pod) -> None:
    other = Pod(a_run("dogs"), workspace, live.client)
    write_object(workspace, run_object(other.run))
    async with gateway(workspace, live.url) as gate, gate.events(pod.run.uid, other.run.uid) as stream:
        pod.metric(1.0)
        pod.finished()
        write_object(workspace, run_object(pod.run, over=True))
        await eventually(lambda: gate.services.registry.runs[pod.run.uid].over)
        other.metric(2.0)
        write_object(workspace, run_object(other.run, over=True))
        messages = await stream.until("end")
        runs = [m.data["run"] for m in messages if m.name == "event"]
        assert sorted(runs) == sorted([pod.run.uid, pod.run.uid, other.run.uid])
        with pytest.raises(EOFError):
            await stream.next()


async def test_the_list_of_runs_is_live(workspace: Path, live: RedisServer, pod: Pod) -> None:
    async with gateway(workspace, live.url) as gate, gate.events(path="api/runs/events") as stream:
        first = await stream.next("runs")
        assert [run["name"] for run in first.data["list"]["runs"]] == ["cats"]
        new = a_run("dogs")
        write_object(
            workspace, run_object(new, gates={"preview": {"state": "Waiting", "openedAt": "2026-01-01T00:00:00Z"}})
        )
        entry = (await stream.next("run")).data["entry"]
        while entry["name"] != "dogs":
            entry = (await stream.next("run")).data["entry"]
        assert (entry["phase"], entry["waitingGates"]) == ("Waiting", ["preview"])


async def test_an_open_list_tells_what_is_missing_in_it_and_that_nothing_is_any_more(
    workspace: Path, live: RedisServer, pod: Pod
) -> None:
    async with gateway(workspace, live.url) as gate, gate.events(path="api/runs/events") as stream:
        assert (await stream.next("runs")).data["list"]["problems"] == []
        live.stop()
        told = (await stream.next("runs")).data["list"]
        assert [run["uid"] for run in told["runs"]] == [pod.run.uid]
        assert ["Redis does not answer" in problem for problem in told["problems"]] == [True]
        live.start()
        assert (await stream.next("runs")).data["list"]["problems"] == []


async def test_an_open_list_keeps_its_runs_followed(workspace: Path, live: RedisServer, pod: Pod) -> None:
    async with gateway(workspace, live.url) as gate, gate.events(path="api/runs/events") as stream:
        await stream.next("runs")
        await eventually(lambda: gate.services.hub.loaded(pod.run.uid) is not None)
        feed = gate.services.hub.loaded(pod.run.uid)
        assert feed is not None
        opened = feed.listed
        await eventually(lambda: feed.listed > opened)


def order(cursor: str) -> tuple[int, int]:
    """What of a cursor is ordered."""
    ms, _, seq = cursor.partition(".")[0].partition("-")
    return int(ms), int(seq)


async def _has(gate: Gateway, uid: str, steps: list[int]) -> bool:
    return await shown(gate, uid) == steps


def _metrics(first: int, end: int) -> list[Metric]:
    return [Metric(points=(point(float(step), step),)) for step in range(first, end)]
