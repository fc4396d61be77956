"""Whole turns: store, decision core, executor and client together, against a server that speaks real HTTP."""

import pytest
from reconcile_kit import BINDINGS, JOBS_PATH, POLICIES, PREVIEW, RUN_PATH, UID

from diffrun_contracts import names
from diffrun_operator import errors
from diffrun_operator.guard import GateGuard, find_problem
from diffrun_operator.observe import StatusUnreadableError
from diffrun_operator.store import Kind

GATED = PREVIEW | {"gate": {"prompt": "look"}}
FULL = {"name": "full", "generateFull": {"samples": 4}}
FIRST = names.job_name("cats", "preview", UID, 1)
SECOND = names.job_name("cats", "full", UID, 1)


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


async def test_the_servers_wish_for_a_pause_is_kept(world, raw_run):
    world.api.fail_next("PATCH", "/status", 429, {"message": "slow"}, headers={"Retry-After": "30"})
    await start(world, raw_run, PREVIEW)
    with pytest.raises(errors.TooManyRequestsError):
        await world.client.get_run("team", "cats")
    assert f"{JOBS_PATH}/{FIRST}" not in world.api.objects
