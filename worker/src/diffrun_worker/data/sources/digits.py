"""scikit-learn's handwritten digits (Alpaydin & Kaynak 1998): 1,797 images that need no download.

Every fifth image of each class, in the order of the collection, is held out: 1,442 for training and 355 for tests.
The rule needs no random numbers, so the split is the same in every version of every library.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from diffrun_contracts.params.dataset import Dataset
from diffrun_worker.data.sources.base import Raw, Request

CLASSES = tuple("0123456789")
HELD_OUT = 5
"""One image of so many is held out."""

_BRIGHTEST = 16  # the collection's grey levels are 0 to 16


def read_digits(spec: Dataset, request: Request) -> Raw:  # noqa: ARG001 - nothing of the request concerns it
    """8×8, grey, white on black; ten classes; mirror images of digits are no digits."""
    images, labels = load_digits(return_X_y=True)
    labels = labels.astype(np.int64)
    chosen = held_out(labels) == spec.test
    pixels = np.rint(images.reshape(-1, 1, 8, 8) * (255 / _BRIGHTEST)).astype(np.uint8)  # [N, 1, 8, 8]
    return Raw(pixels[chosen], labels[chosen], CLASSES, mirror=False)


def held_out(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[N], true for every fifth image of each class."""
    test = np.zeros(len(labels), dtype=bool)
    for label in range(len(CLASSES)):
        test[np.flatnonzero(labels == label)[HELD_OUT - 1 :: HELD_OUT]] = True
    return test
