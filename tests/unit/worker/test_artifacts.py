"""Artifacts are durable before anybody hears of them, one by one or many at a time."""

import errno
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from diffrun_contracts.events import Artifact
from diffrun_worker.artifacts import ArtifactStore
from diffrun_worker.block import NewFile
from diffrun_worker.errors import PermanentError
from diffrun_worker.workspace import Workspace


class Opened:
    """A store, and what it has announced."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.announced: list[list[Artifact]] = []
        self.store = ArtifactStore(Workspace(str(root)), "runs/u/b", "pod", self.announce)

    def announce(self, artifacts: Sequence[Artifact]) -> None:
        for artifact in artifacts:
            assert hashlib.sha256((self.root / artifact.path).read_bytes()).hexdigest() == artifact.sha256
        self.announced.append(list(artifacts))


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    return Opened(tmp_path)


def png(number: int) -> NewFile:
    return NewFile(b"png %d" % number, "generated_sample", "image/png", {"sample_index": str(number)}, 2, 3)


def opened_file(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def test_files_are_announced_together_in_their_order_with_what_was_said_of_them(opened: Opened) -> None:
    written = opened.store.write([png(number) for number in range(20)])
    assert opened.announced == [written]
    assert [artifact.tags["sample_index"] for artifact in written] == [str(number) for number in range(20)]
    assert len({artifact.id for artifact in written}) == 20
    first = written[0]
    assert (first.schema_type, first.content_type, first.size) == ("generated_sample", "image/png", 5)
    assert (first.width, first.height) == (2, 3)
    assert first.path.startswith("runs/u/b/artifacts/000000-")
    assert first.path.endswith(".png")
    assert sorted(each.name for each in (opened.root / "runs/u/b/artifacts").iterdir()) == [
        Path(artifact.path).name for artifact in written
    ]


def test_numbers_go_on_from_batch_to_batch(opened: Opened) -> None:
    paths = [artifact.path for batch in range(2) for artifact in opened.store.write([png(batch), png(batch)])]
    assert [Path(path).name[:6] for path in paths] == ["000000", "000001", "000002", "000003"]
    assert opened.store.count == 4


def test_everything_is_synced_before_it_is_announced(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(opened_file(descriptor)))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    seen: list[int] = []
    monkeypatch.setattr(opened.store, "_announce", lambda artifacts: seen.append(len(synced)))
    written = opened.store.write([png(number) for number in range(3)])
    assert seen == [len(synced)]
    folder = opened.root / "runs/u/b/artifacts"
    for artifact in written:
        assert any(Path(path).name.startswith(f".{Path(artifact.path).name}.") for path in synced)
    assert synced[-1] == str(folder)
    assert {str(opened.root), *(str(opened.root / part) for part in ("runs", "runs/u", "runs/u/b"))} <= set(synced)


def test_of_files_that_do_not_all_fit_none_appears_or_is_announced(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def full(descriptor: int) -> None:
        if opened_file(descriptor).name.startswith(".000002"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(Workspace, "free_bytes", lambda self: 3)
    with pytest.raises(
        PermanentError,
        match=r"DiskFull: no room to write 4 files from runs/u/b/artifacts/000000-\w+.png on: 20 bytes needed, 3 free",
    ):
        opened.store.write([png(number) for number in range(4)])
    assert opened.announced == []
    assert opened.store.count == 0
    assert opened.store.digest() is None
    assert list((opened.root / "runs/u/b/artifacts").iterdir()) == []


def test_an_unknown_content_type_still_has_a_suffix(opened: Opened) -> None:
    (written,) = opened.store.write([NewFile(b"x", "s", "application/x-nobody-knows")])
    assert written.path.endswith(".bin")
