"""The process: Kopf's watches, the queue's workers, the periodic listing and the events' reader in one group.

The death of any of them ends the process, which Kubernetes starts again: a part that died in silence would
leave runs standing while the probe says that all is well.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import kopf
from prometheus_client import start_http_server

from diffrun_operator.client import KubeClient
from diffrun_operator.connection import connect
from diffrun_operator.errors import ApiError
from diffrun_operator.events_reader import EventsReader
from diffrun_operator.events_reader import connect as connect_redis
from diffrun_operator.execute import Executor
from diffrun_operator.guard import GateGuard
from diffrun_operator.handlers import Feed, build_registry
from diffrun_operator.metrics import Metrics
from diffrun_operator.model import Policy
from diffrun_operator.queue import Backoff, KeyedQueue
from diffrun_operator.reconcile import Reconciler
from diffrun_operator.resync import Resync, WatchTracker
from diffrun_operator.settings import Settings
from diffrun_operator.store import Store
from diffrun_operator.watching import watch
from diffrun_operator.workers import work

logger = logging.getLogger(__name__)

CRD_POLL = 2.0
"""Seconds between two looks for the CRD, before there is anything that could be watched."""


def jitter() -> float:
    """A factor between 0.5 and 1, so that what failed together is not tried again together."""
    return 0.5 + random.random() / 2  # noqa: S311 - spreads retries, keeps no secret


@dataclass(frozen=True, slots=True)
class Parts:
    """What the process consists of, wired together."""

    client: KubeClient
    store: Store
    queue: KeyedQueue
    tracker: WatchTracker
    metrics: Metrics
    reconciler: Reconciler
    resync: Resync


async def run(settings: Settings, login: Callable[[], kopf.ConnectionInfo] = connect) -> None:
    """Serve until SIGTERM. Raises what any part raised."""
    metrics = Metrics()
    async with KubeClient(login, settings.api, metrics.api_request) as client:
        parts = wire(settings, client, metrics)
        server, thread = start_http_server(settings.serve.metrics_port, settings.serve.host, metrics.registry)
        try:
            await wait_for_crd(client)
            await serve(settings, parts, login)
        finally:
            await asyncio.to_thread(_stop_metrics, server, thread)


def _stop_metrics(server: Any, thread: threading.Thread) -> None:
    server.shutdown()
    server.server_close()
    thread.join()


def wire(settings: Settings, client: KubeClient, metrics: Metrics) -> Parts:
    """Make the parts and hand them to one another."""
    store = Store()
    queue = KeyedQueue(Backoff(settings.queue.backoff_base, settings.queue.backoff_cap, jitter))
    tracker = WatchTracker(time.monotonic)
    metrics.watch(depth=lambda: len(queue), active=lambda: len(store.active()))
    policy = Policy(retries=settings.worker.retries, max_ignored_disruptions=settings.worker.max_ignored_disruptions)
    reconciler = Reconciler(
        client,
        store,
        Executor(client, settings, time.monotonic),
        GateGuard(client, settings.gates, time.monotonic),
        policy,
        metrics,
        time.monotonic,
    )
    resync = Resync(client, store, queue, tracker, settings.namespaces, settings.watch, metrics)
    return Parts(client, store, queue, tracker, metrics, reconciler, resync)


async def wait_for_crd(client: KubeClient) -> None:
    """Wait until the API server serves DiffusionRuns: Kopf would otherwise watch nothing, for ever."""
    told = False
    while True:
        try:
            if await client.serves_runs():
                return
            problem = "the CustomResourceDefinition of DiffusionRuns is not there yet"
        except ApiError as error:
            problem = f"the API server does not answer: {error}"
        if not told:
            logger.warning("waiting: %s", problem)
            told = True
        await asyncio.sleep(CRD_POLL)


async def serve(settings: Settings, parts: Parts, login: Callable[[], kopf.ConnectionInfo]) -> None:
    """Run every part until Kopf ends on a signal, or until one of them fails."""
    feed = Feed(parts.store, parts.queue, parts.tracker, time.monotonic)
    registry = build_registry(feed, login, lambda: probe(parts.tracker, settings.watch.max_lag_seconds))
    async with asyncio.TaskGroup() as group:
        workers = [
            group.create_task(work(parts.queue, parts.reconciler, parts.metrics), name=f"worker {number}")
            for number in range(settings.queue.workers)
        ]
        others = [group.create_task(parts.resync.run(), name="resync")]
        if settings.redis.url is not None:
            others.append(group.create_task(read_events(settings, parts), name="events reader"))
        await watch(settings, registry)
        logger.info("stopping: what is under way is brought to its end")
        parts.queue.close()
        _, late = await asyncio.wait(workers, timeout=settings.queue.stop_seconds)
        for task in (*late, *others):
            task.cancel()


async def read_events(settings: Settings, parts: Parts) -> None:
    """The reader with its own connection to Redis."""
    async with connect_redis(settings.redis) as streams:
        reader = EventsReader(streams, parts.store, parts.queue, settings.redis, parts.metrics, time.monotonic, jitter)
        await reader.run()


def probe(tracker: WatchTracker, limit: float) -> float:
    """The watches' lag in seconds. Raises kopf.PermanentError, which the probe answers with 500, beyond the limit."""
    lag = tracker.lag()
    if lag > limit:
        raise kopf.PermanentError(f"a watch has been behind the API server for {lag:.0f} s; a restart watches anew")
    return round(lag, 1)
