"""What is kept of each sample's way from noise to image, written beside the loop.

The loop's thread only starts a copy from the device and hands it over. One thread writes frames, deltas and latents;
one more encodes videos, of whole batches (`reels.py`). What waits is bounded in bytes: a disk that is too slow makes
the loop wait instead of filling the memory, and what a shard holds does not grow with the number of its samples.
"""

import io
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from diffrun_contracts.params.infer import CaptureConfig, FrameFormat, VideoConfig
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.inference.output import DELTAS, FRAMES, LATENTS, VIDEOS, Names
from diffrun_worker.inference.reels import OnVideos, Reels, check_batch
from diffrun_worker.inference.result import FrameData
from diffrun_worker.inference.tensors import npy_bytes, serialize, to_numpy
from diffrun_worker.inference.video import Geometry, VideoEncoder
from diffrun_worker.sampling.images import encode_png, to_pixels
from diffrun_worker.sampling.transfer import Arrival, begin_copy, host_buffer
from diffrun_worker.side import Lane
from diffrun_worker.workspace import DISK_FULL_ERRNOS

MAX_PENDING_BYTES = 256 * 2**20
"""What may wait to be written before the loop waits for the disk."""

GATHER_BYTES = 4 * 2**20
"""What is handed over at once, unless a batch ends before: where every core denoises, each waking of another thread
makes all of them wait."""

_JPEG_QUALITY = 95


@dataclass(frozen=True)
class _Step:
    """One step of a batch on its way to the host."""

    indexes: Sequence[int]
    t: int
    t_index: int
    total_steps: int
    pixels: Tensor | None  # [N, H, W, C] uint8
    delta: Tensor | None  # [N, C, H, W]
    latent: Tensor | None  # [N, C, H, W]
    arrival: Arrival

    @property
    def size(self) -> int:
        tensors = (self.pixels, self.delta, self.latent)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors if tensor is not None)


class Capture:
    """The files of one shard's samples: give `record` to the loop as its callback.

    Leaving its context waits for all files, and raises what failed; after an exception, what waits is given up.
    """

    def __init__(
        self,
        folder: Path,
        names: Names,
        config: CaptureConfig,
        video: VideoConfig,
        shape: tuple[int, int, int],
        *,
        scratch: str = ".encoding",
        on_videos: OnVideos | None = None,
        max_pending: int = MAX_PENDING_BYTES,
    ) -> None:
        """`folder` is the class's own; `shape` one sample's channels, height and width; `scratch` this shard's own.

        Raises PermanentError `FfmpegMissing` where videos are asked for and cannot be made.
        """
        channels, height, width = shape
        self._folder = folder
        self._names = names
        self._config = config
        self._encode = _png if config.frame_format is FrameFormat.PNG else _jpg
        self._reels = None
        if config.save_video:
            encoder = VideoEncoder(folder / VIDEOS, Geometry(height, width, channels), video.fps, scratch)
            self._reels = Reels(encoder, names.video, on_videos)
        kept = ((FRAMES, config.save_frames), (DELTAS, config.save_deltas), (LATENTS, config.save_latents))
        for name, wanted in kept:
            if wanted:
                (folder / name).mkdir(parents=True, exist_ok=True)
        self._files = Lane("capture", max_pending)
        self._gathered: list[_Step] = []

    def __enter__(self) -> "Capture":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as closing:  # files first: their thread hands the videos on
            if self._reels is not None:
                closing.callback(self._reels.close, drain=error is None)
            closing.callback(self._files.close, drain=error is None)
            if error is None:
                self._hand_over()
        if error is None:
            self._files.raise_failure()
            if self._reels is not None:
                self._reels.raise_failure()

    def record(self, frame: FrameData) -> None:
        """Takes one step. Waits only where more than `max_pending` bytes are unwritten. Raises what writing met with.

        A batch that begins again (its first step comes twice) writes its files again, with the same content.
        """
        config = self._config
        if self._reels is not None:
            self._reels.raise_failure()
            check_batch(len(frame.indexes), frame.total_steps, frame.latent[0].numel())
        if not (config.save_frames or config.save_deltas or config.save_latents or config.save_video):
            return
        pictures = config.save_frames or config.save_video
        deltas = config.save_deltas and frame.t_index > 0
        step = _Step(
            indexes=tuple(frame.indexes),
            t=frame.t,
            t_index=frame.t_index,
            total_steps=frame.total_steps,
            pixels=_to_host(to_pixels(frame.latent)) if pictures else None,
            delta=_to_host(frame.delta) if deltas else None,
            latent=_to_host(frame.latent) if config.save_latents else None,
            arrival=Arrival(frame.latent.device),
        )
        if step.t_index == 0:
            self._gathered.clear()  # of a batch that begins again
        self._gathered.append(step)
        if step.t_index + 1 == step.total_steps or sum(one.size for one in self._gathered) >= GATHER_BYTES:
            self._hand_over()

    def _hand_over(self) -> None:
        steps, self._gathered = self._gathered, []
        if steps:
            self._files.put(partial(self._write_steps, steps), sum(step.size for step in steps))

    def _write_steps(self, steps: Sequence[_Step]) -> None:
        for step in steps:
            self._write_step(step)

    def _write_step(self, step: _Step) -> None:
        step.arrival.wait()
        names = self._names
        if step.pixels is not None:
            self._write_pictures(step, step.pixels.numpy())
        if step.delta is not None:
            for index, delta in zip(step.indexes, to_numpy(step.delta), strict=True):
                self._write(names.delta(index, step.t_index), npy_bytes(delta))
        if step.latent is not None:
            for index, latent in zip(step.indexes, to_numpy(step.latent), strict=True):
                self._write(names.latent(index, step.t), serialize(latent, self._config.latent_format))

    def _write_pictures(self, step: _Step, pixels: NDArray[np.uint8]) -> None:
        if self._config.save_frames:
            for index, image in zip(step.indexes, pixels, strict=True):
                self._write(self._names.frame(index, step.t_index), self._encode(image))
        if self._reels is not None:
            self._reels.add(step.indexes, pixels, step.t_index, step.total_steps)

    def _write(self, name: str, data: bytes) -> None:
        """Writes a small file; one that there was no room for does not stay."""
        path = f"{self._folder}/{name}"
        try:
            _write_new(path, data)
        except OSError as error:
            Path(path).unlink(missing_ok=True)
            if error.errno in DISK_FULL_ERRNOS:
                raise PermanentError(
                    ErrorCode.DISK_FULL,
                    f"no room to write {name} below {self._folder}; delete old runs' files, enlarge the volume, or "
                    "capture less (saveFrames, saveDeltas, saveLatents, saveVideo)",
                ) from error
            raise


def _write_new(path: str, data: bytes) -> None:
    """As `Path.write_bytes` without its layers: a shard writes tens of thousands of files of a kilobyte."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(file, left) :]
    finally:
        os.close(file)


def _to_host(tensor: Tensor) -> Tensor:
    """The same values on the host, once the device has come that far."""
    source = tensor.contiguous() if tensor.device.type != "cpu" else tensor
    host = host_buffer(source)
    begin_copy(host, source)
    return host


def _png(pixels: NDArray[np.uint8]) -> bytes:
    return encode_png(pixels).data


def _jpg(pixels: NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()
