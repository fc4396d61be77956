"""What the watches miss: the listing takes it in, drops what is gone, and tells a watch that stays behind."""

from reconcile_kit import JOBS_PATH, PREVIEW, RUN_PATH, UID

from diffrun_operator.resync import Resync
from diffrun_operator.settings import Watch
from diffrun_operator.store import Kind


def resync_of(world):
    return Resync(world.client, world.store, world.queue, world.tracker, ("team",), Watch(), world.metrics)


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
    resync._repair(Kind.JOB, [], listed_at=10)
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
