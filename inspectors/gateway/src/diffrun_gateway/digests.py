"""Whether a file is the one that was announced: its SHA-256, worked out once for each state that the file is in.

What is served under a hash is kept by browsers for ever, so a file that was written over must never go out under it,
though it be of the same size.
"""

import asyncio
import hashlib
import os
import time
from collections import OrderedDict
from typing import NamedTuple, Self

CHUNK = 4 << 20
"""Bytes that are read and hashed at once, in a thread."""
LARGE = 32 << 20
"""Files above it are hashed two at a time: small ones need not wait for them."""
LARGE_AT_ONCE = 2
REMEMBERED = 50_000
"""Files whose hash is known; those asked for longest ago go first."""
SETTLED_NS = 2_000_000_000
"""A file written less than this long ago may change once more without its times telling: clocks of file systems tick
slowly, some once in two seconds. Its hash is not remembered yet."""


class State(NamedTuple):
    """What changes whenever the bytes do."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int
    """Unlike the time of modification, nobody can set it back."""

    @classmethod
    def of(cls, descriptor: int) -> Self:
        """The state of an open file."""
        stat = os.fstat(descriptor)
        return cls(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


class Digests:
    """Used from the event loop alone; reads in threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[State, str] = OrderedDict()
        self._working: dict[State, asyncio.Task[str | None]] = {}
        self._slots = asyncio.Semaphore(LARGE_AT_ONCE)

    async def is_what(self, descriptor: int, size: int, sha256: str) -> bool:
        """Whether the open file has exactly this size and hash."""
        state = State.of(descriptor)
        return state.size == size and await self._of(descriptor, state) == sha256

    async def _of(self, descriptor: int, state: State) -> str | None:
        """The file's hash; None where it changed while it was read."""
        if state in self._known:
            self._known.move_to_end(state)
            return self._known[state]
        task = self._working.get(state)
        if task is None:
            # Of its own: whoever asked may be gone, and have closed theirs, while others wait for the same file.
            task = self._working[state] = asyncio.create_task(self._work_out(os.dup(descriptor), state))
            task.add_done_callback(lambda _: self._working.pop(state, None))
        return await asyncio.shield(task)

    async def _work_out(self, descriptor: int, state: State) -> str | None:
        try:
            if state.size > LARGE:
                async with self._slots:
                    found = await _sha256(descriptor)
            else:
                found = await _sha256(descriptor)
            if State.of(descriptor) != state:
                return None
        finally:
            os.close(descriptor)
        if time.time_ns() - state.changed > SETTLED_NS:
            self._known[state] = found
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found


async def _sha256(descriptor: int) -> str:
    """Piece by piece, so that the process can end in between."""
    digest, offset = hashlib.sha256(), 0

    def take() -> int:
        data = os.pread(descriptor, CHUNK, offset)
        digest.update(data)
        return len(data)

    while count := await asyncio.to_thread(take):
        offset += count
    return digest.hexdigest()
