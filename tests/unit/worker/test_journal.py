"""events.jsonl and manifest.json: complete, in order, durable before anybody hears of them."""

import errno
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from diffrun_contracts import names
from diffrun_contracts.events import EVENT_ADAPTER, Artifact, ArtifactWritten, BlockFinished, Manifest, Paused
from diffrun_contracts.task import BlockTask, RunRef
from diffrun_worker import journal as module
from diffrun_worker.block import Point
from diffrun_worker.errors import BlockError, PermanentError, TemporaryError
from diffrun_worker.journal import Journal
from diffrun_worker.publisher import Entry
from diffrun_worker.workspace import Workspace

TASK = BlockTask(run=RunRef(namespace="d", name="r", uid="u-1"), block="work", type="test.sleep")
DIRECTORY = names.retry_dir("u-1", "work", 1, 0, 0)


class Opened:
    """A journal, its files, and what was offered to the publisher."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.offered: list[bytes] = []
        self.in_file: list[bool] = []
        self.journal = Journal(Workspace(str(root)), TASK, pod="pod-1", offer=self.offer)

    def offer(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            line = entry.read()
            self.in_file.append(line + b"\n" in self.path.read_bytes())
            self.offered.append(line)

    @property
    def path(self) -> Path:
        return self.root / DIRECTORY / names.EVENTS_FILE

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_bytes().splitlines()]

    def types(self) -> list[str]:
        return [line["body"]["type"] for line in self.lines()]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    made = Opened(tmp_path)
    yield made
    try:
        made.journal.close()
    except BlockError:
        assert made.journal.failure is not None


def artifact(number: int) -> Artifact:
    return Artifact(id=str(number), path=f"p{number}", schema_type="s", content_type="c", sha256="0" * 64, size=1)


def test_everything_is_written_in_order_and_numbered_from_zero(opened: Opened) -> None:
    journal = opened.journal
    journal.event(Paused())
    for step in range(450):
        journal.metrics([Point("a", 0.5, step)])
    journal.event(ArtifactWritten(artifact=artifact(1)))
    journal.progress(3, 10)
    journal.close(BlockFinished(succeeded=True))
    lines = opened.lines()
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert all(EVENT_ADAPTER.validate_python(line) for line in lines)
    steps = [point["step"] for line in lines if line["body"]["type"] == "metric" for point in line["body"]["points"]]
    assert steps == list(range(450))
    assert opened.types()[0] == "paused"
    assert opened.types()[-1] == "block_finished"


def test_the_publisher_gets_every_line_and_only_after_it_is_in_the_file(opened: Opened) -> None:
    opened.journal.metrics([Point("a", 0.5, 0)])
    opened.journal.event(Paused())
    opened.journal.flush()
    assert opened.offered == opened.path.read_bytes().splitlines()
    assert opened.in_file == [True, True]


def test_lifecycle_events_are_fsynced_before_they_are_offered(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (order.append("fsync"), real(descriptor)))
    offer = opened.offer
    monkeypatch.setattr(opened.journal, "_offer", lambda entries: (order.append("offer"), offer(list(entries))))
    opened.journal.event(Paused())
    opened.journal.flush()
    assert order.index("fsync") < order.index("offer")


def test_events_that_belong_together_cost_one_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(Workspace(str(tmp_path)), TASK, pod="pod-1", clock=lambda: 0.0)  # no manifest becomes due
    journal.flush()
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(descriptor), real(descriptor)))
    journal.events([ArtifactWritten(artifact=artifact(number)) for number in range(8)])
    journal.flush()
    assert len(synced) == 1
    journal.close()


def test_a_flood_is_offered_while_it_comes_and_a_flush_waits_for_all_of_it(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROUND_POINTS", 10)
    offers: list[int] = []
    offer = opened.offer

    def counted(entries: list[Entry]) -> None:
        offers.append(sum(entry.points for entry in entries))
        offer(entries)

    monkeypatch.setattr(opened.journal, "_offer", counted)
    for step in range(0, 95, 5):
        opened.journal._inbox.append([Point("a", 0.5, each) for each in range(step, step + 5)])
    opened.journal.flush()
    assert max(offers) <= 10
    assert sum(offers) == 95
    points = [point["step"] for line in opened.lines() for point in line["body"]["points"]]
    assert points == list(range(95))


def test_a_manifest_without_room_is_a_full_disk(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Workspace, relative: str, data: bytes) -> Path:
        raise self.disk_full(f"write {relative}", len(data))

    monkeypatch.setattr(Workspace, "write", full)
    opened.journal.event(ArtifactWritten(artifact=artifact(1)))
    with pytest.raises(PermanentError, match=r"DiskFull: no room to write .*manifest.json"):
        opened.journal.close()


def test_progress_is_thinned_out_but_the_last_is_always_written(opened: Opened) -> None:
    for done in range(1000):
        opened.journal.progress(done, 1000)
    opened.journal.close()
    progress = [line["body"]["done"] for line in opened.lines() if line["body"]["type"] == "progress"]
    assert len(progress) <= 2
    assert progress[-1] == 999


def test_the_manifest_has_every_artifact_at_the_end(opened: Opened) -> None:
    for number in range(5):
        opened.journal.event(ArtifactWritten(artifact=artifact(number)))
    opened.journal.close()
    manifest = Manifest.model_validate_json((opened.root / DIRECTORY / names.MANIFEST_FILE).read_bytes())
    assert [each.id for each in manifest.artifacts] == ["0", "1", "2", "3", "4"]


def test_a_pod_without_artifacts_leaves_an_empty_manifest(opened: Opened) -> None:
    manifest = Manifest.model_validate_json((opened.root / DIRECTORY / names.MANIFEST_FILE).read_bytes())
    assert manifest.artifacts == ()


def test_a_torn_line_of_a_dead_pod_is_left_alone_and_ended(tmp_path: Path) -> None:
    path = tmp_path / DIRECTORY / names.EVENTS_FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"whole":1}\n{"to')
    opened = Opened(tmp_path)
    opened.journal.close(BlockFinished(succeeded=True))
    lines = path.read_bytes().split(b"\n")
    assert lines[:2] == [b'{"whole":1}', b'{"to']
    assert json.loads(lines[2])["body"]["type"] == "block_finished"
    assert opened.offered == [lines[2]]


def test_a_full_disk_is_told_to_whoever_comes_next_and_the_end_still_reaches_redis(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    opened.journal.metrics([Point("a", 0.5, 0)])
    with pytest.raises(PermanentError, match=r"DiskFull: no room to write .*events.jsonl: .* bytes needed, .* free"):
        opened.journal.flush()
    with pytest.raises(PermanentError, match="DiskFull"):
        opened.journal.metrics([Point("a", 0.5, 1)])
    with pytest.raises(PermanentError, match="DiskFull"):
        opened.journal.close(BlockFinished(succeeded=False))
    assert [json.loads(line)["body"]["type"] for line in opened.offered] == ["block_finished"]


def test_a_full_disk_that_does_not_say_how_full_it_is_is_a_full_disk(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def gone(path: Path) -> Any:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(shutil, "disk_usage", gone)
    opened.journal.metrics([Point("a", 0.5, 0)])
    with pytest.raises(PermanentError, match=r"DiskFull: .* bytes needed, an unknown number free on the workspace"):
        opened.journal.flush()


@pytest.mark.parametrize("end", ["flush", "close"])
def test_a_thread_that_died_without_a_word_is_no_success(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    def die(work: Callable[[], None]) -> None:
        raise MemoryError

    monkeypatch.setattr(threading, "excepthook", lambda died: None)
    monkeypatch.setattr(opened.journal, "_guarded", die)
    opened.journal.metrics([Point("a", 0.5, 0)])
    with pytest.raises(TemporaryError) as caught:
        getattr(opened.journal, end)()
    assert str(caught.value) == "UnexpectedError: the journal's thread ended before everything was written"


def test_a_flush_after_the_end_is_told_that_nothing_is_written_any_more(opened: Opened) -> None:
    opened.journal.close()
    with pytest.raises(TemporaryError, match="ended before everything was written"):
        opened.journal.flush()


def test_a_point_that_no_reader_would_take_fails_the_block_and_loses_nothing_else(opened: Opened) -> None:
    opened.journal.metrics([Point("a b", 0.5, 0)])
    with pytest.raises(PermanentError, match="InvalidMetric: metric name 'a b'"):
        opened.journal.flush()
    with pytest.raises(PermanentError, match="InvalidMetric"):
        opened.journal.close(BlockFinished(succeeded=False))
    assert opened.types() == ["block_finished"]
