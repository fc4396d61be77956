"""What the live path lacks, from the run's files: read beside it, for a volume may hang and an object store be slow."""

import asyncio
import time
from collections.abc import Callable

from diffrun_gateway.durable import Durable
from diffrun_gateway.parse import Parsed
from diffrun_gateway.store import RunStore

TAIL_SECONDS = 5.0
"""How often the files are compared with what came through Redis, and how long a line may take through it."""
GAP_SECONDS = 2.0
"""How long events wait for the ones that are missing before them, while the files are read."""


class Completion:
    """Where a method says that something has changed, it has in the history's middle: clients have to fetch again."""

    def __init__(
        self, durable: Durable | None, store: RunStore,
        apply: Callable[[Parsed], bool], notice: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`apply` takes an event and tells whether it was a new one, `notice` tells the viewers."""
        self._reading = _Reading(durable, store) if durable is not None else None
        self._store, self._apply, self._notice = store, apply, notice
        self._late = False  # events were sent on though others are missing before them
        self._due = 0.0

    async def wholly(self) -> bool:
        """Takes everything that the files have by now. Returns whether anything has changed."""
        if self._reading is None:
            return self._forgive(None)
        before = await self._ended(self._reading)
        self._reading.begin(0.0)
        return await self._ended(self._reading) or before

    def in_passing(self) -> bool:
        """Compares now and then, and waits for nothing. Returns whether anything has changed."""
        if self._reading is None:
            return False
        changed = self._reading.ready and self._take(self._reading)
        now = time.monotonic()
        if self._reading.idle and now >= self._due:
            self._due = now + TAIL_SECONDS
            self._reading.begin(0.0 if self._late else TAIL_SECONDS)
        return changed

    async def fill(self) -> bool:
        """Looks for what is missing before the newest events; whether that is done, in the time that they can wait."""
        if self._late:
            return False
        try:
            async with asyncio.timeout(GAP_SECONDS):
                await self.wholly()
        except TimeoutError:
            self._late, self._due = True, 0.0
        return not self._late

    async def close(self) -> None:
        """Reads nothing more."""
        if self._reading is not None:
            await self._reading.close()

    async def _ended(self, reading: "_Reading") -> bool:
        await reading.ended()
        return reading.ready and self._take(reading)

    def _take(self, reading: "_Reading") -> bool:
        taken = []
        try:
            taken = [self._apply(event) for event in reading.take()]
        except OSError as error:
            self._notice(f"the run's files cannot be read ({error.strerror}); the history may be incomplete")
        else:
            if not reading.grace:
                self._forgive(reading.newest)
            if self._store.gaps():  # newer ones than the reading could find
                self._due = 0.0
        was_late, self._late = self._late, self._store.gaps()
        return any(taken) or (was_late and not self._late)

    def _forgive(self, newest: dict[str, tuple[int, float]] | None) -> bool:
        given_up = self._store.forgive_gaps(newest)
        if given_up:
            self._notice("some events were lost before they could be read, and the run's files do not have them")
        return given_up


class _Reading:
    """One at a time, in a thread; what it found is applied by the loop, which alone changes the store.

    The thread meanwhile asks the store what it has seen. It may be told No a moment too long; what is then found a
    second time is a duplicate.
    """

    def __init__(self, durable: Durable, store: RunStore) -> None:
        self._durable, self._store = durable, store
        self._task: asyncio.Task[list[Parsed]] | None = None
        self.grace = 0.0
        """What it left to Redis, in seconds."""
        self.newest: dict[str, tuple[int, float]] = {}
        """The store's newest events when it began: what is missing before them is in no file either."""

    @property
    def idle(self) -> bool:
        """Whether none is under way or waits to be taken."""
        return self._task is None

    @property
    def ready(self) -> bool:
        """Whether one has ended and waits to be taken."""
        return self._task is not None and self._task.done()

    def begin(self, grace: float) -> None:
        """Begins one; call it where there is none."""
        self.grace, self.newest = grace, dict(self._store.newest())
        self._task = asyncio.create_task(asyncio.to_thread(self._durable.events, self._store.seen, grace))

    async def ended(self) -> None:
        """Waits for the one that is under way. Who waits no longer leaves it alone."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def take(self) -> list[Parsed]:
        """What the one that is ready found. Raises OSError where the files cannot be read."""
        task, self._task = self._task, None
        return task.result() if task is not None else []

    async def close(self) -> None:
        """Waits for nothing more; a thread that hangs cannot be ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
