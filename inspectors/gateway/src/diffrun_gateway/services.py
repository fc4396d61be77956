"""Everything that a request needs, made once at the start and closed at the end."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit, urlunsplit

from diffrun_contracts.api import RunDetail, RunEntry
from diffrun_gateway import runs
from diffrun_gateway.access import Access, KubernetesAccess, OpenAccess, Viewer
from diffrun_gateway.actions import Actions, KubernetesActions, LocalActions, NoActions
from diffrun_gateway.archive import Archive
from diffrun_gateway.digests import Digests
from diffrun_gateway.elsewhere import Elsewhere
from diffrun_gateway.errors import BadRequest, Forbidden, NotFound
from diffrun_gateway.files import Files, VolumeFiles
from diffrun_gateway.grants import Right, grant
from diffrun_gateway.hub import Hub
from diffrun_gateway.kube import Connection, Kube, from_kubeconfig, in_cluster
from diffrun_gateway.registry import Registry
from diffrun_gateway.runs import Run
from diffrun_gateway.settings import Redis, Settings, SettingsError
from diffrun_gateway.sources import KubernetesSource, WorkspaceSource
from diffrun_gateway.sse import Streams
from diffrun_gateway.store_files import StoreFiles
from diffrun_gateway.thumbs import Thumbnails

logger = logging.getLogger(__name__)


@dataclass
class Services:
    """The parts, wired."""

    settings: Settings
    registry: Registry
    hub: Hub
    files: Files | None
    elsewhere: Elsewhere
    access: Access
    actions: Actions
    streams: Streams
    thumbnails: Thumbnails
    digests: Digests = field(default_factory=Digests)

    async def visible(self, viewer: Viewer, uid: str) -> Run:
        """The run, if the viewer may see it. Raises NotFound: what is not to be seen does not exist."""
        run = self.registry.runs.get(uid)
        if run is None or not await self.access.may(viewer, run.ref.namespace, "get"):
            raise NotFound(f"there is no run {uid!r}, or you may not get diffusionruns in its namespace", field="run",
                           code="RunNotFound")  # fmt: skip
        return run

    async def all_visible(self, viewer: Viewer, uids: list[str]) -> list[Run]:
        """Several runs, each once. Raises NotFound, BadRequest."""
        unique = list(dict.fromkeys(uids))
        most = self.settings.limits.runs_per_request
        if not 1 <= len(unique) <= most:
            raise BadRequest(f"name between 1 and {most} runs, as run=<uid>", field="run")
        return [await self.visible(viewer, uid) for uid in unique]

    async def named(self, viewer: Viewer, namespace: str, name: str, uid: str | None) -> Run:
        """The run of that name, or exactly the one with the UID. Raises Forbidden, NotFound."""
        if not await self.access.may(viewer, namespace, "get"):
            who = viewer.user.name if viewer.user else "you"
            line = grant(Right.VIEW, viewer.user.name, namespace) if viewer.user else None
            raise Forbidden(f"{who} may not get diffusionruns in namespace {namespace}", grant=line)
        run = self.registry.runs.get(uid) if uid else self.registry.named(namespace, name)
        if run is None or (run.ref.namespace, run.ref.name) != (namespace, name):
            raise NotFound(f"there is no run {namespace}/{name}" + (f" with uid {uid}" if uid else ""),
                           code="RunNotFound")  # fmt: skip
        return run

    def entry(self, run: Run) -> RunEntry:
        """The run's line in the list."""
        sparkline, thumbnail = self.hub.summary(run.ref.uid)
        return runs.entry(run, datetime.now(UTC), sparkline=sparkline, thumbnail=thumbnail)

    async def detail(self, viewer: Viewer, run: Run) -> RunDetail:
        """The run's page."""
        return runs.detail(run, self.entry(run), await self.access.permissions(viewer, run.ref.namespace))


def connection(settings: Settings) -> Connection | None:
    """Where Kubernetes is; None without a cluster. Raises SettingsError."""
    if settings.runs.source == "workspace":
        return None
    path = settings.runs.kubeconfig
    try:
        return from_kubeconfig(path) if path else in_cluster(os.environ)
    except KeyError as error:
        raise SettingsError(f"{error} is not set: outside a cluster give --kubeconfig, or --local --no-auth") from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"runs.kubeconfig: {error}") from error


@asynccontextmanager
async def running(settings: Settings, cluster: Connection | None) -> AsyncIterator[Services]:
    """Starts what works in the background; its death is the process' death."""
    registry = Registry()
    files = _files(settings)
    url = redis_url(settings.redis)
    hub = Hub(registry, files, url, settings.limits)
    kube = await Kube(cluster).__aenter__() if cluster else None
    access, actions = _access(settings, kube), _actions(settings, kube, files, registry)
    services = Services(
        settings, registry, hub, files, Elsewhere(files, settings.workspace_namespace), access, actions,
        Streams(settings.limits),
        Thumbnails(settings.limits.thumbnail_cache_bytes, settings.limits.image_pixels),
    )  # fmt: skip
    background = [_source(settings, kube, registry, files, hub, url), hub.sweep()]
    tasks = [asyncio.create_task(_vital(work)) for work in background]
    try:
        yield services
    finally:
        services.streams.stopping.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await hub.close()
        if kube is not None:
            await kube.__aexit__()


def _files(settings: Settings) -> Files | None:
    if settings.workspace_url:
        return StoreFiles(settings.workspace_url)
    return VolumeFiles(settings.workspace) if settings.workspace else None


def _source(
    settings: Settings, kube: Kube | None, registry: Registry, files: Files | None, hub: Hub, url: str | None
) -> Awaitable[None]:
    if kube is None:
        return WorkspaceSource(registry, hub, files, url).run()
    namespaces: list[str | None] = [None] if settings.runs.cluster_wide else list(settings.runs.namespaces)
    archive = Archive(files) if files else None
    return KubernetesSource(kube, registry, archive, namespaces, settings.runs.archive_seconds).run()


def _access(settings: Settings, kube: Kube | None) -> Access:
    if settings.auth.mode == "none" or kube is None:
        return OpenAccess(local=settings.runs.source == "workspace")
    return KubernetesAccess(kube, settings.auth)


def _actions(settings: Settings, kube: Kube | None, files: Files | None, registry: Registry) -> Actions:
    if kube is None:
        return LocalActions(files, registry)
    return NoActions() if settings.auth.mode == "none" else KubernetesActions(kube, registry)


async def _vital(work: Awaitable[None]) -> None:
    """What only pretends to be alive helps nobody: the process ends, and is started again."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except BaseException:
        logger.critical("a part that must never end has failed", exc_info=True)
        os._exit(1)


def redis_url(settings: Redis) -> str | None:
    """The URL with the credentials in it, which the client takes from nowhere else."""
    if settings.url is None or settings.password is None:
        return settings.url
    parts = urlsplit(settings.url)
    user, secret = quote(settings.username or "", safe=""), quote(settings.password.get_secret_value(), safe="")
    return urlunsplit(parts._replace(netloc=f"{user}:{secret}@{parts.netloc.rpartition('@')[2]}"))
