"""Entries appear complete or not at all, and clones share nothing that is written again."""

import os
import time
from collections import namedtuple
from pathlib import Path

import pytest

from diffrun_devcluster import cache
from diffrun_devcluster.errors import NoDiskError
from diffrun_devcluster.settings import Layout


@pytest.fixture
def place(tmp_path: Path) -> Layout:
    return Layout(repo=tmp_path, cache=tmp_path / "cache")


def test_an_entry_is_built_once(place: Layout) -> None:
    built = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "file").write_text("content")

    first = cache.entry(place, "thing-1", build)
    second = cache.entry(place, "thing-1", build)
    assert first == second
    assert (first / "file").read_text() == "content"
    assert len(built) == 1


def test_a_failed_build_leaves_no_entry_and_no_rubbish(place: Layout) -> None:
    def build(folder: Path) -> None:
        (folder / "half").write_text("done")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        cache.entry(place, "thing-1", build)
    assert not (place.cache / "thing-1").exists()
    assert list(place.temporary.iterdir()) == []


def test_what_a_killed_build_left_goes_at_the_next_start(place: Layout) -> None:
    (place.temporary / "killed").mkdir(parents=True)
    with cache.locked(place, lambda _: None):
        assert not place.temporary.exists()


def test_stores_that_nobody_used_for_two_weeks_go(place: Layout) -> None:
    for name, days in (("store-old", 15), ("store-new", 1), ("tools-old", 15)):
        (place.cache / name).mkdir(parents=True)
        os.utime(place.cache / name, (0, time.time() - days * 24 * 3600))
    cache.prune(place)
    assert {path.name for path in place.cache.iterdir()} == {"store-new", "tools-old"}


def test_a_clone_links_content_and_copies_databases(tmp_path: Path) -> None:
    store = tmp_path / "store"
    (store / "content").mkdir(parents=True)
    (store / "content" / "blob").write_text("never written again")
    (store / "bolt").mkdir()
    (store / "bolt" / "meta.db").write_text("before")
    clone = tmp_path / "clone"
    cache.clone_by_links(store, clone)
    assert (clone / "content" / "blob").samefile(store / "content" / "blob")
    (clone / "bolt" / "meta.db").write_text("after")
    assert (store / "bolt" / "meta.db").read_text() == "before"


def test_too_little_disk_says_how_much_is_there_and_needed(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(0, 0, 3 << 30))
    with pytest.raises(NoDiskError, match=r"has 3\.0 GiB free, and 30 GiB are needed"):
        cache.need_disk(place, 30 << 30)
