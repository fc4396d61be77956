"""Keeps the watches honest: what is listed every minute is compared with what they have delivered.

A watch may go silent, and a new listing inside Kopf never tells what was deleted meanwhile. So the three
kinds are listed past Kopf, what differs is taken in, and a watch that stays behind for too long makes the
liveness probe fail: a restarted process watches anew.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from diffrun_contracts import names
from diffrun_operator import client as api
from diffrun_operator import errors
from diffrun_operator.metrics import Metrics
from diffrun_operator.queue import KeyedQueue
from diffrun_operator.settings import Watch
from diffrun_operator.store import Kind, Store, version

logger = logging.getLogger(__name__)

CHILD_SELECTOR = f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY},{names.LABEL_RUN_UID}"
"""Jobs and pods of runs; the API server filters, so that others never reach this process."""

_LISTS = {
    Kind.RUN: (api.RUNS, names.PLURAL, ""),
    Kind.JOB: (api.JOBS, "jobs", CHILD_SELECTOR),
    Kind.POD: (api.PODS, "pods", CHILD_SELECTOR),
}


class WatchTracker:
    """Which versions the watches have delivered, and which listed ones they owe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._delivered: dict[Kind, dict[str, int]] = {kind: {} for kind in Kind}
        self._owed: dict[tuple[Kind, str], tuple[int, float]] = {}

    def delivered(self, kind: Kind, raw: Any) -> None:
        """A watch has brought this object, in whatever event."""
        uid, seen = raw["metadata"]["uid"], version(raw)
        self._delivered[kind][uid] = max(seen, self._delivered[kind].get(uid, 0))
        owed = self._owed.get((kind, uid))
        if owed is not None and owed[0] <= seen:
            del self._owed[kind, uid]

    def listed(self, kind: Kind, objects: list[Any]) -> None:
        """A listing has shown exactly these objects of a kind."""
        there = {raw["metadata"]["uid"]: version(raw) for raw in objects}
        delivered = self._delivered[kind]
        for uid, seen in there.items():
            if delivered.get(uid, 0) < seen and (kind, uid) not in self._owed:
                self._owed[kind, uid] = (seen, self._clock())
        for uid in delivered.keys() - there.keys():
            del delivered[uid]
        for owed in [key for key in self._owed if key[0] is kind and key[1] not in there]:
            del self._owed[owed]

    def lag(self) -> float:
        """Seconds for which the oldest owed object has been owed; 0 where none is."""
        return max((self._clock() - since for _, since in self._owed.values()), default=0.0)


class Resync:
    """Lists, compares, repairs."""

    def __init__(
        self,
        client: api.KubeClient,
        store: Store,
        queue: KeyedQueue,
        tracker: WatchTracker,
        namespaces: tuple[str, ...],
        settings: Watch,
        metrics: Metrics,
    ) -> None:
        self._client, self._store, self._queue, self._tracker = client, store, queue, tracker
        self._namespaces: tuple[str | None, ...] = namespaces or (None,)
        self._settings, self._metrics = settings, metrics

    async def run(self) -> None:
        """For ever. An API server that does not answer is no reason to end: a restart would not help it."""
        while True:
            await asyncio.sleep(self._settings.resync_seconds)
            try:
                await self.once()
            except errors.ApiError as error:
                logger.warning("the periodic listing failed and is left out this time: %s", error)
            self._metrics.watch_lag.set(self._tracker.lag())

    async def once(self) -> None:
        """One comparison of all three kinds."""
        for kind, (root, plural, selector) in _LISTS.items():
            objects: list[Any] = []
            versions: list[int] = []
            for namespace in self._namespaces:
                found, listed_at = await self._client.list_all(root, plural, namespace, selector)
                objects += found
                versions.append(int(listed_at))
            self._tracker.listed(kind, objects)
            self._repair(kind, objects, min(versions))

    def _repair(self, kind: Kind, objects: list[Any], listed_at: int) -> None:
        """Take in what the store lacks, and drop what is gone. What is younger than the listing stays."""
        known = {raw["metadata"]["uid"]: version(raw) for _, raw in self._store.objects(kind)}
        for raw in objects:
            if known.pop(raw["metadata"]["uid"], 0) < version(raw):
                self._enqueue(self._store.put(kind, raw))
        for uid, raw in self._store.objects(kind):
            object_uid = raw["metadata"]["uid"]
            if object_uid in known and known[object_uid] < listed_at:
                logger.info("%s %s is gone, and its watch has not told", kind, raw["metadata"]["name"])
                self._store.remove(kind, uid, object_uid)
                self._enqueue(uid)

    def _enqueue(self, uid: str | None) -> None:
        if uid is not None:
            self._queue.add(uid)
