"""MP4 files of denoising, by ffmpeg: H.264, yuv420p, what every browser plays.

One ffmpeg encodes many: raw frames go into its standard input, one sample's after the other's, it enlarges them
itself and begins a new file at every keyframe, of which each sample has exactly one. Starting it costs as much
as encoding a dozen small videos. No image is ever written for it.
"""

import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from math import lcm
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from diffrun_worker.errors import ErrorCode, PermanentError, invalid_params
from diffrun_worker.workspace import DISK_FULL_ERRNOS

FFMPEG_MISSING = "FfmpegMissing"
VIDEO_FAILED = "VideoFailed"

MIN_SIDE = 64
"""Pixels: smaller images are enlarged, since players smooth a 16×16 video into a blur."""
CRF = 20
"""x264's constant quality: visually lossless."""
_ENCODER = "libx264"
_PRESET = "ultrafast"
"""Half of superfast's time for small videos; its files are larger at the same quality, by less than half."""
_NICE = 15
_PIXEL_FORMAT = {1: "gray", 3: "rgb24"}
_SWITCH_OFF = "set capture.saveVideo: false (--no-video) to go without videos"


@dataclass(frozen=True)
class Geometry:
    """How a frame becomes a picture of the video."""

    height: int
    width: int
    channels: int
    """Of the raw frames."""

    @property
    def scale(self) -> int:
        """The least k for which k·height and k·width are even and the smaller one is at least `MIN_SIDE`."""
        step = lcm(2 if self.height % 2 else 1, 2 if self.width % 2 else 1)
        wanted = -(-MIN_SIDE // min(self.height, self.width))
        return -(-wanted // step) * step

    @property
    def video_height(self) -> int:
        """Pixels of the video."""
        return self.height * self.scale

    @property
    def video_width(self) -> int:
        """Pixels of the video."""
        return self.width * self.scale


@lru_cache(maxsize=4)
def find_ffmpeg() -> str:
    """The executable: `IMAGEIO_FFMPEG_EXE`, else the one that imageio-ffmpeg brings, else the one on PATH.

    Raises PermanentError `FfmpegMissing` where there is none, it does not start, or it cannot encode H.264.
    """
    try:
        executable: str = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise _missing("no ffmpeg is installed: neither imageio-ffmpeg brings one nor is one on PATH") from error
    try:
        listing = subprocess.run([executable, "-hide_banner", "-encoders"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise _missing(f"{executable} does not start: {error}") from error
    if f" {_ENCODER} " not in listing.stdout:
        raise _missing(f"{executable} was built without {_ENCODER}, the H.264 encoder")
    return executable


class VideoEncoder:
    """Encodes videos of one geometry and frame rate, one call at a time."""

    def __init__(self, folder: Path, geometry: Geometry, fps: int, scratch: str = ".encoding") -> None:
        """Videos appear in `folder` whole; until then they lie in its subfolder `scratch`, this encoder's own.

        Raises PermanentError `FfmpegMissing`, and `InvalidParams` for images that are neither grey nor RGB.
        """
        if geometry.channels not in _PIXEL_FORMAT:
            raise invalid_params(f"capture.saveVideo: {geometry.channels} channels are neither grey nor RGB")
        self._executable = find_ffmpeg()
        self._folder = folder
        self._geometry = geometry
        self._fps = fps
        self._scratch = folder / scratch
        folder.mkdir(parents=True, exist_ok=True)

    def encode(self, frames: NDArray[np.uint8], names: list[str]) -> None:
        """Writes `names[i]` in the folder from `frames[i]`; frames are uint8 [N, T, H, W, C].

        Raises PermanentError `VideoFailed` with ffmpeg's own words, `DiskFull` where there is no room. No file
        appears under a final name before the whole batch is encoded.
        """
        count, length = self._check(frames, names)
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir()
        try:
            self._run(frames, length)
            made = sorted(self._scratch.iterdir())
            if len(made) != count:
                raise self._failed(f"{len(made)} files for {count} videos")
            for file, name in zip(made, names, strict=True):
                file.replace(self._folder / name)
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def command(self, length: int) -> list[str]:
        """ffmpeg's command line for videos of `length` frames."""
        shape = self._geometry
        size = f"{shape.video_width}:{shape.video_height}"
        source = ["-f", "rawvideo", "-pix_fmt", _PIXEL_FORMAT[shape.channels], "-s", f"{shape.width}x{shape.height}"]
        # Keyframes come every `length` frames and nowhere else, so that none is where no file should begin.
        codec = ["-c:v", _ENCODER, "-preset", _PRESET, "-crf", str(CRF), "-bf", "0"]
        keyframes = ["-g", str(length), "-keyint_min", str(length), "-sc_threshold", "0"]
        # Screens and browsers take an untagged small video for limited-range BT.601.
        picture = ["-vf", f"scale={size}:flags=neighbor:out_color_matrix=bt601:out_range=tv", "-pix_fmt", "yuv420p"]
        # A segment ends at the first keyframe after its time is up, which half a frame always is.
        segments = ["-f", "segment", "-segment_time", f"{0.5 / self._fps:.9f}", "-reset_timestamps", "1"]
        layout = ["-segment_format", "mp4", "-segment_format_options", "movflags=+faststart"]
        threads = ["-threads", "1", "-filter_threads", "1"]  # the other cores denoise
        return [
            *(self._executable, "-hide_banner", "-loglevel", "error", "-nostdin"),
            *(*source, "-framerate", str(self._fps), "-i", "pipe:0"),
            *(*picture, *codec, *keyframes, *threads, *segments, *layout),
            str(self._scratch / "%09d.mp4"),
        ]

    def _run(self, frames: NDArray[np.uint8], length: int) -> None:
        raw: Any = memoryview(frames).cast("B")  # type: ignore[arg-type] # numpy's stubs name no buffer
        try:
            encoding = subprocess.Popen(
                self.command(length), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise self._failed(f"{self._executable}: {error}") from error
        with encoding:
            _lower_priority(encoding.pid)
            _, said = encoding.communicate(raw)
        if encoding.returncode != 0:
            raise self._failed(said.decode(errors="replace").strip()[-500:] or f"exit {encoding.returncode}")

    def _check(self, frames: NDArray[np.uint8], names: list[str]) -> tuple[int, int]:
        shape = self._geometry
        wanted = (len(names), shape.height, shape.width, shape.channels)
        if frames.dtype != np.uint8 or frames.ndim != 5 or (frames.shape[0], *frames.shape[2:]) != wanted:
            raise ValueError(f"frames are uint8 [N, T, H, W, C] = {wanted} with T; got {frames.dtype} {frames.shape}")
        if not frames.flags.c_contiguous or frames.size == 0:
            raise ValueError("frames are one contiguous block with at least one frame")
        return frames.shape[0], frames.shape[1]

    def _failed(self, why: str) -> PermanentError:
        if any(os.strerror(number) in why for number in DISK_FULL_ERRNOS):
            return PermanentError(
                ErrorCode.DISK_FULL,
                f"no room to write videos below {self._folder}; delete old runs' files, enlarge the volume, "
                f"or {_SWITCH_OFF}",
            )
        return PermanentError(VIDEO_FAILED, f"capture.saveVideo: ffmpeg made no video: {why}; {_SWITCH_OFF}")


def _lower_priority(pid: int) -> None:
    """What encodes takes the moments in which the loop leaves a core idle, and gives it back at once."""
    with suppress(ProcessLookupError):  # it has ended already
        os.setpriority(os.PRIO_PROCESS, pid, _NICE)


def _missing(why: str) -> PermanentError:
    return PermanentError(
        FFMPEG_MISSING,
        f"capture.saveVideo: {why}; install ffmpeg with {_ENCODER}, name one in IMAGEIO_FFMPEG_EXE, or {_SWITCH_OFF}",
    )
