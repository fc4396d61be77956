"""What a run costs the API server's store: how often its status is written, and how large it becomes."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from reconcile_kit import JOBS_PATH, RUN_PATH, UID

from diffrun_contracts import names
from diffrun_contracts.events import Event, ProgressMade
from diffrun_contracts.reasons import BlockReason, ConditionType
from diffrun_contracts.status import (
    BlockState,
    BlockStatus,
    Condition,
    DiffusionRunStatus,
    GateDecision,
    GateState,
    GateStatus,
    JobRef,
    PodFailure,
    Progress,
)
from diffrun_contracts.task import RunRef
from diffrun_operator.decide.text import MAX_BYTES
from diffrun_operator.events_reader import EventsReader
from diffrun_operator.settings import Redis
from diffrun_operator.store import Kind

STEPS = 10_000
STEP_SECONDS = 0.1
KIB = 1024
ETCD_LIMIT = 1536 * KIB
"""Bytes of the largest object that etcd takes by default."""
BLOCKS = 64
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FULL = {"name": "full", "generateFull": {"samples": STEPS}}
JOB = names.job_name("cats", "full", UID, 1)


def told(done):
    """A worker's word after a step, as it comes out of Redis."""
    run = RunRef(namespace="team", name="cats", uid=UID)
    body = ProgressMade(done=done, total=STEPS)
    event = Event(run=run, block="full", attempt=1, shard=0, retry=0, pod="pod-uid", seq=done, time=NOW, body=body)
    return {b"event": event.to_json().encode()}


@pytest.fixture
async def running(world, raw_run, raw_pod, monkeypatch):
    """An operator whose one block runs, under a clock that only the test moves."""
    monkeypatch.setattr(asyncio.get_running_loop(), "time", world.monotonic)
    world.api.seed(RUN_PATH, raw_run(FULL))
    world.deliver(Kind.RUN, RUN_PATH, "ADDED")
    await world.settle()
    pod = raw_pod("Running", state={"running": {"startedAt": "2026-01-01T00:00:00Z"}})
    pod["metadata"]["labels"] |= {"batch.kubernetes.io/job-name": JOB, names.LABEL_BLOCK: "full"}
    pod["metadata"]["labels"][names.LABEL_ATTEMPT] = "1"
    world.deliver(Kind.JOB, f"{JOBS_PATH}/{JOB}")
    world.feed.take(Kind.POD, "ADDED", pod)
    await world.settle()
    assert world.block("full").state == "Running"
    return world


async def test_a_run_of_ten_thousand_steps_has_its_status_written_twice_a_minute_and_stays_small(running):
    world = running
    reader = EventsReader(None, world.store, world.queue, Redis(), world.metrics, world.monotonic, lambda: 1.0)
    written, sizes = [], []
    for step in range(1, STEPS + 1):
        world.seconds += STEP_SECONDS
        reader.take(UID, told(step))
        await asyncio.sleep(0)  # what has come due on the loop's clock is put into the queue
        before = len(world.api.paths("PATCH"))
        await world.settle()
        written += [world.seconds] * (len(world.api.paths("PATCH")) - before)
        sizes.append(len(json.dumps(world.api.objects[RUN_PATH])))

    seconds = STEPS * STEP_SECONDS
    assert seconds / 30 - 2 < len(written) <= seconds / 30 + 1
    assert all(third - first >= 60 - STEP_SECONDS for first, third in zip(written, written[2:], strict=False))
    assert max(sizes) < 32 * KIB
    assert world.block("full").progress.done > STEPS - 30 / STEP_SECONDS - 2
    assert world.api.paths("POST").count(JOBS_PATH) == 1


def stored(status: DiffusionRunStatus) -> int:
    """Bytes of a status as the API server stores it: JSON in which Go escapes these three as well."""
    text = status.model_dump_json(by_alias=True, exclude_none=True)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return len(text.encode())


def largest(character: str, *, failed: bool, gated: bool) -> DiffusionRunStatus:
    """As many blocks as there may be, every text of them as long as it may be."""
    text = character * (MAX_BYTES // len(character.encode()))
    ledger = [f"{number:02d}".ljust(names.MAX_BLOCK_NAME, "x") for number in range(BLOCKS)]
    blocks = [
        BlockStatus(
            name=name,
            state=BlockState.FAILED if failed else BlockState.SUCCEEDED,
            reason=BlockReason.WAITING_FOR_DEPENDENCIES,
            message=text if failed else None,
            failure=PodFailure(reason=BlockReason.CONTAINER_CONFIG_ERROR, message=text) if failed else None,
            outputs={"x": text[: -len('{"x": ""}')]} if gated else None,
            attempt=2000,
            disruptions=2000,
            job_ref=JobRef(name="x" * 63, uid="x" * 36),
            start_time=NOW,
            completion_time=NOW,
            paused_since=NOW,
            paused_seconds=10**9,
            progress=Progress(done=10**18, total=10**18),
        )
        for name in ledger
    ]
    gate = GateStatus(
        state=GateState.APPROVED,
        opened_at=NOW,
        closed_at=NOW,
        preview_digest="x" * 71,
        decision=GateDecision.APPROVED,
        decided_by=character * 512,
        note=character * 1024,
    )
    conditions = [
        Condition(
            type=kind, status="Unknown", reason="x" * 64, message=text, last_transition_time=NOW, observed_generation=1
        )
        for kind in ConditionType
    ]
    return DiffusionRunStatus(blocks=blocks, gates=dict.fromkeys(ledger, gate) if gated else {}, conditions=conditions)


@pytest.mark.parametrize("character", ["x", '"', "€", "<", "\x01"])
@pytest.mark.parametrize(
    ("failed", "gated"),
    [pytest.param(True, False, id="all failed"), pytest.param(False, True, id="all approved, with outputs and notes")],
)
def test_the_largest_status_fits_into_etcd_whatever_its_texts_are_made_of(character, failed, gated):
    # A quarter of the limit is left for the spec, and for who owns which field.
    assert stored(largest(character, failed=failed, gated=gated)) < ETCD_LIMIT * 3 // 4


def test_the_largest_status_of_plain_text_takes_a_quarter_of_what_etcd_takes():
    assert stored(largest("x", failed=True, gated=True)) < ETCD_LIMIT // 4
