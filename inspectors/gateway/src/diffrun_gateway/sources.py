"""Where runs come from: the Kubernetes API, or (without a cluster) the workspace and Redis."""

import asyncio
import logging
import random
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from diffrun_contracts import names
from diffrun_gateway import telemetry
from diffrun_gateway.archive import Archive
from diffrun_gateway.errors import ApiError
from diffrun_gateway.files import Files
from diffrun_gateway.hub import Hub
from diffrun_gateway.kube import Kube, WatchExpired
from diffrun_gateway.registry import Registry
from diffrun_gateway.runs import Run, archived, from_events, from_object
from diffrun_gateway.stream_reader import REDIS_ERRORS

logger = logging.getLogger(__name__)

MAX_BACKOFF = 30.0
"""Seconds between attempts to watch, at most."""
LOCAL_SECONDS = 1.0
"""How often a workspace without a cluster is looked at."""


class KubernetesSource:
    """Lists and watches; keeps the last object of runs that end or go."""

    def __init__(
        self, kube: Kube, registry: Registry, archive: Archive | None, namespaces: Sequence[str | None],
        archive_seconds: float,
    ) -> None:  # fmt: skip
        self._kube, self._registry, self._archive = kube, registry, archive
        self._namespaces, self._archive_seconds = namespaces, archive_seconds
        self._listed: set[str | None] = set()
        self._kept: set[str] = set()

    async def run(self) -> None:
        """Never ends."""
        async with asyncio.TaskGroup() as group:
            for namespace in self._namespaces:
                group.create_task(self._watch(namespace), name=f"watch {namespace or 'all namespaces'}")
            group.create_task(self._archived(), name="archive")

    async def _watch(self, namespace: str | None) -> None:
        failures = 0
        while True:
            try:
                position = await self._list(namespace)
                failures = 0
                while True:
                    position = await self._follow(namespace, position)
            except WatchExpired:
                continue
            except ApiError as error:
                telemetry.WATCH_ERRORS.inc()
                where = f"namespace {namespace}" if namespace else "the cluster"
                self._registry.problems[str(namespace)] = f"runs of {where} may be missing or stale: {error}"
                logger.warning("cannot watch runs: %s", error, extra={"fields": {"namespace": namespace}})
                failures += 1
                await asyncio.sleep(min(MAX_BACKOFF, 0.5 * 2**failures) * (0.5 + 0.5 * random.random()))  # noqa: S311

    async def _list(self, namespace: str | None) -> str:
        items, position = await self._kube.list_runs(namespace)
        present = set()
        for item in items:
            run = from_object(item)
            present.add(run.ref.uid)
            await self._seen(run)
        for run in list(self._registry.runs.values()):
            if not run.archived and run.ref.uid not in present and namespace in (None, run.ref.namespace):
                await self._gone(run)
        self._registry.problems.pop(str(namespace), None)
        self._listed.add(namespace)
        if self._listed >= set(self._namespaces):
            self._registry.ready.set()
        return position

    async def _follow(self, namespace: str | None, position: str) -> str:
        async for kind, item in self._kube.watch_runs(namespace, position):
            position = item["metadata"]["resourceVersion"]
            if kind == "DELETED":
                await self._gone(from_object(item))
            elif kind in ("ADDED", "MODIFIED"):
                await self._seen(from_object(item))
        return position

    async def _seen(self, run: Run) -> None:
        self._registry.put(run)
        if run.over and run.ref.uid not in self._kept:
            self._kept.add(run.ref.uid)
            await self._keep(run)

    async def _gone(self, run: Run) -> None:
        """The pages of a deleted run live on from its files."""
        if await self._keep(run):
            self._registry.archive(archived(run))
        else:
            self._registry.remove(run.ref.uid)

    async def _keep(self, run: Run) -> bool:
        """Keeps the object beside the artifacts; whether the run has files to show."""
        if self._archive is None:
            return False
        try:
            return await asyncio.to_thread(self._archive.write, run) or await asyncio.to_thread(
                self._archive.has_files, run.ref.uid
            )
        except OSError as error:
            logger.warning("cannot look for the files of run %s, which stays listed: %s", run.ref.uid, error.strerror)
            return True

    async def _archived(self) -> None:
        """Runs that were deleted before this process began."""
        if self._archive is None:
            return
        await self._registry.ready.wait()
        served = None if None in self._namespaces else set(self._namespaces)
        while True:
            try:
                for run in await asyncio.to_thread(self._archive.changed):
                    if served is None or run.ref.namespace in served:
                        self._registry.put(archived(run))
            except OSError as error:
                logger.warning("cannot look for archived runs: %s", error)
            await asyncio.sleep(self._archive_seconds)


class WorkspaceSource:
    """Every run that has files or a stream; `run.json` is its object where there is one."""

    def __init__(self, registry: Registry, hub: Hub, files: Files | None, redis_url: str | None) -> None:
        self._registry, self._hub, self._files, self._redis_url = registry, hub, files, redis_url
        self._archive = Archive(files) if files else None
        self._with_object: set[str] = set()
        self._versions: dict[str, int] = {}
        self._unread: set[str] = set()

    async def run(self) -> None:
        """Never ends."""
        while True:
            await self.look()
            self._registry.ready.set()
            await asyncio.sleep(LOCAL_SECONDS)

    async def look(self) -> None:
        """Finds what is new."""
        uids = await self._stored() | await self._streams()
        for uid in sorted(uids - self._with_object):
            await self._derive(uid)
        for uid in self._unread & self._with_object:
            self._readable(uid)

    async def _stored(self) -> set[str]:
        """The UIDs that have a directory."""
        if self._archive is None or self._files is None:
            return set()
        try:
            for run in await asyncio.to_thread(self._archive.changed):
                self._with_object.add(run.ref.uid)
                self._registry.put(run)
            found = set(await asyncio.to_thread(self._files.runs))
        except OSError as error:
            self._registry.problems["workspace"] = f"the workspace cannot be read ({error.strerror}); runs may miss"
            return set()
        self._registry.problems.pop("workspace", None)
        return found

    async def _derive(self, uid: str) -> None:
        """From the run's events, each time there are new ones."""
        try:
            feed = self._hub.loaded(uid) or (None if uid in self._versions else await self._hub.feed(uid))
        except ApiError as error:
            self._registry.problems[uid] = str(error)
            self._unread.add(uid)
            return
        self._readable(uid)
        if feed is None or self._versions.get(uid) == feed.store.version:
            return
        self._versions[uid] = feed.store.version
        run = from_events(feed.store)
        if run is not None:
            self._registry.put(run)

    def _readable(self, uid: str) -> None:
        self._unread.discard(uid)
        self._registry.problems.pop(uid, None)

    async def _streams(self) -> set[str]:
        """The UIDs that have a stream."""
        if self._redis_url is None:
            return set()
        before, _, after = names.events_key("*").partition("*")
        pattern = names.events_key("*").replace("{", "\\{").replace("}", "\\}")
        client: Redis = Redis.from_url(self._redis_url, protocol=2, socket_timeout=5, socket_connect_timeout=2)
        try:
            keys: list[Any] = [key async for key in client.scan_iter(match=pattern, count=1000)]
        except REDIS_ERRORS as error:
            self._registry.problems["redis"] = f"Redis does not answer ({type(error).__name__}); newest runs may miss"
            return set()
        finally:
            await client.aclose()
        self._registry.problems.pop("redis", None)
        return {key.decode().removeprefix(before).removesuffix(after) for key in keys}
