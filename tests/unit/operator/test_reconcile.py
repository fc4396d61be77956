"""Whole turns: store, decision core, executor and client together, against a server that speaks real HTTP."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from diffrun_contracts import names
from diffrun_contracts.status import DiffusionRunStatus
from diffrun_operator import errors
from diffrun_operator.execute import Executor
from diffrun_operator.guard import GateGuard, find_problem
from diffrun_operator.handlers import Feed
from diffrun_operator.metrics import Metrics
from diffrun_operator.model import Policy
from diffrun_operator.observe import StatusUnreadableError
from diffrun_operator.queue import Backoff, KeyedQueue
from diffrun_operator.reconcile import Reconciler
from diffrun_operator.resync import Resync, WatchTracker
from diffrun_operator.settings import Watch
from diffrun_operator.store import Kind, Store
from diffrun_operator.workers import turn

UID = "11111111-2222-3333-4444-555555555555"
RUNS_PATH = "/apis/diffrun.dev/v1alpha1/namespaces/team/diffusionruns"
RUN_PATH = f"{RUNS_PATH}/cats"
JOBS_PATH = "/apis/batch/v1/namespaces/team/jobs"
PODS_PATH = "/api/v1/namespaces/team/pods"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
PREVIEW = {"name": "preview", "generatePreview": {"samples": 2}}
GATED = PREVIEW | {"gate": {"prompt": "look"}}
FULL = {"name": "full", "generateFull": {"samples": 4}}
FIRST = names.job_name("cats", "preview", UID, 1)
SECOND = names.job_name("cats", "full", UID, 1)


class World:
    """One operator, without its watches: what they would deliver is fed by hand."""

    def __init__(self, api, client, settings):
        self.api, self.client, self.seconds = api, client, 0.0
        self.store, self.metrics = Store(), Metrics()
        self.queue = KeyedQueue(Backoff(base=0.001, cap=0.01))
        self.tracker = WatchTracker(self.monotonic)
        self.feed = Feed(self.store, self.queue, self.tracker, self.monotonic)
        self.reconciler = Reconciler(
            client,
            self.store,
            Executor(client, settings, self.monotonic, self.clock),
            GateGuard(client, settings.gates, self.monotonic),
            Policy(),
            self.metrics,
            self.monotonic,
            self.clock,
        )

    def monotonic(self):
        return self.seconds

    def clock(self):
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def deliver(self, kind, path, event="MODIFIED"):
        """What the watch would say of the object at a path."""
        self.feed.take(kind, event, self.api.objects[path])

    async def turn(self):
        """One turn of whatever comes up next, now or when its delay has passed."""
        uid = await asyncio.wait_for(self.queue.get(), timeout=5)
        await turn(uid, self.queue, self.reconciler, self.metrics)

    async def settle(self, limit=20):
        """Turns until the queue has nothing that is ready."""
        for _ in range(limit):
            if not len(self.queue):
                return
            await self.turn()
        raise AssertionError("the queue does not come to rest")

    def finish_job(self, name):
        job = self.api.objects[f"{JOBS_PATH}/{name}"]
        time = self.clock().isoformat()
        status = {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": time}], "succeeded": 1}
        self.api.seed(f"{JOBS_PATH}/{name}", job | {"status": status})
        self.deliver(Kind.JOB, f"{JOBS_PATH}/{name}")

    def count(self, result):
        return self.metrics.registry.get_sample_value("diffrun_reconciles_total", {"result": result}) or 0

    @property
    def status(self):
        return DiffusionRunStatus.model_validate(self.api.objects[RUN_PATH].get("status", {}))

    def block(self, name):
        return next(block for block in self.status.blocks if block.name == name)


@pytest.fixture
def world(api, client, settings):
    api.seed(f"{POLICIES}/guard", {"spec": {"failurePolicy": "Fail"}})
    api.seed(f"{BINDINGS}/guard", {"spec": {"policyName": "guard", "validationActions": ["Deny"]}})
    return World(api, client, settings)


async def start(world, raw_run, *blocks):
    world.api.seed(RUN_PATH, raw_run(*blocks))
    world.deliver(Kind.RUN, RUN_PATH, "ADDED")
    await world.settle()


async def test_a_run_goes_from_its_first_job_to_its_end(world, raw_run):
    await start(world, raw_run, PREVIEW, FULL)
    assert f"{JOBS_PATH}/{FIRST}" in world.api.objects
    world.finish_job(FIRST)
    await world.settle()
    assert f"{JOBS_PATH}/{SECOND}" in world.api.objects
    world.finish_job(SECOND)
    await world.settle()
    world.deliver(Kind.RUN, RUN_PATH)
    await world.settle()
    conditions = {item.type: item.status for item in world.status.conditions}
    assert conditions["Finished"] == conditions["Succeeded"] == "True"
    assert world.store.get(UID).finished, "a run that has ended is kept as a stub only"


async def test_our_own_writes_are_seen_though_no_watch_delivers_them(world, raw_run):
    await start(world, raw_run, PREVIEW)
    world.queue.add(UID)
    await world.settle()
    assert world.api.paths("POST").count(JOBS_PATH) == 1
    assert world.block("preview").job_ref.uid == world.api.objects[f"{JOBS_PATH}/{FIRST}"]["metadata"]["uid"]


async def test_a_stale_watch_event_does_not_turn_the_view_back(world, raw_run):
    old = world.api.seed(RUN_PATH, raw_run(PREVIEW))
    world.deliver(Kind.RUN, RUN_PATH, "ADDED")
    await world.settle()
    world.feed.take(Kind.RUN, "MODIFIED", old)
    await world.settle()
    assert world.api.paths("POST").count(JOBS_PATH) == 1
    assert world.count("stale") == 0


async def test_a_conflict_is_answered_by_reading_again(world, raw_run):
    await start(world, raw_run, PREVIEW)
    other = world.api.objects[RUN_PATH]
    world.api.seed(RUN_PATH, other | {"metadata": other["metadata"] | {"labels": {"a": "b"}}})
    world.finish_job(FIRST)
    await world.turn()
    assert world.count("stale") == 1
    world.queue.add(UID)
    await world.settle()
    assert world.block("preview").state == "Succeeded"


async def test_a_recorded_job_that_the_view_lacks_is_looked_up_before_it_counts_as_lost(world, raw_run):
    await start(world, raw_run, PREVIEW)
    world.store.get(UID).jobs.clear()
    world.queue.add(UID)
    await world.settle()
    assert world.block("preview").attempt == 1
    assert list(world.store.get(UID).jobs), "the Job was found by the live GET"


async def test_a_job_that_somebody_deleted_is_lost_and_told_so(world, raw_run):
    await start(world, raw_run, PREVIEW | {"retries": 0})
    world.deliver(Kind.JOB, f"{JOBS_PATH}/{FIRST}")
    await world.settle()
    assert world.block("preview").job_ref.uid is not None
    job = world.api.objects.pop(f"{JOBS_PATH}/{FIRST}")
    world.feed.take(Kind.JOB, "DELETED", job)
    await world.settle()
    assert (world.block("preview").state, world.block("preview").reason) == ("Failed", "Lost")


async def test_a_foreign_job_of_the_name_fails_the_block_with_that_reason(world, raw_run, raw_job):
    world.api.seed(f"{JOBS_PATH}/{FIRST}", raw_job(FIRST, owner="somebody-else"))
    await start(world, raw_run, PREVIEW)
    world.queue.add(UID)
    await world.settle()
    assert world.block("preview").reason == "NameCollision"
    assert f"{JOBS_PATH}/{FIRST}" in world.api.objects


async def test_a_refused_job_fails_the_block_with_the_servers_words(world, raw_run):
    world.api.fail_next("POST", "/jobs", 422, {"message": "memory: must be less than the limit"})
    await start(world, raw_run, PREVIEW)
    world.queue.add(UID)
    await world.settle()
    assert world.block("preview").reason == "JobRefused"
    assert "must be less than the limit" in world.block("preview").message


async def test_an_error_of_the_server_is_tried_again_later(world, raw_run):
    world.api.fail_next("PATCH", "/status", 500)
    await start(world, raw_run, PREVIEW)
    assert world.count("error") == 1
    assert f"{JOBS_PATH}/{FIRST}" not in world.api.objects, "no action without the status written"
    await world.turn()
    assert f"{JOBS_PATH}/{FIRST}" in world.api.objects


@pytest.mark.parametrize("after", range(8))
async def test_a_server_that_fails_at_any_request_changes_nothing_in_the_end(world, raw_run, after):
    async def turns_until(done):
        for _ in range(100):
            if done():
                return
            await world.turn()
            if not done():
                world.deliver(Kind.RUN, RUN_PATH)
        raise AssertionError(f"no end in sight: {world.status}")

    async def drive():
        world.api.seed(RUN_PATH, raw_run(PREVIEW, FULL))
        world.deliver(Kind.RUN, RUN_PATH, "ADDED")
        for name in (FIRST, SECOND):
            await turns_until(lambda name=name: f"{JOBS_PATH}/{name}" in world.api.objects)
            world.finish_job(name)
        await turns_until(lambda: world.store.get(UID).finished)

    handled = iter(range(1000))
    carry_out = world.api._carry_out

    def lose_one_answer(request, body):
        code, answer = carry_out(request, body)
        return (503, {"message": "lost"}) if next(handled) == after else (code, answer)

    world.api._carry_out = lose_one_answer
    await drive()
    assert {block.state for block in world.status.blocks} == {"Succeeded"}
    assert {block.attempt for block in world.status.blocks} == {1}
    assert len([path for path in world.api.objects if path.startswith(JOBS_PATH)]) == 2


async def test_a_gate_waits_for_its_decision_and_opens_once(world, raw_run):
    await start(world, raw_run, GATED, FULL)
    world.finish_job(FIRST)
    await world.settle()
    assert world.status.gates["preview"].state == "Waiting"
    assert f"{JOBS_PATH}/{SECOND}" not in world.api.objects
    await world.client.patch_run_status(
        "team", "cats", {"status": {"gates": {"preview": {"decision": "Approved", "decidedBy": "alice"}}}}
    )
    world.deliver(Kind.RUN, RUN_PATH)
    await world.settle()
    assert (world.status.gates["preview"].state, world.status.gates["preview"].decided_by) == ("Approved", "alice")
    assert f"{JOBS_PATH}/{SECOND}" in world.api.objects


async def test_no_decision_counts_once_the_admission_policy_is_gone(world, raw_run):
    await start(world, raw_run, GATED, FULL)
    world.finish_job(FIRST)
    await world.settle()
    del world.api.objects[f"{BINDINGS}/guard"]
    await world.client.patch_run_status("team", "cats", {"status": {"gates": {"preview": {"decision": "Approved"}}}})
    world.deliver(Kind.RUN, RUN_PATH)
    await world.settle()
    assert world.status.gates["preview"].state == "Waiting"
    assert f"{JOBS_PATH}/{SECOND}" not in world.api.objects


async def test_a_status_that_cannot_be_read_stops_the_run_and_not_the_operator(world, raw_run):
    raw = world.api.seed(RUN_PATH, raw_run(PREVIEW, status={"blocks": [{"name": "preview", "state": "?"}]}))
    world.store.put(Kind.RUN, raw)
    with pytest.raises(StatusUnreadableError):
        await world.reconciler.reconcile(UID)
    world.queue.add(UID)
    await world.turn()
    assert world.count("error") == 1


async def test_a_fault_of_our_own_is_logged_and_tried_again(world, raw_run, caplog, monkeypatch):
    world.store.put(Kind.RUN, raw_run(PREVIEW))
    monkeypatch.setattr("diffrun_operator.reconcile.decide", lambda *_: 1 / 0)
    world.queue.add(UID)
    await world.turn()
    assert "ZeroDivisionError" in caplog.text
    assert await world.queue.get() == UID


async def test_the_step_latency_is_from_the_jobs_end_to_the_next_creation(world, raw_run):
    await start(world, raw_run, PREVIEW, FULL)
    world.seconds = 10.0
    world.finish_job(FIRST)
    world.seconds = 10.25
    await world.settle()
    value = world.metrics.registry.get_sample_value
    assert value("diffrun_step_latency_seconds_count") == 1
    assert value("diffrun_step_latency_seconds_sum") == 0.25


async def test_the_time_of_a_person_at_a_gate_is_no_step_latency(world, raw_run):
    await start(world, raw_run, GATED, FULL)
    world.finish_job(FIRST)
    await world.settle()
    await world.client.patch_run_status("team", "cats", {"status": {"gates": {"preview": {"decision": "Approved"}}}})
    world.deliver(Kind.RUN, RUN_PATH)
    await world.settle()
    assert f"{JOBS_PATH}/{SECOND}" in world.api.objects
    assert world.metrics.registry.get_sample_value("diffrun_step_latency_seconds_count") == 0


async def test_a_deleted_run_is_forgotten(world, raw_run):
    await start(world, raw_run, PREVIEW)
    world.deliver(Kind.RUN, RUN_PATH, "DELETED")
    await world.settle()
    assert world.store.get(UID) is None


@pytest.mark.parametrize(
    ("policy", "binding", "words"),
    [
        pytest.param({}, {"policyName": "guard", "validationActions": ["Deny"]}, None, id="in place"),
        pytest.param({}, {"policyName": "x", "validationActions": ["Deny"]}, "binds x", id="another policy"),
        pytest.param({}, {"policyName": "guard", "validationActions": ["Warn"]}, "need Deny", id="only warns"),
        pytest.param(
            {"failurePolicy": "Ignore"},
            {"policyName": "guard", "validationActions": ["Deny"]},
            "must be Fail",
            id="open",
        ),
    ],
)
def test_a_policy_protects_gates_only_if_it_denies_and_fails_closed(policy, binding, words):
    meta = {"metadata": {"name": "guard"}}
    problem = find_problem(meta | {"spec": policy}, meta | {"spec": binding})
    assert problem is None if words is None else words in problem


async def test_a_look_at_the_policy_is_trusted_for_a_moment_but_not_for_a_decision(api, client, world, settings):
    guard = GateGuard(client, settings.gates, world.monotonic)
    assert await guard.guarded(fresh=False)
    del api.objects[f"{POLICIES}/guard"]
    assert await guard.guarded(fresh=False)
    assert not await guard.guarded(fresh=True)
    assert not await guard.guarded(fresh=False)
    api.seed(f"{POLICIES}/guard", {"spec": {}})
    world.seconds += settings.gates.recheck_seconds
    assert await guard.guarded(fresh=False)


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


async def test_the_servers_wish_for_a_pause_is_kept(world, raw_run):
    world.api.fail_next("PATCH", "/status", 429, {"message": "slow"}, headers={"Retry-After": "30"})
    await start(world, raw_run, PREVIEW)
    with pytest.raises(errors.TooManyRequestsError):
        await world.client.get_run("team", "cats")
    assert f"{JOBS_PATH}/{FIRST}" not in world.api.objects
