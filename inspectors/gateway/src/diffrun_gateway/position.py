"""How far somebody has read: `<milliseconds>-<sequence>.<epoch>`.

The first part is a Redis stream id. The epoch names the base that the ids stand on: it is new whenever history came
from anywhere but the stream (the gateway's start, a completion from files), so that ids of one epoch can be
compared, and a position of another one is known as such.
"""

import re
import secrets
from typing import NamedTuple, Self

_PATTERN = re.compile(r"(\d{1,15})-(\d{1,20})(?:\.([0-9a-z]{1,12}))?", re.ASCII)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class StreamId(NamedTuple):
    """A Redis stream id; ordered."""

    ms: int
    seq: int

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """From Redis' own form."""
        ms, _, seq = raw.partition(b"-")
        return cls(int(ms), int(seq))

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"


ZERO = StreamId(0, 0)


class Position(NamedTuple):
    """A stream id within an epoch."""

    id: StreamId
    epoch: str

    def __str__(self) -> str:
        return f"{self.id}.{self.epoch}"


def parse_positions(text: str, count: int) -> list[Position]:
    """The positions of `count` runs, joined by commas. Raises ValueError."""
    parts = text.split(",")
    if len(parts) != count:
        raise ValueError(f"expected {count} positions, got {len(parts)}")
    positions = []
    for part in parts:
        match = _PATTERN.fullmatch(part)
        if match is None:
            raise ValueError("a position has the form 1763690000000-0.k3f9")
        positions.append(Position(StreamId(int(match[1]), int(match[2])), match[3] or ""))
    return positions


def new_epoch() -> str:
    """A name that no other base has."""
    return "".join(secrets.choice(_DIGITS) for _ in range(8))
