"""Which files of a folder are samples, and their pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffrun_contracts.events import Artifact, Manifest
from diffrun_contracts.task import RunRef
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.evaluation.generated import ImageFiles, find_images
from diffrun_worker.workspace import Workspace

RUN = RunRef(namespace="local", name="run", uid="u")


def pod(workspace: Workspace, attempt: int, shard: int, retry: int, indexes: range, block: str = "full") -> None:
    """What a pod of a generation block leaves, a grid included."""
    folder = f"runs/u/{block}/{attempt}/{shard}/{retry}"
    artifacts = [
        Artifact(
            id=f"{block}-{attempt}-{shard}-{retry}-{index}",
            path=f"{folder}/artifacts/{index:03d}.png",
            schema_type="generated_sample" if index >= 0 else "sample_grid",
            content_type="image/png",
            tags={"sample_index": str(index)} if index >= 0 else {},
            sha256="0" * 64,
            size=1,
        )
        for index in (-1, *indexes)
    ]
    for artifact in artifacts:
        workspace.write(artifact.path, b"png")
    manifest = Manifest(run=RUN, block=block, attempt=attempt, shard=shard, retry=retry, artifacts=tuple(artifacts))
    workspace.write(f"{folder}/manifest.json", manifest.to_json().encode())


def found(workspace: Workspace, folder: str) -> list[str]:
    return [workspace.relative(path) for path in find_images(workspace, folder)]


def test_each_sample_counts_once_by_its_newest_attempt_and_retry(workspace: Workspace) -> None:
    pod(workspace, attempt=1, shard=0, retry=0, indexes=range(0, 3))
    pod(workspace, attempt=2, shard=0, retry=0, indexes=range(0, 2))
    pod(workspace, attempt=2, shard=0, retry=1, indexes=range(0, 3))
    pod(workspace, attempt=2, shard=1, retry=0, indexes=range(3, 12))
    first = [f"runs/u/full/2/0/1/artifacts/{index:03d}.png" for index in range(3)]
    second = [f"runs/u/full/2/1/0/artifacts/{index:03d}.png" for index in range(3, 12)]
    assert found(workspace, "runs/u/full") == first + second


def test_blocks_of_one_run_do_not_shadow_each_other(workspace: Workspace) -> None:
    pod(workspace, 1, 0, 0, range(2), block="full")
    pod(workspace, 1, 0, 0, range(2), block="preview")
    assert len(found(workspace, "runs/u")) == 4


def test_elsewhere_every_image_counts_in_the_order_of_the_paths(workspace: Workspace) -> None:
    for name in ("b/2.PNG", "b/1.jpg", "a.webp", "notes.txt", ".hidden.png", "c/.tmp.png"):
        workspace.write(f"images/{name}", b"x")
    assert found(workspace, "images") == ["images/a.webp", "images/b/1.jpg", "images/b/2.PNG"]


def test_a_folder_without_samples_is_an_error_that_says_why(workspace: Workspace) -> None:
    pod(workspace, 1, 0, 0, range(0))
    workspace.write("empty/readme.txt", b"x")
    for folder, names in (("runs", "name no generated_sample"), ("empty", "has no .png"), ("none", "is no folder")):
        with pytest.raises(PermanentError, match=names) as caught:
            find_images(workspace, folder)
        assert caught.value.code == ErrorCode.NO_IMAGES
    workspace.write("runs/u/full/1/0/0/manifest.json", b"{")
    with pytest.raises(PermanentError, match=r"runs/u/full/1/0/0/manifest.json is damaged"):
        find_images(workspace, "runs")


def test_a_link_out_of_the_workspace_is_refused(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.png"
    outside.write_bytes(b"x")
    (workspace.root / "images").mkdir()
    (workspace.root / "images" / "link.png").symlink_to(outside)
    with pytest.raises(PermanentError) as caught:
        find_images(workspace, "images")
    assert caught.value.code == ErrorCode.PATH_OUTSIDE_WORKSPACE


def save(path: Path, pixels: np.ndarray, mode: str | None = None) -> Path:
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(path)
    return path


def test_pixels_come_back_as_they_were_written(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(256, size=(5, 4, 6, 3), dtype=np.uint8)
    files = ImageFiles([save(tmp_path / f"{index}.png", pixels) for index, pixels in enumerate(colour)])
    assert (len(files), files.shape) == (5, (3, 4, 6))
    assert torch.equal(files.batch(range(1, 4)), torch.from_numpy(colour[1:4]).permute(0, 3, 1, 2))


def test_grey_stays_grey_and_a_palette_becomes_colour(tmp_path: Path) -> None:
    pixels = np.arange(16, dtype=np.uint8).reshape(4, 4)
    assert ImageFiles([save(tmp_path / "grey.png", pixels)]).shape == (1, 4, 4)
    assert ImageFiles([save(tmp_path / "palette.png", pixels, "P")]).shape == (3, 4, 4)


def test_images_of_another_size_and_broken_ones_are_named(tmp_path: Path) -> None:
    good, small = np.zeros((4, 4), dtype=np.uint8), np.zeros((2, 4), dtype=np.uint8)
    broken = tmp_path / "broken.png"
    broken.write_bytes(save(tmp_path / "good.png", good).read_bytes()[:40])
    files = ImageFiles([tmp_path / "good.png", save(tmp_path / "small.png", small), broken])
    with pytest.raises(PermanentError, match=r"small.png has shape \[1, 2, 4\], good.png has \[1, 4, 4\]"):
        files.batch(range(2))
    with pytest.raises(PermanentError, match=r"broken.png does not decode") as caught:
        files.batch(range(2, 3))
    assert caught.value.code == ErrorCode.NO_IMAGES
