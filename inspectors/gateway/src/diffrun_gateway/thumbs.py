"""WebP thumbnails: made in threads, at most two at a time, and kept in memory by the hash of the original."""

import asyncio
import io
import warnings
from collections import OrderedDict
from collections.abc import Callable

from PIL import Image

from diffrun_gateway import telemetry
from diffrun_gateway.errors import NotFound

SIZES = (64, 128, 256, 512, 1024)
"""The longest side, in pixels."""
AT_ONCE = 2
MAX_FILE = 128 << 20
"""A larger file gets no thumbnail."""
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")

Key = tuple[str, int]


class Thumbnails:
    """Used from the event loop alone."""

    def __init__(self, cache_bytes: int, max_pixels: int) -> None:
        self._cache: OrderedDict[Key, bytes] = OrderedDict()
        self._making: dict[Key, asyncio.Task[bytes]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._room, self._max_pixels = cache_bytes, max_pixels

    async def get(self, sha256: str, size: int, read: Callable[[], bytes]) -> bytes:
        """The thumbnail of the file with this hash; `read` gives its bytes. Raises NotFound where it is no image."""
        key = sha256, size
        if key in self._cache:
            self._cache.move_to_end(key)
            telemetry.THUMBNAILS.labels("cache").inc()
            return self._cache[key]
        task = self._making.get(key)
        if task is None:
            telemetry.THUMBNAILS.labels("made").inc()
            task = self._making[key] = asyncio.create_task(self._make(key, read))
            task.add_done_callback(lambda _: self._making.pop(key, None))
        return await asyncio.shield(task)

    async def _make(self, key: Key, read: Callable[[], bytes]) -> bytes:
        async with self._slots:
            data = await asyncio.to_thread(lambda: thumbnail(read(), key[1], self._max_pixels))
        self._cache[key] = data
        self._room -= len(data)
        while self._room < 0 and self._cache:
            self._room += len(self._cache.popitem(last=False)[1])
        return data


def thumbnail(data: bytes, size: int, max_pixels: int) -> bytes:
    """WebP no larger than `size` pixels in either direction; small images keep theirs. Raises NotFound."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # we look at the size ourselves
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
        if image.width * image.height > max_pixels:
            raise NotFound(f"the image has more than {max_pixels} pixels; fetch the original")
        image.draft("RGB", (size, size))
        picture = image.convert("RGBA" if "A" in image.getbands() or "transparency" in image.info else "RGB")
        lossless = max(picture.size) <= 64  # a digit of 16 pixels must stay pixel-exact
        picture.thumbnail((size, size), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        picture.save(out, "WEBP", quality=85, method=2, lossless=lossless)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise NotFound("this artifact is not an image that a thumbnail can be made of") from error
    return out.getvalue()
