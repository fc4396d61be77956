"""What is known of all runs, and how changes are passed on."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from run_kit import a_run, run_object

from diffrun_contracts.api import ControlAction
from diffrun_contracts.status import DiffusionRunStatus
from diffrun_contracts.task import RunRef
from diffrun_gateway.access import Viewer
from diffrun_gateway.actions import KubernetesActions
from diffrun_gateway.kube import Kube, User
from diffrun_gateway.registry import Registry
from diffrun_gateway.runs import Run, archived, from_object

CATS = Run(RunRef(namespace="demo", name="cats", uid="u-1"), datetime(2026, 1, 1, tzinfo=UTC), None,
           DiffusionRunStatus())  # fmt: skip


def test_a_listener_that_fails_takes_the_change_from_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    registry, heard = Registry(), []

    def fails(uid: str, run: Run | None) -> None:
        raise OverflowError("date value out of range")

    for listener in (fails, lambda uid, _run: heard.append(uid)):
        registry.listeners.add(listener)
    registry.put(CATS)
    assert heard == ["u-1"]
    assert "date value out of range" in caplog.text


@dataclass
class Answers:
    """A cluster whose answer to a patch is of some version."""

    answer: dict[str, Any]

    async def patch_run(self, *_: Any) -> dict[str, Any]:
        return self.answer


REF = a_run()


def seen(version: str) -> Run:
    raw = run_object(REF)
    raw["metadata"]["resourceVersion"] = version
    return from_object(raw)


@pytest.mark.parametrize(
    ("known", "answer", "kept"),
    [
        pytest.param(seen("101"), "102", "102", id="the answer is newer"),
        pytest.param(seen("9"), "10", "10", id="versions are numbers"),
        pytest.param(seen("102"), "101", "102", id="the watch was faster"),
        pytest.param(archived(seen("102")), "103", None, id="the run is archived"),
        pytest.param(seen("a"), "b", "a", id="versions that cannot be compared"),
    ],
)
async def test_the_answer_to_a_patch_replaces_only_what_is_older(known: Run, answer: str, kept: str | None) -> None:
    registry = Registry()
    registry.archive(known)
    await _pause(registry, known, answer)
    raw = registry.runs[REF.uid].raw
    assert (raw["metadata"]["resourceVersion"] if raw else None) == kept


async def test_the_answer_to_a_patch_brings_no_removed_run_back() -> None:
    registry = Registry()
    await _pause(registry, seen("101"), "102")
    assert registry.runs == {}


async def _pause(registry: Registry, run: Run, answer: str) -> None:
    raw = seen(answer).raw
    assert raw is not None
    actions = KubernetesActions(cast(Kube, Answers(raw)), registry)
    viewer = Viewer(User("alice"), "token")
    await actions.control(viewer, run, ControlAction.PAUSE)
