"""The frames of batches on their way to videos: gathered for a few seconds, then encoded by one ffmpeg.

Starting ffmpeg costs as much as encoding a dozen small videos, so a network that draws a batch a second shares one
among several batches. The first batch is encoded at once, and what a viewer waits for is never older than
`GATHER_SECONDS` when its encoding begins.
"""

import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffrun_worker.errors import invalid_params
from diffrun_worker.inference.video import VideoEncoder
from diffrun_worker.side import Gatherer

GATHER_SECONDS = 5.0
"""From one encoding's beginning to the next one's, where there is room to wait."""
MAX_GATHERED_BYTES = 64 * 2**20
"""What may wait to be encoded together; a larger batch waits alone, and the loop's files with it."""
MAX_BATCH_BYTES = 2**30
"""The largest batch whose frames are held for its videos; two such batches may be in memory at once."""

OnVideos = Callable[[Sequence[int]], None]
"""Called on the encoding thread with the samples whose videos are there."""

_Reel = tuple[Sequence[int], NDArray[np.uint8]]  # samples, [N, T, H, W, C]


class Reels(Gatherer[_Reel]):
    """One shard's videos."""

    def __init__(
        self,
        encoder: VideoEncoder,
        name_of: Callable[[int], str],
        on_videos: OnVideos | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`name_of` gives a sample's file by its number."""
        self._encoder = encoder
        self._name_of = name_of
        self._on_videos = on_videos or (lambda _: None)
        self._filming: NDArray[np.uint8] | None = None  # the batch that is under way
        super().__init__("video", self._encode, GATHER_SECONDS, MAX_GATHERED_BYTES, clock)

    def add(self, indexes: Sequence[int], pixels: NDArray[np.uint8], step: int, steps: int) -> None:
        """Takes one step of a batch, uint8 [N, H, W, C]; a batch that begins again drops what it had.

        Waits where a whole batch finds too much unencoded before it. Raises what encoding met with.
        """
        if step == 0 or self._filming is None:
            self._filming = np.empty((len(pixels), steps, *pixels.shape[1:]), np.uint8)
        self._filming[:, step] = pixels
        if step + 1 == steps:
            reel, self._filming = self._filming, None
            self.put((indexes, reel), reel.nbytes)

    def _encode(self, reels: Sequence[_Reel]) -> None:
        indexes = list(chain.from_iterable(samples for samples, _ in reels))
        frames = reels[0][1] if len(reels) == 1 else np.concatenate([frames for _, frames in reels])
        self._encoder.encode(frames, [Path(self._name_of(index)).name for index in indexes])
        self._on_videos(indexes)


def check_batch(count: int, steps: int, values: int) -> None:
    """Raises PermanentError `InvalidParams` where frames of so many `values` each are too much to hold for a batch."""
    needed = count * steps * values
    if needed > MAX_BATCH_BYTES:
        raise invalid_params(
            f"batchSize: the frames of {count} videos of {steps} steps take {needed} bytes of memory, "
            f"and {MAX_BATCH_BYTES} are allowed; lower batchSize or sampler.steps, or set capture.saveVideo: false"
        )
