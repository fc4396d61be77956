"""CIFAR-10 (Krizhevsky 2009) from its binary distribution, `cifar-10-binary.tar.gz`.

A file is a sequence of records of 3,073 bytes: the label, then 1,024 bytes each of red, green and blue in row order.
The Python distribution of the same images is a pickle, and is never read.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffrun_contracts.params.dataset import Dataset
from diffrun_worker.data.sources.base import Raw, Request
from diffrun_worker.data.sources.files import corrupt, not_found, require_folder

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILES = ("test_batch.bin",)
SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32
"""Bytes of an image and its label."""

_FIELD = "data.cifar10.path"
_EXPECTED = "data_batch_1.bin … data_batch_5.bin and test_batch.bin, each 10,000 records of 3,073 bytes"
_REMEDY = "unpack cifar-10-binary.tar.gz and name its folder cifar-10-batches-bin"


def read_cifar10(spec: Dataset, request: Request) -> Raw:
    """50,000 images for training and 10,000 for tests, RGB, 32×32; a mirrored one is still of its class."""
    assert spec.cifar10 is not None  # noqa: S101 - the registry chose by this field
    folder = require_folder(request.workspace, _FIELD, spec.cifar10.path, _EXPECTED)
    names = TEST_FILES if spec.test else TRAIN_FILES
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise not_found(_FIELD, folder, missing, _REMEDY)
    records = []
    for done, name in enumerate(names, start=1):
        request.check()
        records.append(_records(folder / name))
        request.progress(done, len(names))
    rows = np.concatenate(records)
    pixels = rows[:, 1:].reshape(-1, *SHAPE)  # [N, 3, 32, 32]
    return Raw(np.ascontiguousarray(pixels), rows[:, 0].astype(np.int64), CLASSES, mirror=True)


def _records(path: Path) -> NDArray[np.uint8]:
    """[N, 3073]."""
    data = np.fromfile(path, dtype=np.uint8)
    if len(data) == 0 or len(data) % RECORD:
        problem = f"has {len(data)} bytes, which are not whole records of {RECORD}"
        raise corrupt(_FIELD, path.name, problem, "it is truncated or another file: fetch it again")
    rows = data.reshape(-1, RECORD)
    worst = int(rows[:, 0].max())
    if worst >= len(CLASSES):
        raise corrupt(_FIELD, path.name, f"has a label {worst}, the largest is 9", "it is no CIFAR-10: fetch it again")
    return rows
