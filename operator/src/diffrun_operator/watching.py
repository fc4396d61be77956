"""Kopf's watches and its liveness endpoint, from their start to an end that nothing holds up."""

import asyncio
import logging
from collections.abc import Collection

import kopf

from diffrun_operator.handlers import kopf_settings
from diffrun_operator.settings import Settings

logger = logging.getLogger(__name__)

_AGAIN = 0.1
"""Seconds until a task that has not ended is cancelled once more."""


async def watch(settings: Settings, registry: kopf.OperatorRegistry) -> None:
    """Until SIGTERM or SIGINT. Raises what ended a part of Kopf before, such as an error in the midst of a watch."""
    namespaces = settings.namespaces
    where = ", ".join(namespaces) or "all namespaces"
    logger.info("serving DiffusionRuns in %s", where, extra={"release": settings.release.name})
    others = asyncio.all_tasks()
    parts = await kopf.spawn_tasks(
        registry=registry,
        settings=kopf_settings(settings),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
        liveness_endpoint=f"http://{settings.serve.host}:{settings.serve.health_port}/healthz",
    )
    try:
        ended, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        for part in ended:
            part.result()
        await kopf.run_tasks(parts, ignored=others)
    finally:
        await put_down(asyncio.all_tasks() - others)


async def put_down(tasks: Collection[asyncio.Task[object]]) -> None:
    """Cancels until all have ended. Once is not enough: a watch of Kopf may take it for a pause, and begin again."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN)
