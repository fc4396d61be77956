"""EMNIST's idx files: orientation, classes, both packings, and every way that they may be broken."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from diffrun_contracts.params.dataset import Dataset, Emnist
from diffrun_worker.data import Images, load_images
from diffrun_worker.data.sources.emnist import CLASSES
from diffrun_worker.errors import PermanentError
from diffrun_worker.workspace import Workspace


def idx(array: NDArray[np.uint8]) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def an_l() -> NDArray[np.uint8]:
    """An upright L, 28×28: a long stroke down the left, a short one to the right at the bottom."""
    image = np.zeros((28, 28), dtype=np.uint8)
    image[4:24, 8] = 255
    image[23, 8:16] = 255
    return image


def stored(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As EMNIST stores them: column by column."""
    return images.transpose(0, 2, 1)


def write(folder: Path, split: str, part: str, images: bytes, labels: bytes, *, packed: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"emnist-{split}-{part}"
    for name, data in ((f"{stem}-images-idx3-ubyte", images), (f"{stem}-labels-idx1-ubyte", labels)):
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(data) if packed else data)


def load(root: Path, split: str = "byclass", **fields: object) -> Images:
    spec = Dataset.model_validate({"emnist": {"path": "emnist", "split": split}, **fields})
    return load_images(spec, Workspace(str(root)))


def refused(root: Path, split: str = "byclass") -> tuple[str, str]:
    with pytest.raises(PermanentError) as caught:
        load(root, split)
    return caught.value.code, caught.value.message


@pytest.mark.parametrize("packed", [False, True], ids=["idx", "idx.gz"])
def test_an_l_stands_upright_and_is_called_l(tmp_path: Path, packed: bool) -> None:
    labels = np.array([21], dtype=np.uint8)
    write(tmp_path / "emnist", "byclass", "train", idx(stored(an_l()[None])), idx(labels), packed=packed)
    images = load(tmp_path)
    assert np.array_equal(images.pixels[0, 0].numpy(), an_l())
    assert [images.classes[label] for label in images.require_labels()] == ["L"]
    assert (images.flip, images.pixels.is_contiguous()) == (False, True)


@pytest.mark.parametrize(
    ("split", "count", "label", "name"),
    [
        ("byclass", 62, 61, "z"),
        ("byclass", 62, 36, "a"),
        ("bymerge", 47, 46, "t"),
        ("bymerge", 47, 38, "d"),
        ("balanced", 47, 40, "f"),
        ("letters", 26, 1, "A"),
        ("letters", 26, 26, "Z"),
        ("digits", 10, 9, "9"),
        ("mnist", 10, 0, "0"),
    ],
)
def test_labels_have_the_names_of_their_split(tmp_path: Path, split: str, count: int, label: int, name: str) -> None:
    assert len(CLASSES[split]) == len(set(CLASSES[split])) == count
    labels = np.array([label], dtype=np.uint8)
    write(tmp_path / "emnist", split, "train", idx(stored(an_l()[None])), idx(labels), packed=False)
    images = load(tmp_path, split)
    assert images.classes[int(images.require_labels()[0])] == name


def test_the_test_part_is_in_files_of_its_own(tmp_path: Path) -> None:
    labels = np.array([0], dtype=np.uint8)
    write(tmp_path / "emnist", "digits", "train", idx(stored(an_l()[None])), idx(labels), packed=False)
    write(
        tmp_path / "emnist", "digits", "test", idx(np.zeros((2, 28, 28), np.uint8)), idx(labels.repeat(2)), packed=True
    )
    assert (len(load(tmp_path, "digits")), len(load(tmp_path, "digits", test=True))) == (1, 2)


def test_a_missing_folder_is_told_with_the_files_that_belong_there(tmp_path: Path) -> None:
    assert refused(tmp_path, "letters") == (
        "DatasetNotFound",
        "data.emnist.path: emnist does not exist in the workspace; expected a folder with "
        "emnist-letters-train-images-idx3-ubyte[.gz] and emnist-letters-train-labels-idx1-ubyte[.gz]",
    )


def test_files_of_another_split_are_told_apart(tmp_path: Path) -> None:
    labels = idx(np.array([0], dtype=np.uint8))
    write(tmp_path / "emnist", "digits", "train", idx(stored(an_l()[None])), labels, packed=False)
    assert refused(tmp_path, "mnist") == (
        "DatasetNotFound",
        "data.emnist.path: emnist lacks emnist-mnist-train-images-idx3-ubyte[.gz], "
        "emnist-mnist-train-labels-idx1-ubyte[.gz]; it holds emnist-digits-train-images-idx3-ubyte, "
        "emnist-digits-train-labels-idx1-ubyte; unpack gzip.zip of EMNIST's distribution there",
    )


def test_a_split_that_emnist_does_not_have_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    spec = Dataset.model_construct(emnist=Emnist.model_construct(path="emnist", split="greek"))
    with pytest.raises(PermanentError) as caught:
        load_images(spec, Workspace(str(tmp_path)))
    assert (caught.value.code, caught.value.message) == (
        "InvalidParams",
        "data.emnist.split: 'greek' is none of EMNIST's; use byclass, bymerge, balanced, letters, digits, mnist",
    )


IMAGES, ONE = idx(stored(an_l()[None])), idx(np.array([1], dtype=np.uint8))
BROKEN = {
    "truncated": (IMAGES[:-5], ONE, "images-idx3-ubyte has 779 bytes of data, its header says 784"),
    "too-long": (IMAGES + b"\0", ONE, "images-idx3-ubyte has 785 bytes of data, its header says 784"),
    "half-a-header": (IMAGES[:10], ONE, "images-idx3-ubyte does not begin as an idx file of 3-dimensional bytes does"),
    "exchanged": (ONE, IMAGES, "images-idx3-ubyte does not begin as an idx file of 3-dimensional bytes does"),
    "uneven": (
        IMAGES,
        idx(np.array([1, 2], dtype=np.uint8)),
        "images-idx3-ubyte has 1 images, emnist-digits-train-labels-idx1-ubyte has 2 labels",
    ),
    "no-images": (
        idx(np.zeros((0, 28, 28), np.uint8)),
        idx(np.zeros(0, np.uint8)),
        "images-idx3-ubyte has the shape [0, 28, 28], EMNIST's are [N, 28, 28]",
    ),
    "not-square": (idx(np.zeros((1, 28, 20), np.uint8)), ONE, "images-idx3-ubyte has the shape [1, 28, 20]"),
    "labels-of-another-split": (
        IMAGES,
        idx(np.array([10], dtype=np.uint8)),
        "labels-idx1-ubyte has labels from 10 to 10, digits has 0 to 9",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_file_is_told_by_name(tmp_path: Path, broken: str) -> None:
    images, labels, words = BROKEN[broken]
    write(tmp_path / "emnist", "digits", "train", images, labels, packed=False)
    code, message = refused(tmp_path, "digits")
    assert code == "CorruptDataset"
    assert message.startswith(f"data.emnist.path: emnist-digits-train-{words}")


def test_letters_begin_at_one_and_zero_is_no_letter(tmp_path: Path) -> None:
    write(tmp_path / "emnist", "letters", "train", IMAGES, idx(np.array([0], dtype=np.uint8)), packed=False)
    _, message = refused(tmp_path, "letters")
    assert "has labels from 0 to 0, letters has 1 to 26" in message


@pytest.mark.parametrize("damage", ["cut", "flipped", "not-gzip"])
def test_a_packed_file_that_does_not_unpack_is_told_by_name(tmp_path: Path, damage: str) -> None:
    write(tmp_path / "emnist", "digits", "train", IMAGES, ONE, packed=True)
    path = tmp_path / "emnist" / "emnist-digits-train-images-idx3-ubyte.gz"
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes({"cut": path.read_bytes()[:-9], "flipped": bytes(data), "not-gzip": b"<html>"}[damage])
    code, message = refused(tmp_path, "digits")
    assert (code, message.split(" (")[0]) == ("CorruptDataset", f"data.emnist.path: {path.name} does not unpack")
