"""What a run is to the pages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from diffrun_contracts.api import Permissions, RunPhase
from diffrun_contracts.spec import InspectorType
from diffrun_gateway import runs

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def raw(*conditions: tuple[str, str, str], gates: dict[str, Any] | None = None, blocks: Any = (), **spec: Any) -> Any:
    listed = [{"type": kind, "status": status, "reason": reason, "lastTransitionTime": NOW.isoformat(),
               "observedGeneration": 1, "message": f"about {kind}"} for kind, status, reason in conditions]  # fmt: skip
    return {
        "metadata": {"namespace": "demo", "name": "cats", "uid": "u", "creationTimestamp": NOW.isoformat()},
        "spec": {"blocks": [{"name": "a", "generatePreview": {}}, {"name": "b", "generateFull": {}},
                            {"name": "c", "generateFull": {}, "dependsOn": ["a"]}], **spec},
        "status": {"conditions": listed, "gates": gates or {}, "blocks": list(blocks)},
    }  # fmt: skip


WAITING = {"a": {"state": "Waiting", "openedAt": NOW.isoformat()}}
DECIDED = {"a": {"state": "Waiting", "openedAt": NOW.isoformat(), "decision": "Approved", "decidedBy": "alice"}}


@pytest.mark.parametrize(
    ("made", "phase"),
    [
        pytest.param(raw(), RunPhase.PENDING, id="just created"),
        pytest.param(raw(("SpecValid", "False", "InvalidField")), RunPhase.INVALID, id="invalid"),
        pytest.param(raw(("Succeeded", "Unknown", "Queued")), RunPhase.QUEUED, id="queued"),
        pytest.param(raw(("Succeeded", "Unknown", "Running")), RunPhase.RUNNING, id="running"),
        pytest.param(raw(blocks=[{"name": "a", "state": "Running"}]), RunPhase.RUNNING, id="a block runs"),
        pytest.param(raw(gates=WAITING), RunPhase.WAITING, id="a gate waits"),
        pytest.param(raw(("Succeeded", "Unknown", "Running"), gates=DECIDED), RunPhase.RUNNING, id="just decided"),
        pytest.param(raw(("Paused", "True", "Holding")), RunPhase.PAUSED, id="paused"),
        pytest.param(raw(("Finished", "True", "x"), ("Succeeded", "True", "x")), RunPhase.SUCCEEDED, id="succeeded"),
        pytest.param(
            raw(("Finished", "True", "x"), ("Succeeded", "False", "GateRejected")), RunPhase.REJECTED, id="rejected"
        ),
        pytest.param(
            raw(("Finished", "True", "x"), ("Succeeded", "False", "GateExpired")), RunPhase.REJECTED, id="expired"
        ),
        pytest.param(
            raw(("Finished", "True", "x"), ("Succeeded", "False", "Cancelled")), RunPhase.CANCELLED, id="cancelled"
        ),
        pytest.param(
            raw(("Finished", "True", "x"), ("Succeeded", "False", "BlockFailed")), RunPhase.FAILED, id="failed"
        ),
    ],
)
def test_a_run_is_in_one_phase(made: Any, phase: RunPhase) -> None:
    assert runs.phase(runs.from_object(made)) is phase


def test_the_three_inspectors_are_there_by_default() -> None:
    run = runs.from_object(raw())
    shown = runs.detail(run, runs.entry(run, NOW), Permissions(approve=False, edit=False)).inspectors
    assert [each.type for each in shown] == list(InspectorType)
    assert [each.title for each in shown] == ["Denoising Trajectory", "Quality Dashboard", "Generated Samples"]
    assert shown[2].filter is not None
    assert shown[2].filter.schema_type == "generated_sample"


def test_attached_inspectors_replace_the_default_ones() -> None:
    run = runs.from_object(raw(inspectors=[{"title": "Mine", "type": "slideshow"}]))
    shown = runs.detail(run, runs.entry(run, NOW), Permissions(approve=False, edit=False)).inspectors
    assert [each.title for each in shown] == ["Mine"]


def test_the_graph_follows_the_order_unless_a_block_says_otherwise() -> None:
    run = runs.from_object(raw())
    edges = runs.detail(run, runs.entry(run, NOW), Permissions(approve=False, edit=False)).edges
    assert [(edge.source, edge.target) for edge in edges] == [("a", "b"), ("a", "c")]


def test_the_end_is_told_from_the_speed_so_far_without_held_time() -> None:
    block = {"name": "a", "state": "Running", "startTime": (NOW - timedelta(seconds=70)).isoformat(),
             "pausedSeconds": 10, "progress": {"done": 20, "total": 50}}  # fmt: skip
    made = raw(blocks=[block])
    made["status"]["currentBlock"] = "a"
    line = runs.entry(runs.from_object(made), NOW)
    assert line.eta == NOW + timedelta(seconds=90)
    made["status"]["blocks"][0]["pausedSince"] = NOW.isoformat()
    assert runs.entry(runs.from_object(made), NOW).eta is None


def test_an_end_beyond_all_dates_is_not_told() -> None:
    block = {"name": "a", "state": "Running", "startTime": (NOW - timedelta(minutes=1)).isoformat()}
    made = raw(blocks=[{**block, "progress": {"done": 1, "total": 10**13}}])
    made["status"]["currentBlock"] = "a"
    line = runs.entry(runs.from_object(made), NOW)
    assert (line.total, line.eta) == (10**13, None)


def test_an_object_of_a_newer_version_is_shown_as_far_as_it_is_understood() -> None:
    made = raw(("Succeeded", "Unknown", "Running"), novelty=True)
    run = runs.from_object(made)
    assert run.spec is None
    assert runs.phase(run) is RunPhase.RUNNING
    assert "spec.novelty" in str(runs.entry(run, NOW).message)


def test_waiting_gates_come_first_then_the_newest() -> None:
    entries = []
    for name, age, gates in (("old", 3, WAITING), ("mid", 2, {}), ("new", 1, {})):
        made = raw(gates=gates)
        made["metadata"] |= {"name": name, "creationTimestamp": (NOW - timedelta(hours=age)).isoformat()}
        entries.append(runs.entry(runs.from_object(made), NOW))
    assert [line.name for line in runs.in_order(entries)] == ["old", "new", "mid"]
