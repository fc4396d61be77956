"""A journal on an object store: its lines become immutable numbered files, each line in one of them, in order."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from diffrun_contracts import names
from diffrun_contracts.events import ArtifactWritten, BlockFinished, Manifest
from diffrun_contracts.task import BlockTask, RunRef
from diffrun_worker import segments as module
from diffrun_worker.artifacts import ArtifactStore
from diffrun_worker.block import NewFile, Point
from diffrun_worker.errors import ErrorCode, TemporaryError
from diffrun_worker.journal import Journal
from diffrun_worker.segments import Segments
from diffrun_worker.spool import Spool
from diffrun_worker.workspace import Workspace

TASK = BlockTask(run=RunRef(namespace="d", name="r", uid="u-1"), block="work", type="test.sleep")
DIRECTORY = names.retry_dir("u-1", "work", 1, 0, 0)
AWAY = TemporaryError(ErrorCode.WORKSPACE_UNAVAILABLE, "the store is away")


class Unappendable(Workspace):
    """A folder in which, as in an object store, only whole files appear; it can be away."""

    appendable = False
    away = False

    def __init__(self, root: Path) -> None:
        super().__init__(str(root))
        self.puts: list[str] = []

    def write_all(self, files: Any) -> list[Path]:
        if self.away:
            raise AWAY
        self.puts += [relative for relative, _ in files]
        return super().write_all(files)


@pytest.fixture
def workspace(tmp_path: Path) -> Unappendable:
    return Unappendable(tmp_path)


def files(workspace: Workspace) -> list[bytes]:
    folder = workspace.place(f"{DIRECTORY}/{names.EVENTS_DIR}")
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []


def events(workspace: Workspace) -> list[dict[str, Any]]:
    return [json.loads(line) for data in files(workspace) for line in data.splitlines()]


def spool_of(workspace: Workspace) -> Spool:
    path = workspace.place(f"{DIRECTORY}/{names.EVENTS_FILE}")
    path.parent.mkdir(parents=True, exist_ok=True)
    return Spool(path)


def test_every_line_is_in_one_segment_in_order_when_the_journal_ends(workspace: Unappendable) -> None:
    journal = Journal(workspace, TASK, pod="pod-1")
    for step in range(500):
        journal.metrics([Point("loss", 1.0, step)])
        if step % 200 == 0:
            journal.flush()
    journal.close(BlockFinished(succeeded=True))
    found = events(workspace)
    assert [event["seq"] for event in found] == list(range(len(found)))
    assert [p["step"] for e in found if e["body"]["type"] == "metric" for p in e["body"]["points"]] == list(range(500))
    assert found[-1]["body"]["type"] == "block_finished"
    assert [path.name for path in sorted((workspace.place(DIRECTORY) / names.EVENTS_DIR).iterdir())][:2] == [
        "000001.jsonl", "000002.jsonl",
    ]  # fmt: skip


def test_a_line_goes_to_the_store_by_its_age_without_being_asked_for(workspace: Unappendable) -> None:
    spool = spool_of(workspace)
    segments = Segments(workspace, DIRECTORY, spool, pytest.fail, seconds=0.01)
    spool.append([(b"one", 0)], durable=False)
    segments.reached(spool.offset)
    while not files(workspace):
        threading.Event().wait(0.01)
    segments.close()
    assert files(workspace) == [b"one\n"]


def test_a_segment_has_a_largest_size_and_ends_with_a_whole_line(
    workspace: Unappendable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 10)
    spool = spool_of(workspace)
    segments = Segments(workspace, DIRECTORY, spool, pytest.fail)
    spool.append([(b"aaa", 0), (b"bbb", 0), (b"ccc", 0)], durable=False)
    segments.reached(spool.offset)
    segments.close()
    assert files(workspace) == [b"aaa\nbbb\n", b"ccc\n"]


def test_a_pod_that_comes_after_another_under_one_name_overwrites_nothing(workspace: Unappendable) -> None:
    workspace.write_all([(f"{DIRECTORY}/{names.segment_file(7)}", b"before\n")])
    spool = spool_of(workspace)
    segments = Segments(workspace, DIRECTORY, spool, pytest.fail)
    spool.append([(b"after", 0)], durable=False)
    segments.reached(spool.offset)
    segments.close()
    assert workspace.puts[-1] == f"{DIRECTORY}/events/000008.jsonl"
    assert files(workspace) == [b"before\n", b"after\n"]


def test_a_store_that_is_away_fails_the_block_and_the_end_is_stored_once_it_is_back(workspace: Unappendable) -> None:
    journal = Journal(workspace, TASK, pod="pod-1")
    workspace.away = True
    journal.metrics([Point("loss", 1.0, 0)])
    with pytest.raises(TemporaryError, match="the store is away"):
        journal.flush()
    with pytest.raises(TemporaryError, match="the store is away"):
        journal.metrics([Point("loss", 1.0, 1)])
    workspace.away = False
    with pytest.raises(TemporaryError):
        journal.close(BlockFinished(succeeded=False))
    assert [event["body"]["type"] for event in events(workspace)] == ["metric", "block_finished"]


def test_an_artifact_that_could_not_be_stored_is_announced_nowhere(workspace: Unappendable) -> None:
    journal = Journal(workspace, TASK, pod="pod-1")
    announce = lambda made: journal.events([ArtifactWritten(artifact=each) for each in made])  # noqa: E731
    store = ArtifactStore(workspace, DIRECTORY, "pod-1", announce)
    workspace.away = True
    with pytest.raises(TemporaryError):
        store.write([NewFile(b"png", "generated_sample", "image/png")])
    workspace.away = False
    store.write([NewFile(b"png", "generated_sample", "image/png")])
    journal.close(BlockFinished(succeeded=True))
    assert [event["body"]["type"] for event in events(workspace)] == ["artifact_written", "block_finished"]
    manifest = Manifest.model_validate_json(workspace.read(f"{DIRECTORY}/{names.MANIFEST_FILE}"))
    assert [workspace.read(artifact.path) for artifact in manifest.artifacts] == [b"png"]
