"""Encoded images become squares of one size, several at a time.

What is done to an image, in this order: its EXIF orientation is applied; what is transparent is laid over white;
the largest centred square is cut out; this is resized bilinearly with anti-aliasing (Pillow's); grey or colour follows
the wish. Of an animation the first frame counts.
"""

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.sampling.threads import available_cores

Encoded = tuple[str, Path | bytes]
"""What messages call an image, and its file or its bytes."""

_MODES = {1: "L", 3: "RGB"}
_WAITING = 16  # images a thread that may be decoded and not yet fetched: memory stays bounded
_WHITE = (255, 255, 255, 255)


def decode_all(
    encoded: Iterable[Encoded], size: int, channels: int, done: Callable[[int], None]
) -> Iterator[NDArray[np.uint8]]:
    """Yields [channels, size, size] for each image, in order; `done` is told how many, and may raise to stop.

    Raises PermanentError `CorruptDataset`, which names the image, for the first that does not decode.
    """
    threads = available_cores()
    waiting: deque[Future[NDArray[np.uint8]]] = deque()
    finished = 0
    # Decoding releases the interpreter's lock, so threads do.
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        try:
            for name, source in encoded:
                waiting.append(pool.submit(decode, name, source, size, channels))
                if len(waiting) >= threads * _WAITING:
                    yield waiting.popleft().result()
                    done(finished := finished + 1)
            while waiting:
                yield waiting.popleft().result()
                done(finished := finished + 1)
        finally:
            for future in waiting:
                future.cancel()


def decode(name: str, source: Path | bytes, size: int, channels: int) -> NDArray[np.uint8]:
    """One image as [channels, size, size]. Raises PermanentError `CorruptDataset`."""
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            image.load()
            return to_square(image, size, channels)
    except UnidentifiedImageError as error:  # its text names an object in memory or an absolute path
        raise _undecodable(name, "it is in no format that is known") from error
    # What Pillow raises for half an image or a broken one; SyntaxError is its word for a PNG that breaks the rules.
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's trouble, not the image's
        raise _undecodable(name, str(error) or type(error).__name__) from error


def _undecodable(name: str, problem: str) -> PermanentError:
    return PermanentError(
        ErrorCode.CORRUPT_DATASET, f"data: {name} does not decode as an image: {problem}; repair it or remove it"
    )


def to_square(image: Image.Image, size: int, channels: int) -> NDArray[np.uint8]:
    """[channels, size, size], as the module's first lines say."""
    upright = ImageOps.exif_transpose(image)
    opaque = _over_white(upright).convert(_MODES[channels])
    side = min(opaque.size)
    left, top = (opaque.width - side) // 2, (opaque.height - side) // 2
    square = opaque.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    pixels = np.asarray(square).reshape(size, size, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))  # [C, S, S]


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))  # 16-bit grey: the upper byte
    if image.mode in ("I", "F"):
        raise ValueError(f"its pixels are of type {image.mode}, which have no known white")
    if not image.has_transparency_data:
        return image
    white = Image.new("RGBA", image.size, _WHITE)
    return Image.alpha_composite(white, image.convert("RGBA"))
