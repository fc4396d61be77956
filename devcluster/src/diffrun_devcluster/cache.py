"""The cache: entries named by the content of their recipe, built aside and renamed when complete.

An interrupted build leaves only files below `tmp`, which the next start removes; a finished entry is
never changed, so that checkouts of different versions share one cache.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from diffrun_devcluster.errors import NoDiskError
from diffrun_devcluster.settings import Layout

_UNUSED_SECONDS = 14 * 24 * 3600.0


@contextmanager
def locked(layout: Layout, announce: Callable[[str], None]) -> Iterator[None]:
    """Hold the one lock of the cache and the cluster; it goes with the process, however that ends."""
    layout.cache.mkdir(parents=True, exist_ok=True)
    with (layout.cache / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            announce("Another command is at work on this cluster: waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        discard(layout.temporary)
        yield


@contextmanager
def scratch(layout: Layout, name: str) -> Iterator[Path]:
    """A folder for an unfinished build."""
    layout.temporary.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=layout.temporary))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        discard(folder)


def entry(layout: Layout, name: str, build: Callable[[Path], None]) -> Path:
    """The cache's entry of this name, built first where it is missing: `build` fills an empty folder."""
    final = layout.cache / name
    if final.exists():
        os.utime(final)
        return final
    with scratch(layout, name) as folder:
        content = folder / "entry"
        content.mkdir()
        build(content)
        content.rename(final)
    return final


def prune(layout: Layout) -> None:
    """Remove content stores that no checkout has used for two weeks: each can hold 6 GB of its own."""
    for store in layout.cache.glob("store-*"):
        if store.stat().st_mtime < time.time() - _UNUSED_SECONDS:
            discard(store)


def need_disk(layout: Layout, needed: int) -> None:
    """Raise NoDiskError unless so many bytes are free where the cache is."""
    layout.cache.mkdir(parents=True, exist_ok=True)
    there = shutil.disk_usage(layout.cache).free
    if there < needed:
        raise NoDiskError(layout.cache, needed, there)


def discard(folder: Path) -> None:
    """Remove a folder, and before that what a killed build may have left mounted in it."""
    if not folder.exists():
        return
    unmount_below(folder)
    shutil.rmtree(folder)


def unmount_below(folder: Path) -> None:
    """Unmount everything at or below a folder, the innermost first."""
    prefix = f"{folder}/"
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        where = line.split()[1].replace("\\040", " ")
        if where == str(folder) or where.startswith(prefix):
            subprocess.run(["umount", "-l", where], check=False, capture_output=True)


def clone_by_links(source: Path, target: Path) -> None:
    """Copy a content store in a second: hard links for what is never written again, databases for real."""
    subprocess.run(["cp", "-al", str(source), str(target)], check=True)
    for database in target.glob("*/*.db"):
        copy = database.with_suffix(".copy")
        shutil.copy2(database, copy)
        copy.replace(database)
