"""The process lives as long as all of its parts do: none of them dies in silence."""

import asyncio

import kopf
import pytest

from diffrun_operator import app
from diffrun_operator.metrics import Metrics
from diffrun_operator.settings import Redis


class PartError(Exception):
    """What a part dies of."""


async def fail(*_: object) -> None:
    raise PartError


async def last(*_: object) -> None:
    await asyncio.Event().wait()


@pytest.fixture
def parts(settings, client):
    return app.wire(settings, client, Metrics())


@pytest.fixture
def all_last(monkeypatch, parts):
    """Every part goes on for ever, until a test has it otherwise."""
    for name in ("watch", "work", "read_events"):
        monkeypatch.setattr(app, name, last)
    monkeypatch.setattr(parts.resync, "run", last)


def no_login() -> kopf.ConnectionInfo:
    raise AssertionError("nothing logs in here")


async def serve(settings, parts) -> None:
    with_redis = settings.model_copy(update={"redis": Redis(url="redis://nowhere:6379")})
    async with asyncio.timeout(10):
        await app.serve(with_redis, parts, no_login)


@pytest.mark.parametrize("part", ["watch", "work", "read_events", "resync"])
async def test_the_death_of_any_part_ends_the_process_with_its_error(all_last, monkeypatch, settings, parts, part):
    if part == "resync":
        monkeypatch.setattr(parts.resync, "run", fail)
    else:
        monkeypatch.setattr(app, part, fail)
    with pytest.raises(ExceptionGroup) as caught:
        await serve(settings, parts)
    assert caught.group_contains(PartError)


async def test_a_signal_ends_every_part_and_none_is_left_behind(all_last, monkeypatch, settings, parts):
    async def signalled(*_: object) -> None:
        """Kopf's own end."""

    monkeypatch.setattr(app, "watch", signalled)
    hasty = settings.model_copy(update={"queue": settings.queue.model_copy(update={"stop_seconds": 0.01})})
    await serve(hasty, parts)
    assert asyncio.all_tasks() == {asyncio.current_task()}
