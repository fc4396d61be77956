"""Whether a file is the one that was announced: its SHA-256, worked out once for each state that the file is in.

What is served under a hash is kept by browsers for ever, so a file that was written over must never go out under it,
though it be of the same size.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict

from diffrun_gateway.files import OpenFile, State

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


class Digests:
    """Used from the event loop alone; reads in threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[State, str] = OrderedDict()
        self._working: dict[State, asyncio.Task[str | None]] = {}
        self._slots = asyncio.Semaphore(LARGE_AT_ONCE)

    async def is_what(self, file: OpenFile, size: int, sha256: str) -> bool:
        """Whether the open file has exactly this size and hash."""
        return file.size == size and await self._of(file) == sha256

    async def _of(self, file: OpenFile) -> str | None:
        """The file's hash; None where it changed while it was read."""
        state = file.state
        if state in self._known:
            self._known.move_to_end(state)
            return self._known[state]
        task = self._working.get(state)
        if task is None:
            # Of its own: whoever asked may be gone, and have closed theirs, while others wait for the same file.
            task = self._working[state] = asyncio.create_task(self._work_out(file.again(), state))
            task.add_done_callback(lambda _: self._working.pop(state, None))
        return await asyncio.shield(task)

    async def _work_out(self, file: OpenFile, state: State) -> str | None:
        try:
            if state.size > LARGE:
                async with self._slots:
                    found = await _sha256(file)
            else:
                found = await _sha256(file)
            if await asyncio.to_thread(file.now) != state:
                return None
        finally:
            file.close()
        if time.time_ns() - state.changed > SETTLED_NS:
            self._known[state] = found
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found


async def _sha256(file: OpenFile) -> str:
    """Piece by piece, so that the process can end in between."""
    digest, offset = hashlib.sha256(), 0

    def take() -> int:
        data = file.read(offset, CHUNK)
        digest.update(data)
        return len(data)

    while count := await asyncio.to_thread(take):
        offset += count
    return digest.hexdigest()
