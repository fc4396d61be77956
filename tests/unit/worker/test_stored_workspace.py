"""A workspace in an object store: what is told is stored, what is read is fetched, a folder is there whole or not."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from diffrun_worker.errors import BlockError, PermanentError, TemporaryError
from diffrun_worker.stored_workspace import StoredWorkspace, open_workspace
from diffrun_worker.workspace import Workspace

NUMBERS = itertools.count()


@pytest.fixture
def url() -> Iterator[str]:
    """A store in this process' memory, empty."""
    url = f"memory://bucket-{next(NUMBERS)}/prefix"
    yield url
    memory: Any = fsspec.filesystem("memory")
    memory.store.clear()


@pytest.fixture
def ours(url: str, tmp_path: Path) -> StoredWorkspace:
    return StoredWorkspace(url, tmp_path / "ours")


@pytest.fixture
def theirs(url: str, tmp_path: Path) -> StoredWorkspace:
    """The same workspace, as another pod has it."""
    return StoredWorkspace(url, tmp_path / "theirs")


def fill(workspace: Workspace, folder: str, **files: str) -> Path:
    """Makes a folder of files at its place, and does not keep it yet."""
    place = workspace.place(folder)
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name).write_text(text)
    return place


def break_store(monkeypatch: pytest.MonkeyPatch, workspace: StoredWorkspace, call: str, error: Exception) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(workspace._store._fs, call, fails)


def test_the_url_says_which_kind_of_workspace_it_is(tmp_path: Path, url: str) -> None:
    assert type(open_workspace(str(tmp_path))) is Workspace
    assert type(open_workspace(f"file://{tmp_path}")) is Workspace
    assert type(open_workspace(url)) is StoredWorkspace


def test_what_one_pod_writes_another_reads(ours: StoredWorkspace, theirs: StoredWorkspace) -> None:
    assert ours.write("runs/u/result.json", b"{}").read_bytes() == b"{}"
    assert theirs.path("runs/u/result.json").read_bytes() == b"{}"
    assert theirs.read("runs/u/result.json") == b"{}"


def test_a_file_that_is_written_twice_in_a_moment_is_stored_twice(
    ours: StoredWorkspace, theirs: StoredWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours.write("manifest.json", b"one")
    status = ours.place("manifest.json").stat()
    monkeypatch.setattr("diffrun_worker.stored_workspace._mark", lambda _: (status.st_size, status.st_mtime_ns))
    ours.write("manifest.json", b"two")
    assert theirs.read("manifest.json") == b"two"


def test_artifacts_leave_no_copy_in_the_scratch_space(ours: StoredWorkspace, theirs: StoredWorkspace) -> None:
    places = ours.write_all([("a/1.png", b"1"), ("a/2.png", b"2")])
    assert not any(place.exists() for place in places)
    assert sorted(path.name for path in theirs.path("a").iterdir()) == ["1.png", "2.png"]


def test_what_was_fetched_once_is_not_asked_for_again_but_by_a_refresh(
    ours: StoredWorkspace, theirs: StoredWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours.write("data/a.txt", b"a")
    theirs.path("data")
    ours.write("data/b.txt", b"b")
    ours.write("data/a.txt", b"A")
    with monkeypatch.context() as patch:
        break_store(patch, theirs, "find", OSError("nobody may ask"))
        assert theirs.path("data/a.txt").read_bytes() == b"a"
    assert {path.name: path.read_bytes() for path in theirs.refresh("data").iterdir()} == {"a.txt": b"A", "b.txt": b"b"}


def test_a_refresh_leaves_alone_what_is_being_made_here(ours: StoredWorkspace, theirs: StoredWorkspace) -> None:
    ours.write("out/shared.csv", b"theirs")
    fill(theirs, "out", **{"shared.csv": "mine, not kept yet"})
    assert (theirs.refresh("out") / "shared.csv").read_bytes() == b"mine, not kept yet"


def test_what_is_not_there_yet_is_looked_for_again(ours: StoredWorkspace, theirs: StoredWorkspace) -> None:
    assert not theirs.path("cache/x.npz").exists()
    ours.write("cache/x.npz", b"x")
    assert theirs.path("cache/x.npz").read_bytes() == b"x"


def test_a_folder_that_is_kept_arrives_with_its_files_and_without_hidden_ones(
    ours: StoredWorkspace, theirs: StoredWorkspace
) -> None:
    place = fill(ours, "model", **{"config.json": "{}", ".partial": "x"})
    (place / "unet").mkdir()
    (place / "unet" / "weights").write_text("w")
    ours.keep(place, whole=True)
    assert theirs.sizes("model") == {"config.json": 2, "unet/weights": 1}
    assert sorted(path.name for path in theirs.path("model").rglob("*")) == ["config.json", "unet", "weights"]


def test_a_folder_whose_upload_was_cut_short_is_passed_over_and_can_be_kept_again(
    ours: StoredWorkspace, theirs: StoredWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = fill(ours, "state/step-1", weights="half")
    with monkeypatch.context() as patch:
        break_store(patch, ours, "put", OSError("cut"))
        with pytest.raises(TemporaryError, match="WorkspaceUnavailable"):
            ours.keep(place, whole=True)
    fill(ours, "state/step-0", weights="older")
    ours.keep(ours.place("state/step-0"), whole=True)
    ours._store.put({"state/step-1/weights": b"half"})
    assert theirs.sizes("state") == {"step-0/weights": 5}
    assert [path.name for path in theirs.path("state").iterdir()] == ["step-0"]
    ours.keep(place, whole=True)
    assert [path.name for path in theirs.refresh("state/step-1").iterdir()] == ["weights"]


def test_keeping_a_folder_again_forgets_files_that_it_has_no_more(
    ours: StoredWorkspace, theirs: StoredWorkspace
) -> None:
    place = fill(ours, "model", old="1", both="1")
    ours.keep(place, whole=True)
    (place / "old").unlink()
    ours.keep(place, whole=True)
    assert theirs.sizes("model") == {"both": 1}


def test_a_folder_is_removed_in_both_places_and_never_seen_half_removed(
    ours: StoredWorkspace, theirs: StoredWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = fill(ours, "state/step-1", a="1", b="2")
    ours.keep(place, whole=True)
    with monkeypatch.context() as patch:
        break_store(patch, ours, "rm_file", OSError("cut"))
        with pytest.raises(TemporaryError):
            ours.discard(place)
    assert theirs.sizes("state") == {}
    ours.discard(place)
    assert not place.exists()
    assert ours._store.sizes("state") == {}


def test_an_upload_that_fails_is_told_as_temporary_and_names_the_store(
    ours: StoredWorkspace, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_store(monkeypatch, ours, "pipe", OSError(16, "Slow Down"))
    with pytest.raises(TemporaryError, match=rf"WorkspaceUnavailable: cannot write objects of {url}: .*Slow Down"):
        ours.write_all([("a", b"1")])


def test_access_that_is_denied_is_permanent_and_names_the_bucket_and_the_secret(
    ours: StoredWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFRUN_WORKSPACE_SECRET", "store-keys")
    break_store(monkeypatch, ours, "put", PermissionError("Access Denied."))
    with pytest.raises(PermanentError) as caught:
        ours.write("a", b"1")
    assert caught.value.code == "StoreAccessDenied"
    assert caught.value.message == (
        f"may not write objects of the bucket {ours._store.bucket!r} (Access Denied); check the keys in the Secret "
        "store-keys, and that they may list, read, write and delete there"
    )


@pytest.mark.parametrize("scheme", ["nosuch", "gs"])
def test_a_scheme_without_a_client_is_refused_by_name(scheme: str) -> None:
    with pytest.raises(PermanentError, match=f"UnsupportedWorkspace: .* needs a client for {scheme}:// that is not"):
        open_workspace(f"{scheme}://bucket/x")


def test_an_object_whose_name_leads_out_of_the_workspace_is_refused(ours: StoredWorkspace, tmp_path: Path) -> None:
    ours._store.put({"data/../../../../evil": b"x"})
    with pytest.raises(PermanentError, match="PathOutsideWorkspace"):
        ours.path("data")


@pytest.mark.parametrize("path", ["", "..", "a/../../x", "/etc/passwd", "a\\b"], ids=repr)
def test_a_path_that_leaves_the_workspace_never_reaches_the_store(path: str, ours: StoredWorkspace) -> None:
    for call in (ours.path, ours.refresh, ours.read, ours.sizes, ours.place):
        with pytest.raises(BlockError, match="PathOutsideWorkspace"):
            call(path)


def test_the_scratch_space_is_given_back(url: str, tmp_path: Path) -> None:
    workspace = StoredWorkspace(url, tmp_path)
    workspace.write("a", b"1")
    del workspace
    assert not list(tmp_path.iterdir())
