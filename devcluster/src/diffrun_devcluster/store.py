"""Content stores: what containerd of a new node finds unpacked at its start.

A store is built in stages, each a clone by hard links of the one before plus some images, so that a new
lock file rebuilds the last stage alone. The compressed layers are dropped after unpacking: containerd
asks for them no more. A cluster gets a clone of the last stage mounted at /var/lib/containerd, in a second
and whatever the size, where a layer of the node image would be copied into the node's volume.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diffrun_devcluster import cache, podman
from diffrun_devcluster.commands import run
from diffrun_devcluster.progress import Progress
from diffrun_devcluster.settings import Layout, key_of


@dataclass(frozen=True)
class Stage:
    """One set of images: what it depends on, and how to write their archives (and notes) into a folder."""

    title: str
    key: str
    expected: float
    disk: int
    write: Callable[[Path], list[Path]]


def name_of(stages: list[Stage]) -> str:
    """The cache entry of a list of stages."""
    return f"store-{key_of([stage.key for stage in stages])}"


def ensure(layout: Layout, node_image: str, stages: list[Stage], progress: Progress) -> Path:
    """The store of these stages: `containerd` is its root, `notes` what the stages wrote beside it."""
    stage = stages[-1]
    finished = (layout.cache / name_of(stages)).exists()
    before = ensure(layout, node_image, stages[:-1], progress) if len(stages) > 1 and not finished else None

    def build(folder: Path) -> None:
        cache.need_disk(layout, stage.disk)
        if before is None:
            (folder / "containerd").mkdir()
            (folder / "notes").mkdir()
        else:
            cache.clone_by_links(before / "containerd", folder / "containerd")
            cache.clone_by_links(before / "notes", folder / "notes")
        with cache.scratch(layout, "archives") as archives:
            with progress.step(f"Build {stage.title}", stage.expected):
                written = stage.write(archives)
            for note in archives.glob("*.json"):
                note.rename(folder / "notes" / note.name)
            with progress.step(f"Unpack {stage.title} for the node", stage.expected / 3):
                _bake(layout, node_image, folder / "containerd", written)

    return cache.entry(layout, name_of(stages), build)


def _bake(layout: Layout, node_image: str, store: Path, archives: list[Path]) -> None:
    folder = archives[0].parent
    run(
        [
            "podman",
            "run",
            "--rm",
            "--privileged",
            "--network",
            "none",
            "--tmpfs",
            "/run",
            f"--volume={store}:/var/lib/containerd",
            f"--volume={folder}:/archives:ro",
            "--entrypoint",
            "/usr/local/bin/bake",
            node_image,
            *[f"/archives/{archive.name}" for archive in archives],
        ],
        env=podman.environment(layout),
    )
