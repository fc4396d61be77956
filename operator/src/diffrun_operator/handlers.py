"""What Kopf calls: each event goes into the store, and its run's key into the queue. Nothing else happens here.

Only `on.event` handlers, which write nothing to the objects; no daemons, timers or finalizers.
"""

import logging
from collections.abc import Callable
from typing import Any

import kopf

from diffrun_contracts import names
from diffrun_operator.model import JobPhase
from diffrun_operator.observe import observe_job
from diffrun_operator.queue import KeyedQueue
from diffrun_operator.resync import CHILD_SELECTOR, WatchTracker
from diffrun_operator.settings import Settings
from diffrun_operator.store import Kind, Store, run_uid

logger = logging.getLogger(__name__)

KOPF_SELECTORS: dict[Kind, tuple[str, str, str]] = {
    Kind.RUN: (names.GROUP, names.VERSION, names.PLURAL),
    Kind.JOB: ("batch", "v1", "jobs"),
    Kind.POD: ("", "v1", "pods"),
}
"""Group, version and plural of what is watched."""


class Feed:
    """Takes watch events in."""

    def __init__(self, store: Store, queue: KeyedQueue, tracker: WatchTracker, clock: Callable[[], float]) -> None:
        self._store, self._queue, self._tracker, self._clock = store, queue, tracker, clock

    def take(self, kind: Kind, event_type: str | None, raw: Any) -> None:
        """One event. Its type is None while a watch lists what there is already."""
        raw = dict(raw)
        uid = run_uid(kind, raw)
        self._tracker.delivered(kind, raw)
        if uid is None:
            return
        if event_type == "DELETED":
            self._store.remove(kind, uid, raw["metadata"]["uid"])
            if kind is Kind.RUN:
                self._queue.forget(uid)
                return
        elif self._store.put(kind, raw) is None:
            return
        if kind is Kind.JOB:
            self._mark_end(uid, raw)
        self._queue.add(uid)

    def _mark_end(self, uid: str, raw: Any) -> None:
        """Remember when a Job's completion was first seen, for the step latency."""
        entry = self._store.get(uid)
        job = observe_job(raw, uid)
        if entry is not None and job.phase is JobPhase.COMPLETE:
            entry.ended_at.setdefault(job.name, self._clock())


def build_registry(
    feed: Feed, login: Callable[[], kopf.ConnectionInfo], probe: Callable[[], float]
) -> kopf.OperatorRegistry:
    """Kopf's registry: how to log in, what to watch, and whether all is well (`probe` raises where it is not)."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(id="login", registry=registry)
    async def connect(**_: Any) -> kopf.ConnectionInfo:
        return login()

    @kopf.on.probe(id="watch_lag_seconds", registry=registry)
    async def healthy(**_: Any) -> float:
        return probe()

    for kind, selector in KOPF_SELECTORS.items():
        _watch(registry, feed, kind, selector)
    return registry


def _watch(registry: kopf.OperatorRegistry, feed: Feed, kind: Kind, selector: tuple[str, str, str]) -> None:
    @kopf.on.event(*selector, id=f"on_{kind.lower()}", registry=registry)
    async def on_event(event: Any, **_: Any) -> None:  # a returned value would patch the status
        try:
            feed.take(kind, event["type"], event["object"])
        except Exception:
            # Kopf would log and go on; the periodic listing then brings the object in.
            logger.exception("a watch event of a %s was not understood", kind)
            raise


def kopf_settings(settings: Settings) -> kopf.OperatorSettings:
    """Kopf's own settings: explicit timeouts, nothing posted, nothing discovered at run time."""
    configured = kopf.OperatorSettings()
    configured.posting.enabled = False
    configured.scanning.disabled = True
    configured.watching.server_timeout = int(settings.watch.server_timeout)
    configured.watching.client_timeout = settings.watch.client_timeout
    configured.watching.connect_timeout = settings.watch.connect_timeout
    configured.watching.chunk_size = 500
    configured.networking.request_timeout = settings.api.request_timeout
    configured.networking.connect_timeout = settings.api.connect_timeout
    configured.networking.error_backoffs = (0.5, 1, 2, 4, 8, *(10,) * 15)
    configured.process.ultimate_exiting_timeout = settings.queue.stop_seconds * 2
    for kind in (Kind.JOB, Kind.POD):
        configured.watching.label_selectors[KOPF_SELECTORS[kind]] = CHILD_SELECTOR
    return configured
