"""What the watches miss: the listing takes it in, drops what is gone, and tells a watch that stays behind."""

import asyncio

import pytest
from reconcile_kit import JOBS_PATH, PREVIEW, RUN_PATH, UID

from diffrun_operator.resync import Resync
from diffrun_operator.settings import Watch
from diffrun_operator.store import Kind

OTHER = "99999999-2222-3333-4444-555555555555"
OTHER_PATH = RUN_PATH.replace("/team/", "/other/")
REFUSED = {"reason": "Forbidden", "message": "nobody may list here"}


def resync_of(world, *namespaces, **settings):
    where = namespaces or ("team",)
    return Resync(world.client, world.store, world.queue, world.tracker, where, Watch(**settings), world.metrics)


def resync_of_all(world):
    return Resync(world.client, world.store, world.queue, world.tracker, (), Watch(), world.metrics)


async def test_what_a_watch_has_missed_is_taken_in_from_the_listing(world, raw_run, raw_job):
    world.api.seed(RUN_PATH, raw_run(PREVIEW))
    world.api.seed(f"{JOBS_PATH}/x", raw_job("x"))
    await resync_of(world).once()
    assert world.store.get(UID).run is not None
    assert len(world.store.get(UID).jobs) == 1
    assert await world.queue.get() == UID


async def test_what_is_gone_without_word_is_dropped_and_its_run_reconciled(world, raw_run, raw_job):
    world.api.seed(RUN_PATH, raw_run(PREVIEW))
    world.api.seed(f"{JOBS_PATH}/x", raw_job("x"))
    world.deliver(Kind.RUN, RUN_PATH)
    world.deliver(Kind.JOB, f"{JOBS_PATH}/x")
    world.queue.forget(UID)
    del world.api.objects[f"{JOBS_PATH}/x"]
    await resync_of(world).once()
    assert not world.store.get(UID).jobs
    assert await world.queue.get() == UID


async def test_what_is_younger_than_the_listing_is_not_taken_for_gone(world, raw_run, raw_job):
    world.store.put(Kind.RUN, raw_run(PREVIEW))
    world.store.put(Kind.JOB, raw_job("x", version=10**9))
    resync = resync_of(world)
    resync._repair(Kind.JOB, [], listed_at=10, namespace="team")
    assert len(world.store.get(UID).jobs) == 1


async def test_a_watch_that_stays_behind_is_told_by_its_lag_until_it_catches_up(world, raw_run):
    world.api.seed(RUN_PATH, raw_run(PREVIEW))
    resync = resync_of(world)
    await resync.once()
    world.seconds = 61.0
    await resync.once()
    assert world.tracker.lag() == 61.0
    world.deliver(Kind.RUN, RUN_PATH)
    assert world.tracker.lag() == 0.0


async def test_an_object_that_goes_before_its_watch_delivers_it_is_owed_no_more(world, raw_run):
    world.api.seed(RUN_PATH, raw_run(PREVIEW))
    resync = resync_of(world)
    await resync.once()
    del world.api.objects[RUN_PATH]
    world.seconds = 61.0
    await resync.once()
    assert world.tracker.lag() == 0.0


@pytest.fixture
def two(world, raw_run):
    """A run in each of two namespaces, both delivered and at rest."""
    world.api.seed(RUN_PATH, raw_run(PREVIEW))
    world.api.seed(OTHER_PATH, raw_run(PREVIEW, uid=OTHER, namespace="other"))
    for uid, path in ((UID, RUN_PATH), (OTHER, OTHER_PATH)):
        world.deliver(Kind.RUN, path)
        world.queue.forget(uid)
    return world


def known(world):
    return {uid for uid, _ in world.store.objects(Kind.RUN)}


async def test_a_namespace_that_cannot_be_listed_keeps_what_is_known_of_it_and_the_others_are_compared(two, caplog):
    del two.api.objects[RUN_PATH], two.api.objects[OTHER_PATH]
    two.api.fail_next("GET", "/namespaces/team/diffusionruns", 403, REFUSED)
    await resync_of(two, "team", "other").once()
    assert known(two) == {UID}
    assert await two.queue.get() == OTHER
    assert len(caplog.records) == 1
    assert "diffusionruns in team (nobody may list here)" in caplog.text
    assert "other" not in caplog.messages[0]
    await resync_of(two, "team", "other").once()
    assert known(two) == set()


@pytest.mark.parametrize("code", [403, 404, 500])
async def test_the_listing_of_one_kind_that_fails_leaves_the_other_kinds_of_its_namespace(two, raw_job, code):
    two.api.seed(f"{JOBS_PATH}/x", raw_job("x"))
    two.api.fail_next("GET", "/namespaces/team/diffusionruns", code, REFUSED)
    await resync_of(two, "team", "other").once()
    assert known(two) == {UID, OTHER}
    assert len(two.store.get(UID).jobs) == 1


async def test_a_watch_that_is_behind_is_noticed_though_another_namespace_is_never_listed(two):
    resync = resync_of(two, "other", "team")
    two.api.seed(RUN_PATH, two.api.objects[RUN_PATH])
    for _ in range(2):
        two.api.fail_next("GET", "/namespaces/other/diffusionruns", 403, REFUSED)
        await resync.once()
        two.seconds += 61.0
    assert two.tracker.lag() == 122.0


async def test_what_a_watch_owes_is_still_owed_while_its_namespace_cannot_be_listed(two):
    resync = resync_of(two, "team", "other")
    two.api.seed(RUN_PATH, two.api.objects[RUN_PATH])
    await resync.once()
    two.seconds = 61.0
    two.api.fail_next("GET", "/namespaces/team/diffusionruns", 403, REFUSED)
    await resync.once()
    assert two.tracker.lag() == 61.0


async def test_what_has_gone_is_forgotten_of_each_namespace_that_is_listed(two):
    del two.api.objects[RUN_PATH], two.api.objects[OTHER_PATH]
    two.api.fail_next("GET", "/namespaces/team/diffusionruns", 403, REFUSED)
    await resync_of(two, "team", "other").once()
    assert len(two.tracker._delivered[Kind.RUN]) == 1
    await resync_of(two, "team", "other").once()
    assert not two.tracker._delivered[Kind.RUN]


async def test_a_listing_of_all_namespaces_takes_in_and_drops_in_each_of_them(two, raw_job):
    del two.api.objects[OTHER_PATH]
    two.api.seed(f"{JOBS_PATH}/x", raw_job("x"))
    await resync_of_all(two).once()
    assert known(two) == {UID}
    assert len(two.store.get(UID).jobs) == 1
    assert len(two.tracker._delivered[Kind.RUN]) == 1


async def test_a_listing_of_all_namespaces_that_fails_drops_nothing_and_the_next_kind_is_compared(two, raw_job, caplog):
    del two.api.objects[OTHER_PATH]
    two.api.seed(f"{JOBS_PATH}/x", raw_job("x"))
    two.api.fail_next("GET", "/diffusionruns", 500, {"message": "out of order"})
    await resync_of_all(two).once()
    assert known(two) == {UID, OTHER}
    assert len(two.store.get(UID).jobs) == 1
    assert "diffusionruns in all namespaces" in caplog.text


async def test_the_comparison_goes_on_for_ever_though_a_namespace_is_refused_each_time(two):
    two.api.seed(RUN_PATH, two.api.objects[RUN_PATH])
    for _ in range(10_000):
        two.api.fail_next("GET", "/namespaces/other/", 403, REFUSED)
    turning = asyncio.create_task(resync_of(two, "other", "team", resync_seconds=0.001).run())
    assert await asyncio.wait_for(two.queue.get(), 5) == UID
    assert not turning.done()
    turning.cancel()
