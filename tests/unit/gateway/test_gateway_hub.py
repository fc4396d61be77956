"""Which runs are followed: those that somebody looks at, or has in the list; and what the list shows of the others."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway_kit import eventually
from run_kit import Pod, a_run, run_object, write_object

from diffrun_gateway.channel import Channel
from diffrun_gateway.files import VolumeFiles
from diffrun_gateway.hub import Hub
from diffrun_gateway.registry import Registry
from diffrun_gateway.ring import Item
from diffrun_gateway.runs import from_object
from diffrun_gateway.settings import Limits
from diffrun_gateway.sources import WorkspaceSource


class Watched:
    """A hub over files, by a clock that stands until it is moved."""

    def __init__(self, workspace: Path, **limits: int) -> None:
        self.now = 1000.0
        self.registry = Registry()
        self.files = VolumeFiles(workspace)
        self.hub = Hub(self.registry, self.files, None, Limits(**limits), clock=lambda: self.now)

    def know(self, pod: Pod, *, over: bool = False) -> str:
        """The run's object is there."""
        self.registry.put(from_object(run_object(pod.run, over=over)))
        return pod.run.uid

    def sparkline(self, uid: str) -> list[float | None]:
        """What the list shows."""
        shown = self.hub.summary(uid)[0]
        return list(shown.values) if shown else []

    async def list(self, uid: str) -> None:
        """A page shows the run in its list."""
        self.hub.want_summaries([uid])
        await eventually(lambda: not self.hub._reading)

    async def pass_idle(self) -> None:
        """So much time goes by that idle runs are let go."""
        self.now += 301.0
        await self.hub.make_room()


class Listener:
    """A client that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def events(self, channel: Channel, items: list[Item]) -> None:
        self.told.append("events")

    def reset(self, channel: Channel, reason: str) -> None:
        self.told.append("reset")

    def live(self, channel: Channel) -> None:
        self.told.append("live")

    def drained(self, channel: Channel) -> None:
        self.told.append("drained")

    def failed(self, channel: Channel) -> None:
        self.told.append("failed")


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    made = Watched(tmp_path)
    yield made
    await made.hub.close()


async def test_a_run_in_the_list_is_followed_as_long_as_it_is_listed(watched: Watched, tmp_path: Path) -> None:
    pod = Pod(a_run(), tmp_path)
    uid = watched.know(pod)
    await watched.list(uid)
    assert watched.sparkline(uid) == [], "it was queued when it was listed first"
    for _ in range(3):
        watched.now += 200.0
        await watched.list(uid)
        await watched.hub.make_room()
    pod.metric(1.0, 2.0)
    await eventually(lambda: watched.sparkline(uid) == [1.0, 2.0])


async def test_a_run_that_was_let_go_is_read_again_for_the_next_list(watched: Watched, tmp_path: Path) -> None:
    pod = Pod(a_run(), tmp_path)
    uid = watched.know(pod)
    await watched.list(uid)
    await watched.pass_idle()
    assert watched.hub.loaded(uid) is None
    pod.metric(1.0, 2.0)
    await watched.list(uid)
    assert watched.sparkline(uid) == [1.0, 2.0]


async def test_a_run_that_is_over_is_read_for_the_list_once(watched: Watched, tmp_path: Path) -> None:
    pod = Pod(a_run(), tmp_path)
    pod.metric(1.0, 2.0)
    uid = watched.know(pod, over=True)
    await watched.list(uid)
    await eventually(lambda: (feed := watched.hub.loaded(uid)) is not None and feed.is_drained)
    await watched.list(uid)
    await watched.pass_idle()
    await watched.list(uid)
    assert watched.hub.loaded(uid) is None
    assert watched.sparkline(uid) == [1.0, 2.0]


async def test_what_was_shown_of_a_run_goes_with_it(watched: Watched, tmp_path: Path) -> None:
    pod = Pod(a_run(), tmp_path)
    pod.metric(1.0, 2.0)
    uid = watched.know(pod)
    await watched.list(uid)
    watched.sparkline(uid)
    watched.registry.remove(uid)
    await watched.pass_idle()
    assert watched.sparkline(uid) == []


async def test_a_listed_run_without_an_object_is_seen_to_end(watched: Watched, tmp_path: Path) -> None:
    pod = Pod(a_run(), tmp_path)
    pod.started()
    source, uid = WorkspaceSource(watched.registry, watched.hub, watched.files, None), pod.run.uid
    await source.look()
    await watched.pass_idle()
    pod.finished()
    await watched.list(uid)
    await source.look()
    assert watched.registry.runs[uid].over


async def test_a_listed_run_makes_room_and_is_not_read_again_at_once(tmp_path: Path) -> None:
    watched = Watched(tmp_path, points=1000)
    pod = Pod(a_run(), tmp_path)
    pod.metric(*[0.5] * 1001)
    uid = watched.know(pod)
    await watched.list(uid)
    await watched.hub.make_room()
    assert watched.hub.loaded(uid) is None
    watched.now += 100.0
    await watched.list(uid)
    assert watched.hub.loaded(uid) is None
    assert len(watched.sparkline(uid)) > 0
    watched.now += 300.0
    await watched.list(uid)
    assert watched.hub.loaded(uid) is not None
    await watched.hub.close()


async def test_a_run_just_asked_for_is_not_let_go_before_its_stream_begins(tmp_path: Path) -> None:
    watched = Watched(tmp_path, points=1000)
    pod = Pod(a_run(), tmp_path)
    pod.metric(*[0.5] * 1001)
    feed = await watched.hub.feed(watched.know(pod))
    await watched.hub.make_room()
    assert watched.hub.loaded(pod.run.uid) is feed
    watched.now += 60.0
    await watched.hub.make_room()
    assert watched.hub.loaded(pod.run.uid) is None
    await watched.hub.close()


async def test_who_comes_while_others_are_closed_keeps_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched, pods = Watched(tmp_path, points=1000), [Pod(a_run(), tmp_path) for _ in range(2)]
    for pod in pods:
        pod.metric(*[0.5] * 1001)
    first, second = [await watched.hub.feed(watched.know(pod)) for pod in pods]
    listener, close = Listener(), first.close

    async def slowly() -> None:
        second.subscribe(listener, None)
        await close()

    monkeypatch.setattr(first, "close", slowly)
    watched.now += 60.0
    await watched.hub.make_room()
    assert watched.hub.loaded(second.uid) is second
    assert (watched.hub.loaded(first.uid), listener.told) == (None, [])
    await watched.hub.close()


async def test_who_comes_too_late_is_told_to_begin_again(watched: Watched, tmp_path: Path) -> None:
    feed, listener = await watched.hub.feed(watched.know(Pod(a_run(), tmp_path))), Listener()
    await watched.pass_idle()
    feed.subscribe(listener, None)
    assert (listener.told, feed.clients) == (["failed"], set())


async def test_who_comes_to_a_feed_that_failed_is_told_to_begin_again(watched: Watched, tmp_path: Path) -> None:
    feed, listener = await watched.hub.feed(watched.know(Pod(a_run(), tmp_path))), Listener()
    feed.tell_failed()
    feed.subscribe(listener, None)
    assert (listener.told, feed.clients) == (["failed"], set())


async def test_a_run_that_cannot_be_read_is_not_asked_for_all_the_time(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, asked = watched.know(Pod(a_run(), tmp_path)), []

    def fails(uid: str) -> None:
        asked.append(uid)
        raise OSError(5, "the volume hangs")

    monkeypatch.setattr(watched.files, "pods", fails)
    for _ in range(5):
        await watched.list(uid)
        watched.now += 25.0
    assert len(asked) == 2


@pytest.mark.parametrize("with_object", [False, True], ids=["its events", "its object"])
async def test_a_run_that_could_not_be_read_is_no_problem_once_it_can_be(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_object: bool
) -> None:
    pod = Pod(a_run(), tmp_path)
    pod.started()
    source = WorkspaceSource(watched.registry, watched.hub, watched.files, None)

    def fails(uid: str) -> None:
        raise OSError(5, "the volume hangs")

    with monkeypatch.context() as patched:
        patched.setattr(watched.files, "pods", fails)
        await source.look()
    assert list(watched.registry.problems) == [pod.run.uid]
    if with_object:
        write_object(tmp_path, run_object(pod.run))
    await source.look()
    assert watched.registry.problems == {}
    assert pod.run.uid in watched.registry.runs
