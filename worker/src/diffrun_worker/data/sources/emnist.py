"""EMNIST (Cohen et al. 2017) from its idx files, `gzip.zip` of the distribution, packed or not.

An idx file is big-endian: two zero bytes, the type (8 is uint8), the number of dimensions, each dimension as uint32,
then the bytes. EMNIST stores its images with rows and columns exchanged; here they stand upright.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, digits

import numpy as np
from numpy.typing import NDArray

from diffrun_contracts.params.dataset import Dataset
from diffrun_worker.data.sources.base import Raw, Request
from diffrun_worker.data.sources.files import corrupt, not_found, require_folder
from diffrun_worker.errors import invalid_params

# Lower-case letters that look like their capitals share a class with them (Cohen et al. 2017, section III).
_MERGED = frozenset("cijklmopsuvwxyz")
_MERGED_CLASSES = tuple(digits + ascii_uppercase) + tuple(c for c in ascii_lowercase if c not in _MERGED)

CLASSES: dict[str, tuple[str, ...]] = {
    "byclass": tuple(digits + ascii_uppercase + ascii_lowercase),
    "bymerge": _MERGED_CLASSES,
    "balanced": _MERGED_CLASSES,
    "letters": tuple(ascii_uppercase),
    "digits": tuple(digits),
    "mnist": tuple(digits),
}
"""Class names of each split, in the order of its labels. A letter of `letters` is capital and small at once."""

_FIRST_LABEL = {"letters": 1}  # all others count from 0
_UINT8 = 8
_FIELD = "data.emnist.path"
_AGAIN = "unpack gzip.zip of EMNIST's distribution again"


def read_emnist(spec: Dataset, request: Request) -> Raw:
    """Grey, 28×28, white on black; mirror images of characters are no characters."""
    assert spec.emnist is not None  # noqa: S101 - the registry chose by this field
    split = spec.emnist.split
    if split not in CLASSES:
        raise invalid_params(f"data.emnist.split: {split!r} is none of EMNIST's; use {', '.join(CLASSES)}")
    stem = f"emnist-{split}-{'test' if spec.test else 'train'}"
    names = (f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte")
    folder = require_folder(request.workspace, _FIELD, spec.emnist.path, f"{names[0]}[.gz] and {names[1]}[.gz]")
    files = [_find(folder, name) for name in names]
    missing = [f"{name}[.gz]" for name, file in zip(names, files, strict=True) if file is None]
    if missing:
        raise not_found(_FIELD, folder, missing, "unpack gzip.zip of EMNIST's distribution there")
    arrays = []
    for file, dimensions in zip(files, (3, 1), strict=True):
        request.check()
        assert file is not None  # noqa: S101 - what is missing was told above
        arrays.append(read_idx(file, dimensions))
        request.progress(len(arrays), len(files))
    return _as_images(arrays[0], arrays[1], split, names)


def _find(folder: Path, name: str) -> Path | None:
    """The file, unpacked before packed."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _as_images(images: NDArray[np.uint8], labels: NDArray[np.uint8], split: str, names: tuple[str, str]) -> Raw:
    if len(images) != len(labels):
        raise corrupt(_FIELD, names[0], f"has {len(images)} images, {names[1]} has {len(labels)} labels", _AGAIN)
    if len(images) == 0 or images.shape[1] != images.shape[2]:
        raise corrupt(_FIELD, names[0], f"has the shape {list(images.shape)}, EMNIST's are [N, 28, 28]", _AGAIN)
    classes, first = CLASSES[split], _FIRST_LABEL.get(split, 0)
    low, high = int(labels.min()), int(labels.max())
    if low < first or high >= first + len(classes):
        problem = f"has labels from {low} to {high}, {split} has {first} to {first + len(classes) - 1}"
        raise corrupt(_FIELD, names[1], problem, "use the files of that split")
    upright = np.ascontiguousarray(images.transpose(0, 2, 1)[:, None])  # [N, 1, H, W]
    return Raw(upright, labels.astype(np.int64) - first, classes, mirror=False)


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array in an idx file of uint8, `dimensions` of them.

    Raises PermanentError `CorruptDataset` for another header, or more or fewer bytes than the header says.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise corrupt(_FIELD, path.name, f"does not unpack ({error})", _AGAIN) from error
    start = 4 + 4 * dimensions
    if len(data) < start or data[:4] != bytes((0, 0, _UINT8, dimensions)):
        raise corrupt(
            _FIELD, path.name, f"does not begin as an idx file of {dimensions}-dimensional bytes does", _AGAIN
        )
    shape = struct.unpack(f">{dimensions}I", data[4:start])
    if len(data) - start != math.prod(shape):
        problem = f"has {len(data) - start} bytes of data, its header says {math.prod(shape)}"
        raise corrupt(_FIELD, path.name, problem, _AGAIN)
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
