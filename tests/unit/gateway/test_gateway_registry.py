"""What is known of all runs, and how changes are passed on."""

from datetime import UTC, datetime

import pytest

from diffrun_contracts.status import DiffusionRunStatus
from diffrun_contracts.task import RunRef
from diffrun_gateway.registry import Registry
from diffrun_gateway.runs import Run

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
