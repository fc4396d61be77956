"""Decisions carried out against a server that speaks real HTTP."""

from datetime import UTC, datetime

import pytest

from diffrun_contracts.reasons import EventReason
from diffrun_contracts.status import BlockState, BlockStatus, DiffusionRunStatus, GateDecision, GateState, GateStatus
from diffrun_operator import errors
from diffrun_operator.execute import Executor, StaleError, merge_patch, status_patch
from diffrun_operator.model import AnnotatePod, Decision, DeleteJob, EmitEvent
from diffrun_operator.observe import observe_run

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BLOCK = {"name": "preview", "generatePreview": {"samples": 2}}
RUN_PATH = "/apis/diffrun.dev/v1alpha1/namespaces/team/diffusionruns/cats"
JOBS_PATH = "/apis/batch/v1/namespaces/team/jobs"
EVENTS_PATH = "/apis/events.k8s.io/v1/namespaces/team/events"
STARTED = DiffusionRunStatus(blocks=[BlockStatus(name="preview", attempt=1, state=BlockState.PENDING)])


@pytest.fixture
def executor(client, settings):
    return Executor(client, settings, monotonic=lambda: 42.0, clock=lambda: NOW)


@pytest.fixture
def run(api, raw_run):
    return observe_run(api.seed(RUN_PATH, raw_run(BLOCK)))


def test_a_patch_has_only_what_changes_and_a_null_for_what_goes():
    old = {"a": 1, "b": {"x": 1, "y": [1]}, "gone": 2}
    new = {"a": 1, "b": {"x": 1, "y": [1, 2]}, "c": {}}
    assert merge_patch(old, new) == {"gone": None, "b": {"y": [1, 2]}, "c": {}}


def test_a_patch_never_holds_what_an_approver_wrote():
    gate = GateStatus(state=GateState.WAITING, opened_at=NOW)
    decided = gate.model_copy(update={"decision": GateDecision.APPROVED, "decided_by": "alice", "note": "fine"})
    closed = decided.model_copy(update={"state": GateState.APPROVED, "closed_at": NOW})
    patch = status_patch(DiffusionRunStatus(gates={"preview": decided}), DiffusionRunStatus(gates={"preview": closed}))
    assert patch == {"gates": {"preview": {"state": "Approved", "closedAt": "2026-01-01T00:00:00Z"}}}
    stale = status_patch(DiffusionRunStatus(gates={"preview": decided}), DiffusionRunStatus(gates={"preview": gate}))
    assert stale == {}, "a decision that this decision did not know of stays"


async def test_the_status_is_written_before_anything_is_done(api, executor, run, create):
    outcome = await executor.execute(run, Decision(STARTED, (create(run, "preview"),)))
    assert [method for method, _ in api.requests] == ["PATCH", "POST"]
    assert outcome.run["status"]["blocks"][0]["attempt"] == 1
    assert [at for _, at in outcome.created] == [42.0]
    assert outcome.jobs[0]["metadata"]["name"] == "cats-preview-11111111-1"


async def test_a_status_that_does_not_change_is_not_written(api, executor, run):
    outcome = await executor.execute(run, Decision(run.status))
    assert api.requests == []
    assert outcome.run is None


async def test_a_run_that_has_changed_meanwhile_is_observed_again_and_nothing_is_done(api, executor, run, create):
    api.seed(RUN_PATH, api.objects[RUN_PATH])
    with pytest.raises(StaleError):
        await executor.execute(run, Decision(STARTED, (create(run, "preview"),)))
    assert not [path for path in api.objects if path.startswith(JOBS_PATH)]


async def test_a_run_recreated_under_its_name_is_not_written_to(api, executor, run, raw_run):
    api.seed(RUN_PATH, raw_run(BLOCK, uid="another"))
    with pytest.raises(StaleError):
        await executor.execute(run, Decision(STARTED))
    assert "status" not in api.objects[RUN_PATH]


async def test_a_lost_creation_is_repeated_only_from_a_current_view(api, executor, run, create):
    decision = Decision(run.status, (create(run, "preview"),))
    api.seed(RUN_PATH, api.objects[RUN_PATH])
    with pytest.raises(StaleError, match="seen at version"):
        await executor.execute(run, decision)
    assert api.paths("POST") == []
    fresh = observe_run(api.objects[RUN_PATH])
    await executor.execute(fresh, decision)
    assert api.paths("POST") == [JOBS_PATH]


async def test_a_job_of_ours_that_is_there_already_is_adopted(api, executor, run, create, raw_job):
    action = create(run, "preview")
    api.seed(f"{JOBS_PATH}/{action.name}", raw_job(action.name))
    outcome = await executor.execute(run, Decision(STARTED, (action,)))
    assert [job["metadata"]["uid"] for job in outcome.jobs] == ["job-uid"]
    assert outcome.created == []


async def test_a_creation_whose_answer_was_lost_makes_one_job(api, executor, run, create):
    action = create(run, "preview")
    api.fail_next("POST", "/jobs", 500, {"message": "etcd hiccup"}, after=True)
    outcome = await executor.execute(run, Decision(STARTED, (action,)))
    assert [type(error) for error in outcome.failures] == [errors.TransientError]
    again = await executor.execute(observe_run(api.objects[RUN_PATH]), Decision(STARTED, (action,)))
    assert len(again.jobs) == 1
    assert len([path for path in api.objects if path.startswith(JOBS_PATH)]) == 1


async def test_a_foreign_job_of_the_name_is_left_alone_and_told(api, executor, run, create, raw_job):
    action = create(run, "preview")
    foreign = api.seed(f"{JOBS_PATH}/{action.name}", raw_job(action.name, owner="somebody-else"))
    outcome = await executor.execute(run, Decision(STARTED, (action,)))
    assert outcome.collisions == {action.name}
    assert api.objects[f"{JOBS_PATH}/{action.name}"] == foreign


async def test_a_job_without_an_owner_is_foreign(api, executor, run, create):
    action = create(run, "preview")
    api.seed(f"{JOBS_PATH}/{action.name}", {"metadata": {}})
    assert (await executor.execute(run, Decision(STARTED, (action,)))).collisions == {action.name}


async def test_a_job_of_ours_that_is_being_deleted_is_waited_for(api, executor, run, create, raw_job):
    action = create(run, "preview")
    raw = raw_job(action.name)
    raw["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    api.seed(f"{JOBS_PATH}/{action.name}", raw)
    outcome = await executor.execute(run, Decision(STARTED, (action,)))
    assert "still being deleted" in str(outcome.failures[0])
    assert outcome.jobs == []


@pytest.mark.parametrize(
    ("code", "message", "refused"),
    [
        pytest.param(422, "spec.template.spec.x: Invalid value", True, id="invalid"),
        pytest.param(403, 'jobs.batch "j" is forbidden: exceeded quota: jobs', True, id="quota"),
        pytest.param(403, 'User "x" cannot create resource "jobs" in API group "batch"', False, id="missing right"),
        pytest.param(500, "internal", False, id="server error"),
    ],
)
async def test_a_refusal_for_good_is_told_from_one_that_may_pass(api, executor, run, create, code, message, refused):
    action = create(run, "preview")
    api.fail_next("POST", "/jobs", code, {"message": message})
    outcome = await executor.execute(run, Decision(STARTED, (action,)))
    assert bool(outcome.refusals) is refused
    assert bool(outcome.failures) is not refused
    if refused:
        assert outcome.refusals == {action.name: message}


async def test_deleting_what_is_gone_or_another_is_success(api, executor, run):
    seen = api.seed(f"{JOBS_PATH}/other", {"metadata": {"uid": "new"}})["metadata"]["resourceVersion"]
    decision = Decision(run.status, (DeleteJob("gone", "u", "1"), DeleteJob("other", "old", seen)))
    assert (await executor.execute(run, decision)).failures == []
    assert f"{JOBS_PATH}/other" in api.objects


async def test_a_job_that_has_finished_since_it_was_seen_is_kept(api, executor, run):
    """Another operator has recorded its outcome while this one's watch still shows it as live."""
    path = f"{JOBS_PATH}/done"
    seen = api.seed(path, {"metadata": {"uid": "u"}})["metadata"]["resourceVersion"]
    api.seed(path, {"metadata": {"uid": "u"}, "status": {"succeeded": 1}})
    outcome = await executor.execute(run, Decision(run.status, (DeleteJob("done", "u", seen),)))
    assert outcome.failures == []
    assert path in api.objects


async def test_one_failure_does_not_keep_the_other_actions_from_being_taken(api, executor, run):
    actions = [
        DeleteJob(
            name, name, api.seed(f"{JOBS_PATH}/{name}", {"metadata": {"uid": name}})["metadata"]["resourceVersion"]
        )
        for name in ("a", "b")
    ]
    api.fail_next("DELETE", "/jobs/a", 503)
    outcome = await executor.execute(run, Decision(run.status, tuple(actions)))
    assert f"{JOBS_PATH}/b" not in api.objects
    assert len(outcome.failures) == 1


async def test_pods_are_told_to_pause_by_an_annotation_and_ended_ones_are_left(api, executor, run, raw_pod):
    path = "/api/v1/namespaces/team/pods/job-0-abcde"
    api.seed(path, raw_pod("Running"))
    outcome = await executor.execute(
        run, Decision(run.status, (AnnotatePod("job-0-abcde", True), AnnotatePod("x", True)))
    )
    assert api.objects[path]["metadata"]["annotations"]["diffrun.dev/pause"] == "true"
    assert len(outcome.pods) == 1
    assert outcome.failures == []


TOGETHER = {"name": "train", "train": {"preset": "digits", "workers": 2}}
SERVICES_PATH = "/api/v1/namespaces/team/services"
PEERS_PATH = f"{SERVICES_PATH}/peers-11111111-train"


@pytest.fixture
def training(api, raw_run):
    return observe_run(api.seed(RUN_PATH, raw_run(TOGETHER)))


async def test_what_workers_meet_by_is_made_before_their_job(api, executor, training, create):
    outcome = await executor.execute(training, Decision(training.status, (create(training, "train"),)))
    assert api.paths("POST") == [SERVICES_PATH, JOBS_PATH]
    assert outcome.failures == []
    assert api.objects[PEERS_PATH]["metadata"]["ownerReferences"][0]["uid"] == training.uid


async def test_behind_a_fence_the_workers_get_a_policy_of_their_own(api, client, settings, training, create):
    fenced = settings.model_copy(update={"worker": settings.worker.model_copy(update={"fenced": True})})
    executor = Executor(client, fenced, monotonic=lambda: 42.0, clock=lambda: NOW)
    await executor.execute(training, Decision(training.status, (create(training, "train"),)))
    policies = "/apis/networking.k8s.io/v1/namespaces/team/networkpolicies"
    assert api.paths("POST") == [SERVICES_PATH, policies, JOBS_PATH]


async def test_a_service_that_an_earlier_attempt_made_is_used_again(api, executor, training, create):
    for attempt in (1, 2):
        action = create(training, "train", attempt=attempt)
        outcome = await executor.execute(training, Decision(training.status, (action,)))
        assert (outcome.failures, outcome.refusals, len(outcome.jobs)) == ([], {}, 1)
    assert [path for path in api.objects if path.startswith(SERVICES_PATH)] == [PEERS_PATH]


async def test_a_foreign_service_of_that_name_is_left_alone_and_the_job_not_made(api, executor, training, create):
    api.seed(PEERS_PATH, {"metadata": {"ownerReferences": [{"uid": "another", "controller": True}]}})
    action = create(training, "train")
    outcome = await executor.execute(training, Decision(training.status, (action,)))
    assert "Service peers-11111111-train, which exists and is not this run's" in outcome.refusals[action.name]
    assert JOBS_PATH not in api.paths("POST")


async def test_a_refused_service_is_told_in_the_api_servers_words(api, executor, training, create):
    api.fail_next("POST", "/services", 403, {"message": "exceeded quota: services"})
    action = create(training, "train")
    outcome = await executor.execute(training, Decision(training.status, (action,)))
    assert outcome.refusals == {action.name: "exceeded quota: services"}


async def test_a_missing_right_to_make_services_is_the_installations_fault_and_tried_again(
    api, executor, training, create
):
    words = 'services is forbidden: User "x" cannot create resource "services" in API group ""'
    api.fail_next("POST", "/services", 403, {"message": words})
    outcome = await executor.execute(training, Decision(training.status, (create(training, "train"),)))
    assert (len(outcome.failures), outcome.refusals) == (1, {})


async def test_an_event_repeated_is_one_event_and_its_loss_is_no_failure(api, executor, run):
    event = EmitEvent(EventReason.GATE_OPENED, "the gate waits")
    for _ in range(2):
        assert (await executor.execute(run, Decision(run.status, (event,)))).failures == []
    posted = [raw for path, raw in api.objects.items() if path.startswith(EVENTS_PATH)]
    assert len(posted) == 1
    assert (posted[0]["reason"], posted[0]["type"], posted[0]["regarding"]["uid"]) == ("GateOpened", "Normal", run.uid)
    api.fail_next("POST", "/events", 500)
    assert (await executor.execute(run, Decision(run.status, (event,)))).failures == []
