"""Samples become PNG files, off the loop's thread.

The loop hands over a batch and goes on. Threads wait for it to arrive from the device and encode it; one
more thread saves the files in the order of the samples, so that a run's artifacts come in the same order
every time. Small images are encoded and saved many at a time: what makes one durable, makes them all.
"""

import io
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from diffrun_worker.block import NewFile
from diffrun_worker.errors import PermanentError
from diffrun_worker.sampling.transfer import Arrival, begin_copy, host_buffer
from diffrun_worker.side import Gatherer

NON_FINITE_SAMPLE = "NonFiniteSample"
SAMPLE = "generated_sample"
PNG = "image/png"

_COMPRESS_LEVEL = 1  # a quarter of the default's time, files a little larger
_MAX_WAITING = 128  # images: what a slow disk may hold back, beside as many it writes, before the loop waits for it
_SAVE_SECONDS = 0.5  # between two savings: a file system makes many files durable at the price of a few
_GROUP_BYTES = 1024 * 1024  # pixels that one thread encodes at a time; a large image is a group by itself
_GROUP_IMAGES = 64

Save = Callable[[Sequence["Indexed"]], object]
"""Called with samples and their indexes, one group at a time, in the order of the samples."""


@dataclass(frozen=True)
class EncodedImage:
    """A PNG."""

    data: bytes
    width: int
    height: int


class Indexed(NamedTuple):
    """A sample's image."""

    sample: int
    """Its index."""
    image: EncodedImage
    """The PNG."""


class _Group(NamedTuple):
    """Encoded images, up to the first sample of which none can be made."""

    images: list[Indexed]
    failure: PermanentError | None


@dataclass(frozen=True)
class _HostBatch:
    pixels: Tensor  # [N, H, W, C] uint8
    finite: Tensor  # [N] bool
    arrival: Arrival


def to_bytes(samples: Tensor) -> Tensor:
    """[N, C, H, W] in [-1, 1] to uint8 of the same shape, rounded as diffusers does; what lies outside is clipped."""
    unit = (samples / 2 + 0.5).clamp(0, 1)
    return (unit * 255).round().to(torch.uint8)


def to_pixels(samples: Tensor) -> Tensor:
    """[N, C, H, W] in [-1, 1] to [N, H, W, C] uint8, as `to_bytes` rounds them."""
    return to_bytes(samples).permute(0, 2, 3, 1).contiguous()


def encode_png(pixels: NDArray[np.uint8]) -> EncodedImage:
    """One image, [H, W, C] with 1 or 3 channels."""
    height, width, channels = pixels.shape
    image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=_COMPRESS_LEVEL)
    return EncodedImage(buffer.getvalue(), width, height)


def sample_file(image: EncodedImage, index: int, **tags: str) -> NewFile:
    """What a generated sample is announced as."""
    return NewFile(image.data, SAMPLE, PNG, {**tags, "sample_index": str(index)}, image.width, image.height)


class ImageWriter:
    """Encodes and saves images beside the loop. Leaving its context waits for all and raises what failed."""

    def __init__(self, save: Save, encoders: int = 2) -> None:
        self._save = save
        self._encoders = ThreadPoolExecutor(encoders, thread_name_prefix="encode")
        self._saver: Gatherer[Future[_Group]] = Gatherer("save", self._save_groups, _SAVE_SECONDS, _MAX_WAITING)

    def __enter__(self) -> "ImageWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After a failure, what has not begun is given up; what is being written is finished.
        self._saver.close(drain=error is None)
        self._encoders.shutdown(wait=True, cancel_futures=True)
        if error is None:
            self._saver.raise_failure()

    def put(self, indexes: Sequence[int], samples: Tensor) -> None:
        """Hands over a batch, [N, C, H, W] in [-1, 1]; waits only where hundreds of images are unsaved.

        The first is saved at once, the next ones together after half a second at most. Raises what earlier batches met
        with.
        """
        batch = _to_host(samples)
        size = max(1, min(_GROUP_IMAGES, _GROUP_BYTES // batch.pixels[0].numel()))
        for first in range(0, len(indexes), size):
            rows = range(first, min(first + size, len(indexes)))
            self._saver.put(self._encoders.submit(_encode_rows, batch, rows, indexes), len(rows))

    def _save_groups(self, encoded: Sequence[Future[_Group]]) -> None:
        images: list[Indexed] = []
        failure: PermanentError | None = None
        for group in encoded:
            made, failure = group.result()
            images += made
            if failure is not None:
                break  # nothing is saved behind a gap
        if images:
            self._save(images)
        if failure is not None:
            raise failure


def _to_host(samples: Tensor) -> _HostBatch:
    pixels, finite = to_pixels(samples), torch.isfinite(samples).flatten(1).all(dim=1)
    host_pixels, host_finite = host_buffer(pixels), host_buffer(finite)
    begin_copy(host_pixels, pixels)
    begin_copy(host_finite, finite)
    return _HostBatch(host_pixels, host_finite, Arrival(samples.device))


def _encode_rows(batch: _HostBatch, rows: range, indexes: Sequence[int]) -> _Group:
    batch.arrival.wait()
    pixels, finite = batch.pixels.numpy(), batch.finite.tolist()
    images: list[Indexed] = []
    for row in rows:
        if not finite[row]:
            failure = PermanentError(
                NON_FINITE_SAMPLE,
                f"sample {indexes[row]} holds NaN or infinity: the model overflows; set dtype: float32 or bfloat16",
            )
            return _Group(images, failure)
        images.append(Indexed(indexes[row], encode_png(pixels[row])))
    return _Group(images, None)
