"""What bytes are, told by the bytes; and which part of them a Range header asks for."""

import re

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"\x93NUMPY", "application/octet-stream"),
)
SNIFFED = 32
"""Bytes that are looked at."""
MP4 = "video/mp4"
INLINE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", MP4})
"""What a browser may show in place: pictures and videos, without scripts. Everything else is a download."""
OTHER = "application/octet-stream"
MAX_RANGES_HEADER = 256
"""Bytes of a Range header; one range takes far fewer."""

_MP4_BRANDS = (b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"dash", b"M4V ")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class NotSatisfiable(Exception):  # noqa: N818 - the status' own name
    """Answered with 416."""


def content_type(head: bytes) -> str:
    """The type of a file that begins with these bytes: one of INLINE, or OTHER."""
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:12] in (b"ftypavif", b"ftypavis"):
        return "image/avif"
    if head[4:8] == b"ftyp" and head[8:12] in _MP4_BRANDS:
        return MP4
    return OTHER


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The first and the last byte asked for; None for the whole file. Raises NotSatisfiable.

    One range is all that a viewer needs; many small ones are an old way to keep a server busy, so they are refused.
    """
    if header is None:
        return None
    if len(header) > MAX_RANGES_HEADER or "," in header:
        raise NotSatisfiable("ask for one range")
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        return None  # another unit, or none: RFC 9110 says to ignore it
    first, last = match[1], match[2]
    if not first:
        length = int(last or 0)
        if length == 0 or size == 0:
            raise NotSatisfiable("the range is empty")
        return max(0, size - length), size - 1
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if start >= size or start > end:
        raise NotSatisfiable("the range lies outside the file")
    return start, end
