"""A workspace in an object store: the same rule for paths as on a volume, segments read once, errors told as such."""

import itertools
from collections.abc import Iterator
from typing import Any

import fsspec
import pytest

from diffrun_contracts import names
from diffrun_gateway.durable import Durable
from diffrun_gateway.files import NotThere, PodDirectory
from diffrun_gateway.settings import Settings
from diffrun_gateway.store_files import StoreFiles

NUMBERS = itertools.count()
POD = PodDirectory(names.retry_dir("u-1", "preview", 1, 0, 0), "preview", 1, 0, 0)


class Store:
    """A store in this process' memory, and the gateway's look at it."""

    def __init__(self) -> None:
        self.url = f"memory://bucket-{next(NUMBERS)}/prefix"
        self.fs: Any = fsspec.filesystem("memory")
        self.files = StoreFiles(self.url)

    def put(self, path: str, data: bytes = b"data") -> None:
        self.fs.pipe_file(f"{self.url}/{path}", data)


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.fs.store.clear()


def test_a_part_of_a_file_is_read(store: Store) -> None:
    store.put("runs/u-1/preview/1/0/0/artifacts/a.png", b"0123456789")
    with store.files.open("u-1", "runs/u-1/preview/1/0/0/artifacts/a.png") as file:
        assert (file.size, file.read(2, 3), file.read(8, 100), file.read(10, 1)) == (10, b"234", b"89", b"")
        before = file.now()
        store.put("runs/u-1/preview/1/0/0/artifacts/a.png", b"9876543210")
        assert file.now() != before, "a file written over is another one, though of the same size"


@pytest.mark.parametrize(
    "path",
    ["runs/u-2/run.json", "runs/u-1/../u-2/run.json", "/runs/u-1/run.json", "runs/u-1", "runs/u-1//run.json",
     "cache/hub/model", "runs/u-1/none", "runs/u-1/preview"],
)  # fmt: skip
def test_nothing_but_an_object_below_the_runs_own_directory_is_read(path: str, store: Store) -> None:
    for there in ("runs/u-1/run.json", "runs/u-1/preview/x", "runs/u-2/run.json", "cache/hub/model"):
        store.put(there)
    with pytest.raises(NotThere), store.files.open("u-1", path):
        pass


def test_runs_and_their_pods_are_found_by_listing(store: Store) -> None:
    assert store.files.runs() == []
    for pod in ("preview/1/0/0", "preview/1/0/1", "preview/2/3/0"):
        store.put(f"runs/u-1/{pod}/manifest.json")
    store.put("runs/u-1/preview/checkpoints/state/step-1/x")
    store.put("runs/u-2/run.json")
    assert store.files.runs() == ["u-1", "u-2"]
    assert [pod.path.removeprefix("runs/u-1/") for pod in store.files.pods("u-1")] == [
        "preview/1/0/0", "preview/1/0/1", "preview/2/3/0",
    ]  # fmt: skip


def test_segments_are_read_in_order_and_each_only_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(f"{POD.path}/{names.segment_file(2)}", b"b\n")
    store.put(f"{POD.path}/{names.segment_file(1)}", b"a\n")
    durable = Durable(store.files, "u-1", lambda _: None)
    seen: list[bytes] = []
    monkeypatch.setattr(Durable, "_consider", lambda _self, line, _known: seen.append(line))
    durable.events(lambda _pod, _seq: False)
    assert seen == [b"a", b"b"]
    store.put(f"{POD.path}/{names.segment_file(3)}", b"c\n")
    opened: list[str] = []
    original = store.files.open
    monkeypatch.setattr(store.files, "open", lambda uid, path: (opened.append(path), original(uid, path))[1])
    durable.events(lambda _pod, _seq: False)
    assert seen == [b"a", b"b", b"c"]
    assert opened == [f"{POD.path}/{names.segment_file(3)}"]


def test_a_segment_whose_reading_broke_off_is_read_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(f"{POD.path}/{names.segment_file(1)}", b"a\nb\n")
    durable = Durable(store.files, "u-1", lambda _: None)
    seen: list[bytes] = []
    monkeypatch.setattr("diffrun_gateway.durable.CHUNK", 2)
    monkeypatch.setattr(Durable, "_consider", lambda _self, line, _known: seen.append(line))
    part = store.files.cat

    def fails(key: str, first: int, count: int) -> bytes:
        if first:
            raise OSError(5, "the store does not answer")
        return part(key, first, count)

    with monkeypatch.context() as patched:
        patched.setattr(store.files, "cat", fails)
        with pytest.raises(OSError, match="the store does not answer"):
            durable.events(lambda _pod, _seq: False)
    durable.events(lambda _pod, _seq: False)
    assert seen == [b"a", b"b"]


def test_the_final_state_is_kept_beside_files_only(store: Store) -> None:
    with pytest.raises(NotThere):
        store.files.write("u-1", "run.json", b"{}")
    store.put("runs/u-1/preview/1/0/0/manifest.json")
    store.files.write("u-1", "run.json", b"{}")
    assert store.files.read("u-1", "runs/u-1/run.json", 10) == b"{}"


def test_a_client_that_fails_is_an_os_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("connection lost")

    monkeypatch.setattr(store.files._fs, "ls", fails)
    with pytest.raises(OSError, match="the object store does not answer") as caught:
        store.files.runs()
    assert caught.value.strerror == "the object store does not answer (RuntimeError: connection lost)"


def test_a_scheme_without_a_client_is_told_at_the_start() -> None:
    with pytest.raises(OSError, match="its client is not installed"):
        StoreFiles("nosuch://bucket/x")


def test_a_workspace_is_in_one_place(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="set workspace or workspace_url"):
        Settings(workspace=tmp_path, workspace_url="s3://b/x", runs={"namespaces": ["a"]})
    assert Settings(workspace_url="s3://b/x", runs={"namespaces": ["a"]}).workspace is None
