"""What streams tell of the runs' objects, beside their events."""

import asyncio

from diffrun_contracts.api import Permissions, RunChanged, RunEntry, RunGone, RunList, RunsSnapshot, StreamStatus
from diffrun_gateway import runs
from diffrun_gateway.access import Viewer
from diffrun_gateway.errors import ApiError
from diffrun_gateway.runs import Run
from diffrun_gateway.services import Services
from diffrun_gateway.sse import EventStream, RunStream, Statuses, message

GATHER_SECONDS = 1.0
"""A run's line in the list changes at most this often."""


class LiveStatuses(Statuses):
    """Passes the registry's changes of some runs on to one stream."""

    def __init__(self, services: Services, permissions: dict[str, Permissions]) -> None:
        """`permissions`: what the viewer may do, by run."""
        self._services, self._permissions = services, permissions
        self._stream: RunStream | None = None

    def subscribe(self, stream: RunStream) -> None:
        """Tells how the runs are now, and then every change."""
        self._stream = stream
        for uid in self._permissions:
            self._changed(uid, self._services.registry.runs.get(uid))
        self._services.registry.listeners.add(self._changed)

    def unsubscribe(self, stream: RunStream) -> None:  # noqa: ARG002 - the protocol's
        """Tells nothing more."""
        self._services.registry.listeners.discard(self._changed)

    def _changed(self, uid: str, run: Run | None) -> None:
        permissions = self._permissions.get(uid)
        if permissions is not None and run is not None and self._stream is not None:
            detail = runs.detail(run, self._services.entry(run), permissions)
            self._stream.status(StreamStatus(detail=detail))


class RunListStream(EventStream):
    """`GET api/runs/events`: the list, then every run that is new, has changed or is gone.

    The list comes again where something else is missing in it than before.
    """

    def __init__(self, services: Services, viewer: Viewer, first: RunList, namespaces: set[str]) -> None:
        user = viewer.user.name if viewer.user else ""

        async def recheck() -> None:
            await services.access.recheck(viewer)
            self._namespaces = {
                namespace
                for namespace in {run.ref.namespace for run in services.registry.runs.values()}
                if await services.access.may(viewer, namespace, "list")
            }

        super().__init__(services.streams, user, recheck, services.settings.auth.review_seconds)
        self._services, self._viewer, self._first, self._namespaces = services, viewer, first, namespaces
        self._sent = {entry.uid: (entry, entry.to_json()) for entry in first.runs}
        self._order = [entry.uid for entry in first.runs]
        self._problems = first.problems
        self._dirty: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Sends the list."""
        self.push(message("runs", RunsSnapshot(list=self._first)))
        self._services.registry.listeners.add(self._on_run)
        self._services.hub.on_change.add(self._dirty.add)
        self._task = asyncio.create_task(self._tell())

    def end(self) -> None:
        """Stops."""
        self._services.registry.listeners.discard(self._on_run)
        self._services.hub.on_change.discard(self._dirty.add)
        if self._task is not None:
            self._task.cancel()

    def _on_run(self, uid: str, run: Run | None) -> None:  # noqa: ARG002 - the listener's form
        self._dirty.add(uid)

    async def _tell(self) -> None:
        """Gathers changes, so that a busy run does not fill the list's stream."""
        while True:
            await asyncio.sleep(GATHER_SECONDS)
            changed = sorted(self._dirty)
            self._dirty.clear()
            moved = [await self._tell_one(uid) for uid in changed]
            if any(moved):
                self._order = [entry.uid for entry in self._entries()]
            problems = tuple(self._services.registry.problems.values())
            if problems != self._problems:
                self._problems = problems
                denied = None if self._sent else self._first.denied
                again = RunList(runs=tuple(self._entries()), problems=problems, denied=denied)
                self.push(message("runs", RunsSnapshot(list=again)))
            self._services.hub.want_summaries(self._order)

    def _entries(self) -> list[RunEntry]:
        return runs.in_order(entry for entry, _ in self._sent.values())

    async def _tell_one(self, uid: str) -> bool:
        """Tells of a run what the page does not have yet. Returns whether that may change the list's order."""
        run = self._services.registry.runs.get(uid)
        if run is None:
            if self._sent.pop(uid, None) is None:
                return False
            self.push(message("gone", RunGone(uid=uid)))
            return True
        if not await self._may_see(run):
            return False
        entry = self._services.entry(run)
        before, text = self._sent.get(uid, (None, "")), entry.to_json()
        if before[1] == text:
            return False
        self._sent[uid] = entry, text
        self.push(message("run", RunChanged(entry=entry)))
        return before[0] is None or before[0].waiting_gates != entry.waiting_gates

    async def _may_see(self, run: Run) -> bool:
        try:
            return await self._services.access.may(self._viewer, run.ref.namespace, "list")
        except ApiError:
            return run.ref.namespace in self._namespaces
