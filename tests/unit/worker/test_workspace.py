"""Paths never leave the workspace; files appear whole or not at all."""

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest

from diffrun_worker.errors import PermanentError, TemporaryError
from diffrun_worker.workspace import Workspace


@pytest.mark.parametrize(
    "path", ["", "..", "../x", "a/../../x", "a/../b", "/etc/passwd", "a\0b", "a\\b", "link/x"], ids=repr
)
def test_a_path_that_leaves_the_workspace_is_refused(path: str, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(PermanentError) as caught:
        Workspace(str(tmp_path / "inside")).path(path)
    assert caught.value.code == "PathOutsideWorkspace"
    assert caught.value.message == (
        f"{path!r} is not a path inside the workspace; give one relative to its root, without '..'"
    )


def test_a_sibling_whose_name_begins_alike_is_outside(tmp_path: Path) -> None:
    (tmp_path / "run-1").mkdir()
    with pytest.raises(PermanentError, match="PathOutsideWorkspace"):
        Workspace(str(tmp_path / "run-1")).relative(tmp_path / "run-1x" / "file")


def test_paths_are_relative_both_ways(tmp_path: Path) -> None:
    workspace = Workspace(f"file://{tmp_path}")
    assert workspace.relative(workspace.path("a/b.png")) == "a/b.png"


def test_an_object_store_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="UnsupportedWorkspace: 's3://bucket/x' is not a mounted"):
        Workspace("s3://bucket/x")


def test_a_volume_that_is_not_there_may_come_back(tmp_path: Path) -> None:
    with pytest.raises(TemporaryError, match=r"WorkspaceUnavailable: the workspace .*/none is not a directory"):
        Workspace(str(tmp_path / "none"))


def test_a_written_file_is_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    workspace.write("a/b/c.txt", b"one")
    workspace.write("a/b/c.txt", b"two")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")] == ["a/b/c.txt"]
    assert (tmp_path / "a/b/c.txt").read_bytes() == b"two"


@pytest.mark.parametrize("path", ["a/../../x", "link/x", "/x", "a/.."], ids=repr)
def test_of_several_files_one_outside_keeps_all_from_being_written(path: str, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(PermanentError, match="PathOutsideWorkspace"):
        Workspace(str(tmp_path / "inside")).write_all([("fine", b"1"), (path, b"2")])
    assert [each.name for each in (tmp_path / "inside").iterdir()] == ["link"]
    assert not list((tmp_path / "outside").iterdir())


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").write_bytes(b"theirs")
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "outside")
    Workspace(str(tmp_path / "inside")).write("link", b"ours")
    assert (tmp_path / "outside").read_bytes() == b"theirs"
    assert (tmp_path / "inside" / "link").read_bytes() == b"ours"


def test_a_full_disk_keeps_the_old_file_and_says_what_was_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(str(tmp_path))
    workspace.write("a", b"old")

    def full(descriptor: int) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(Workspace, "free_bytes", lambda self: 3)
    message = (
        "DiskFull: no room to write a: 4 bytes needed, 3 free on the workspace; "
        "delete old runs' files or enlarge the volume"
    )
    with pytest.raises(PermanentError, match=re.escape(message)):
        workspace.write("a", b"new!")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_room_is_checked_before_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workspace, "free_bytes", lambda self: 99)
    workspace = Workspace(str(tmp_path))
    workspace.require_free(99, "download a/b")
    with pytest.raises(PermanentError, match="DiskFull: no room to download a/b: 100 bytes needed, 99 free"):
        workspace.require_free(100, "download a/b")
