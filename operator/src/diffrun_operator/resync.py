"""Keeps the watches honest: what is listed every minute is compared with what they have delivered.

A watch may go silent, and a new listing inside Kopf never tells what was deleted meanwhile. So the three
kinds are listed past Kopf, what differs is taken in, and a watch that stays behind for too long makes the
liveness probe fail: a restarted process watches anew.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

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


class _Delivered(NamedTuple):
    """The newest version of an object that its watch has brought."""

    version: int
    namespace: str


class _Owed(NamedTuple):
    """A version that a listing has shown and the watch has not brought, and since when."""

    version: int
    namespace: str
    since: float


class WatchTracker:
    """Which versions the watches have delivered, and which listed ones they owe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._delivered: dict[Kind, dict[str, _Delivered]] = {kind: {} for kind in Kind}
        self._owed: dict[Kind, dict[str, _Owed]] = {kind: {} for kind in Kind}

    def delivered(self, kind: Kind, raw: Any) -> None:
        """A watch has brought this object, in whatever event."""
        uid, seen = raw["metadata"]["uid"], version(raw)
        before = self._delivered[kind].get(uid)
        if before is None or before.version < seen:
            self._delivered[kind][uid] = _Delivered(seen, _namespace(raw))
        owed = self._owed[kind].get(uid)
        if owed is not None and owed.version <= seen:
            del self._owed[kind][uid]

    def listed(self, kind: Kind, objects: list[Any], namespace: str | None = None) -> None:
        """A listing of a namespace, of all without one, has shown exactly these objects of a kind."""
        there = {raw["metadata"]["uid"]: raw for raw in objects}
        delivered, owed = self._delivered[kind], self._owed[kind]
        for uid, raw in there.items():
            behind = uid not in delivered or delivered[uid].version < version(raw)
            if behind and uid not in owed:
                owed[uid] = _Owed(version(raw), _namespace(raw), self._clock())
        _forget(delivered, there, namespace)
        _forget(owed, there, namespace)

    def lag(self) -> float:
        """Seconds for which the oldest owed object has been owed; 0 where none is."""
        since = (owed.since for of_kind in self._owed.values() for owed in of_kind.values())
        return max((self._clock() - began for began in since), default=0.0)


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
            await self.once()
            self._metrics.watch_lag.set(self._tracker.lag())

    async def once(self) -> None:
        """One comparison of all three kinds. What cannot be listed stays as it is known: the watches still tell."""
        left_out: list[str] = []
        for kind, (root, plural, selector) in _LISTS.items():
            for namespace in self._namespaces:
                try:
                    objects, listed_at = await self._client.list_all(root, plural, namespace, selector)
                except errors.ApiError as error:
                    left_out.append(f"{plural} in {namespace or 'all namespaces'} ({error})")
                    continue
                self._tracker.listed(kind, objects, namespace)
                self._repair(kind, objects, int(listed_at), namespace)
        if left_out:
            logger.warning("the periodic listing failed and is left out this time: %s", "; ".join(left_out))

    def _repair(self, kind: Kind, objects: list[Any], listed_at: int, namespace: str | None) -> None:
        """Take in what the store lacks, and drop what is gone. What is younger than the listing stays."""
        known = {
            raw["metadata"]["uid"]: version(raw)
            for _, raw in self._store.objects(kind)
            if namespace in (None, _namespace(raw))
        }
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


def _namespace(raw: Any) -> str:
    return str(raw["metadata"].get("namespace", ""))


def _forget(
    remembered: dict[str, _Delivered] | dict[str, _Owed], there: Collection[str], namespace: str | None
) -> None:
    """Drop what a listing of the namespace, of all without one, no longer shows."""
    for uid in [uid for uid, item in remembered.items() if namespace in (None, item.namespace) and uid not in there]:
        del remembered[uid]
