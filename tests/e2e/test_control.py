"""Pause holds a run inside its loop; cancel ends it wherever it is."""

from datetime import UTC, datetime

import pytest
from runs import quick, run, slow
from scenario import Runs, states

from diffrun_contracts import names
from diffrun_contracts.reasons import EventReason
from diffrun_devcluster.kubectl import Manifest, condition, eventually
from diffrun_devcluster.release import Release


def steps(events: list[Manifest]) -> list[int]:
    """The steps that were measured, in the order of the worker's events."""
    bodies = [event["body"] for event in sorted(events, key=lambda event: int(event["seq"]))]
    return [point["step"] for body in bodies if body["type"] == "metric" for point in body["points"]]


def seq(events: list[Manifest], kind: str) -> int:
    """The place among its pod's events of the one of this type."""
    (found,) = [event["seq"] for event in events if event["body"]["type"] == kind]
    return int(found)


def test_a_paused_run_holds_between_two_steps_and_goes_on_where_it_was(runs: Runs, release: Release) -> None:
    name = runs.start(run("pause", slow("work", seconds=6)))
    runs.until_block(name, "work", "Running")
    asked = datetime.now(UTC)
    runs.patch_spec(name, pause=True)
    patched = datetime.now(UTC)
    held = runs.until_condition(name, "Paused", "Holding")
    assert states(held) == {"work": "Running"}
    (pod,) = runs.pods(name)
    assert pod["metadata"]["annotations"][names.ANNOTATION_PAUSE] == "true"
    runs.until_posted(name, EventReason.PAUSED)

    runs.patch_spec(name, pause=False)
    runs.until_posted(name, EventReason.RESUMED)
    ended = runs.finished(name)
    assert condition(ended, "Succeeded")["status"] == "True"
    assert condition(ended, "Paused")["status"] == "False"
    assert [p["metadata"]["uid"] for p in runs.pods(name)] == [pod["metadata"]["uid"]]

    # The worker's events are numbered in the order of what it did.
    events = release.redis_events(names.events_key(ended["metadata"]["uid"]))
    paused, resumed = seq(events, "paused"), seq(events, "resumed")
    before = steps([event for event in events if event["seq"] < paused])
    after = steps([event for event in events if event["seq"] > resumed])
    assert steps([event for event in events if paused < event["seq"] < resumed]) == []
    assert before + after == list(range(120))
    assert after, "the run was not held in the midst of its work"
    told = next(datetime.fromisoformat(event["time"]) for event in events if event["seq"] == paused)
    least, most = ((told - since).total_seconds() for since in (patched, asked))
    print(f"held {least:.2f} to {most:.2f} s after the patch, before step {after[0]}")


def test_a_paused_run_starts_no_further_block(runs: Runs, approver: str) -> None:
    name = runs.start(run("pause-gate", quick("preview", gate={}), quick("full")))
    runs.until_condition(name, "GatePending")
    runs.patch_spec(name, pause=True)
    runs.until_condition(name, "Paused", "Holding")
    runs.decide(name, "preview", "Approved", approver)
    runs.until_block(name, "full", "Pending", reason="WaitingForResume")
    assert len(runs.jobs(name)) == 1
    runs.patch_spec(name, pause=False)
    assert condition(runs.finished(name), "Succeeded")["status"] == "True"


@pytest.mark.parametrize("phase", ["starting", "running", "gated", "paused"])
def test_cancel_ends_a_run_in_each_phase(runs: Runs, phase: str) -> None:
    name = f"cancel-{phase}"
    unschedulable = {"nodeSelector": {"no-such-label": "x"}} if phase == "starting" else {}
    gate = {"gate": {}} if phase == "gated" else {}
    first = quick("first", **gate) if phase == "gated" else slow("first", **unschedulable)
    runs.start(run(name, first, quick("second")))
    if phase == "starting":
        runs.until_block(name, "first", "Pending", reason="Unschedulable")
    elif phase == "gated":
        runs.until_condition(name, "GatePending")
    else:
        runs.until_block(name, "first", "Running")
    if phase == "paused":
        runs.patch_spec(name, pause=True)
        runs.until_condition(name, "Paused", "Holding")

    runs.patch_spec(name, cancel=True)

    ended = runs.finished(name)
    assert condition(ended, "Succeeded")["reason"] == "Cancelled"
    assert states(ended)["second"] == "Cancelled"
    eventually(
        lambda: all(job.get("status", {}).get("completionTime") for job in runs.jobs(name)), 60, "no Job left running"
    )
    eventually(
        lambda: not [pod for pod in runs.pods(name) if pod["status"]["phase"] in ("Pending", "Running")],
        90,
        "no pod left running",
    )


def test_a_cancelled_run_stays_cancelled(runs: Runs) -> None:
    name = runs.start(run("uncancel", slow("work"), cancel=True))
    assert condition(runs.finished(name), "Succeeded")["reason"] == "Cancelled"
    assert not runs.jobs(name)
    refused = runs.kubectl.try_run("patch", "dfr", name, "--type=merge", "-p", '{"spec":{"cancel":false}}')
    assert "a cancelled run stays cancelled" in refused.stderr


def test_deleting_a_run_removes_its_objects_even_with_the_operator_down(runs: Runs, release: Release) -> None:
    name = runs.start(run("delete", slow("work")))
    down = runs.start(run("delete-down", slow("work")))
    for each in (name, down):
        runs.until_block(each, "work", "Running")
    runs.kubectl.run("delete", "dfr", name, "--wait=true", "--timeout=30s")
    eventually(lambda: not runs.jobs(name) and not runs.pods(name), 30, "Job and pods of the deleted run are gone")
    release.stop_operator()
    try:
        runs.kubectl.run("delete", "dfr", down, "--wait=true", "--timeout=30s")
        eventually(lambda: not runs.jobs(down) and not runs.pods(down), 30, "the same without an operator")
    finally:
        release.start_operator()
