"""The durable path: every event becomes a line of `events.jsonl`, every artifact a line of `manifest.json`.

One thread does it, so that the block's own thread only appends to a deque. A line is in the file (and fsynced,
where it is more than metrics) before the publisher hears of it: Redis never knows more than the files. In an object
store the file is on this machine alone, and `segments` follow it there.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from diffrun_contracts import names
from diffrun_contracts.events import Artifact, ArtifactWritten, BlockFinished, Body, Manifest, ProgressMade
from diffrun_contracts.task import BlockTask
from diffrun_worker.block import Point
from diffrun_worker.envelope import MAX_POINTS, Envelope, utc_now
from diffrun_worker.errors import BlockError, ErrorCode, PermanentError, TemporaryError
from diffrun_worker.publisher import Entry
from diffrun_worker.segments import Segments
from diffrun_worker.spool import Spool
from diffrun_worker.workspace import DISK_FULL_ERRNOS, Workspace

FLUSH_SECONDS = 0.1
"""How old a point gets before it is written."""
PROGRESS_SECONDS = 0.5
"""At most one progress event in this time; the last one is always written."""
MANIFEST_SECONDS = 1.0
"""At most one rewriting of the manifest in this time, and in twenty times the time that one takes."""
ROUND_POINTS = 50 * MAX_POINTS
"""Points written in one go, about a megabyte: the publisher sends them while the next are turned into lines."""
MAX_INBOX = 1_000_000
"""Batches that wait for the disk. A workspace that is that far behind is broken."""

Offer = Callable[[Iterable[Entry]], None]


class Journal:
    """Takes events from any thread without blocking, and writes them from its own.

    `failure` holds what went wrong there; whoever talks to the journal next gets it raised.
    """

    def __init__(
        self,
        workspace: Workspace,
        task: BlockTask,
        *,
        shard: int = 0,
        retry: int = 0,
        pod: str,
        offer: Offer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Creates the pod's directory and its files. Raises PermanentError `DiskFull`."""
        self.directory = names.retry_dir(task.run.uid, task.block, task.attempt, shard, retry)
        self.block_directory = names.block_dir(task.run.uid, task.block)
        self.failure: BlockError | None = None
        self._workspace = workspace
        self._envelope = Envelope(task, shard=shard, retry=retry, pod=pod, clock=utc_now)
        self._offer = offer or _nobody
        self._clock = clock
        self._manifest = Manifest(run=task.run, block=task.block, attempt=task.attempt, shard=shard, retry=retry)
        self._artifacts: list[Artifact] = []
        self._manifest_due = self._progress_due = clock()
        self._inbox: deque[list[Point] | Body | threading.Event] = deque()
        self._progress: tuple[int, int] | None = None
        self._wake = threading.Event()
        self._closing = False
        self._finished = False  # the thread came to its regular end
        self._broken = False  # the file takes nothing any more
        self._write_manifest()
        self._spool = Spool(workspace.place(f"{self.directory}/{names.EVENTS_FILE}"))
        self._segments: Segments | None = None
        if not workspace.appendable:
            self._segments = Segments(workspace, self.directory, self._spool, self._fail)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def metrics(self, points: list[Point]) -> None:
        """Takes points; the list must not change any more."""
        self.raise_failure()
        if len(self._inbox) > MAX_INBOX:
            raise TemporaryError(
                ErrorCode.WORKSPACE_UNAVAILABLE, f"the workspace does not keep up: {MAX_INBOX} metric batches wait"
            )
        self._inbox.append(points)
        if len(self._inbox) >= MAX_POINTS:
            self._wake.set()

    def event(self, body: Body) -> None:
        """Takes any other event, and has it written at once."""
        self.events([body])

    def events(self, bodies: Sequence[Body]) -> None:
        """Takes events that belong together: they are written in one go."""
        self.raise_failure()
        self._inbox.extend(bodies)
        self._wake.set()

    def progress(self, done: int, total: int) -> None:
        """Takes the newest progress; older ones that were not written yet are forgotten."""
        self.raise_failure()
        self._progress = (done, total)

    def flush(self) -> None:
        """Waits until everything taken so far is in the workspace. Raises what went wrong."""
        reached = threading.Event()
        self._inbox.append(reached)
        self._wake.set()
        while not reached.wait(FLUSH_SECONDS) and self._thread.is_alive():
            pass
        if not reached.is_set():
            self._fail(_ended_early())
        if self._segments is not None:
            self._segments.flush()
        self.raise_failure()

    def close(self, last: Body | None = None) -> None:
        """Writes what is left and the last event, fsyncs, ends the thread. Raises what went wrong, then or before."""
        if last is not None:
            self._inbox.append(last)
        self._closing = True
        self._wake.set()
        self._thread.join()
        if not self._finished:
            self._fail(_ended_early())
        if self._segments is not None:
            self._segments.close()
        self.raise_failure()

    def raise_failure(self) -> None:
        """Raises what went wrong on the journal's thread, if anything did."""
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        while True:
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            closing = self._closing
            self._rounds_until_empty()
            if closing:
                break
        self._guarded(self._finish)
        self._finished = True

    def _rounds_until_empty(self) -> None:
        first = True
        while first or self._inbox:
            first = False
            reached: list[threading.Event] = []
            self._guarded(partial(self._round, reached))
            for flush in reached:
                flush.set()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Whatever goes wrong, the block must hear of it."""
        try:
            work()
        except BlockError as error:
            self._fail(error)
        except OSError as error:
            self._fail(self._classify(error))
        except Exception as error:  # noqa: BLE001 - the block must hear of it, whatever it is
            self._fail(PermanentError(ErrorCode.UNEXPECTED_ERROR, f"journal: {type(error).__name__}: {error}"))

    def _round(self, reached: list[threading.Event]) -> None:
        """Moves what is in the inbox, or as much as is written in one go, to the file, in order."""
        now = self._clock()
        lines: list[tuple[bytes, int]] = []
        durable = False
        points: list[Point] = []
        left = ROUND_POINTS
        while self._inbox and left > 0:
            item = self._inbox.popleft()
            if isinstance(item, list):
                points.extend(item)
                left -= len(item)
                continue
            if isinstance(item, threading.Event):
                reached.append(item)
                continue
            self._wrap_points(points, lines)
            points = []
            if isinstance(item, BlockFinished):
                self._wrap_progress(lines, now, force=True)
            lines.append((self._envelope.wrap(item), 0))
            durable = True
            if isinstance(item, ArtifactWritten):
                self._artifacts.append(item.artifact)
        self._wrap_points(points, lines)
        self._wrap_progress(lines, now, force=False)
        self._append(lines, durable=durable)
        if now >= self._manifest_due:
            self._update_manifest()

    def _finish(self) -> None:
        """What is left when nothing more will come."""
        lines: list[tuple[bytes, int]] = []
        self._wrap_progress(lines, self._clock(), force=True)
        self._append(lines, durable=True)
        self._update_manifest()

    def _update_manifest(self) -> None:
        if len(self._artifacts) > len(self._manifest.artifacts):
            self._write_manifest()

    def _wrap_points(self, points: list[Point], lines: list[tuple[bytes, int]]) -> None:
        try:
            lines.extend(self._envelope.wrap_points(points))
        except BlockError as error:
            self._fail(error)

    def _wrap_progress(self, lines: list[tuple[bytes, int]], now: float, *, force: bool) -> None:
        if self._progress is not None and (force or now >= self._progress_due):
            (done, total), self._progress = self._progress, None
            self._progress_due = now + PROGRESS_SECONDS
            lines.append((self._envelope.wrap(ProgressMade(done=done, total=total)), 0))

    def _append(self, lines: list[tuple[bytes, int]], *, durable: bool) -> None:
        entries: list[Entry] = []
        if not self._broken:
            try:
                entries = self._spool.append(lines, durable=durable and self._segments is None)
                if self._segments is not None:
                    self._segments.reached(self._spool.offset)
            except OSError as error:
                self._broken = True
                self._fail(self._classify(error))
        if self._broken:
            # The live path may still tell how the block ended.
            entries = [Entry(len(line), 0, partial(bytes, line)) for line, points in lines if not points]
        if entries:
            self._offer(entries)

    def _write_manifest(self) -> None:
        started = self._clock()
        self._manifest = self._manifest.model_copy(update={"artifacts": tuple(self._artifacts)})
        path = f"{self.directory}/{names.MANIFEST_FILE}"
        self._workspace.write(path, self._manifest.to_json().encode())
        now = self._clock()
        self._manifest_due = now + max(MANIFEST_SECONDS, 20 * (now - started))

    def _fail(self, error: BlockError) -> None:
        """Keeps the first failure: later ones follow from it."""
        self.failure = self.failure or error

    def _classify(self, error: OSError) -> BlockError:
        if error.errno in DISK_FULL_ERRNOS:
            return self._workspace.disk_full(f"write {self.directory}/{names.EVENTS_FILE}", names.MAX_EVENT_BYTES)
        return TemporaryError(
            ErrorCode.WORKSPACE_UNAVAILABLE, f"cannot write {self.directory}/{names.EVENTS_FILE}: {error.strerror}"
        )


def _ended_early() -> TemporaryError:
    """What nobody has told of: what was taken may be in no file."""
    return TemporaryError(ErrorCode.UNEXPECTED_ERROR, "the journal's thread ended before everything was written")


def _nobody(entries: Iterable[Entry]) -> None:
    """Without Redis nobody listens."""
