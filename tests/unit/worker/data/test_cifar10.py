"""CIFAR-10's binary files: their layout, and every way that they may be missing or broken."""

from pathlib import Path

import numpy as np
import pytest
import torch

from diffrun_contracts.params.dataset import Dataset
from diffrun_worker.data import Images, load_images
from diffrun_worker.errors import PermanentError
from diffrun_worker.workspace import Workspace

BATCHES = [f"data_batch_{number}.bin" for number in range(1, 6)]


def record(label: int, red: int, green: int, blue: int) -> bytes:
    """One image of one colour, but for its first pixel, which is black, and its second, which is white."""
    planes = [bytes([0, 255]) + bytes([value]) * 1022 for value in (red, green, blue)]
    return bytes([label]) + b"".join(planes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "cifar"
    folder.mkdir(parents=True)
    for number, name in enumerate(BATCHES):
        (folder / name).write_bytes(record(number, 10 * number, 1, 2) + record(9, 3, 4, 5))
    (folder / "test_batch.bin").write_bytes(record(6, 7, 8, 9))
    return folder


def load(folder: Path, **fields: object) -> Images:
    spec = Dataset.model_validate({"cifar10": {"path": "data/cifar"}, **fields})
    return load_images(spec, Workspace(str(folder.parent.parent)))


def refused(folder: Path) -> tuple[str, str]:
    with pytest.raises(PermanentError) as caught:
        load(folder)
    return caught.value.code, caught.value.message


def test_the_five_batches_are_read_in_order_with_their_planes_and_labels(folder: Path) -> None:
    images = load(folder)
    assert images.pixels.shape == (10, 3, 32, 32)
    assert images.require_labels().tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    assert images.pixels[4, :, 0, :3].T.tolist() == [[0, 0, 0], [255, 255, 255], [20, 1, 2]], "rows run to the right"
    assert images.classes[:2] == ("airplane", "automobile")
    assert (images.flip, images.name, images.pixels.is_contiguous()) == (True, "cifar10", True)


def test_the_test_part_is_the_test_batch_alone(folder: Path) -> None:
    images = load(folder, test=True)
    assert (len(images), images.pixels[0, :, 5, 5].tolist()) == (1, [7, 8, 9])


def test_images_take_the_size_that_is_asked_for(folder: Path) -> None:
    assert load(folder, imageSize=64).shape == (3, 64, 64)


@pytest.mark.parametrize("at", [0, 100], ids=["label", "pixel"])
def test_the_digest_tells_one_changed_byte(folder: Path, at: int) -> None:
    before = load(folder).digest
    data = bytearray((folder / BATCHES[2]).read_bytes())
    data[at] ^= 1
    (folder / BATCHES[2]).write_bytes(data)
    assert load(folder).digest != before


def test_progress_is_told_by_the_file(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    spec = Dataset.model_validate({"cifar10": {"path": "data/cifar"}})
    load_images(spec, Workspace(str(folder.parent.parent)), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_a_missing_folder_is_told_with_what_belongs_there(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    assert refused(folder) == (
        "DatasetNotFound",
        "data.cifar10.path: data/cifar does not exist in the workspace; expected a folder with data_batch_1.bin … "
        "data_batch_5.bin and test_batch.bin, each 10,000 records of 3,073 bytes",
    )


def test_missing_files_are_told_by_name_beside_what_is_there(folder: Path) -> None:
    for name in (*BATCHES, "test_batch.bin"):
        (folder / name).unlink()
    (folder / "cifar-10-batches-bin").mkdir()
    assert refused(folder) == (
        "DatasetNotFound",
        "data.cifar10.path: cifar lacks data_batch_1.bin, data_batch_2.bin, data_batch_3.bin, data_batch_4.bin, "
        "data_batch_5.bin; it holds cifar-10-batches-bin/; unpack cifar-10-binary.tar.gz and name its folder "
        "cifar-10-batches-bin",
    )


@pytest.mark.parametrize("data", [b"", record(0, 1, 2, 3)[:-1]], ids=["empty", "truncated"])
def test_a_file_without_whole_records_is_told_with_its_size(folder: Path, data: bytes) -> None:
    (folder / BATCHES[1]).write_bytes(data)
    assert refused(folder) == (
        "CorruptDataset",
        f"data.cifar10.path: data_batch_2.bin has {len(data)} bytes, which are not whole records of 3073; "
        "it is truncated or another file: fetch it again",
    )


def test_a_label_beyond_the_classes_is_told(folder: Path) -> None:
    (folder / BATCHES[4]).write_bytes(record(10, 1, 2, 3))
    assert refused(folder) == (
        "CorruptDataset",
        "data.cifar10.path: data_batch_5.bin has a label 10, the largest is 9; it is no CIFAR-10: fetch it again",
    )


def test_every_byte_of_an_image_is_where_the_format_says(folder: Path) -> None:
    planes = np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)
    (folder / "test_batch.bin").write_bytes(b"\x03" + planes.tobytes())
    assert torch.equal(load(folder, test=True).pixels[0], torch.from_numpy(planes))
