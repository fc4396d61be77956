"""What the demo reads of the operator's log."""

import json
from typing import Any

from demo.__main__ import step_times


def entry(job: str, block: str, after: str, seconds: float) -> str:
    """The operator's line about a Job that it has created after another's end."""
    return json.dumps(
        {"message": "created", "job": job, "block": block, "after": after, "step_latency_seconds": seconds}
    )


def run(*jobs: str | None) -> dict[str, Any]:
    """A run with a block for each Job, some of them without one."""
    return {"status": {"blocks": [{"jobRef": {"name": job}} if job else {} for job in jobs]}}


def test_the_times_are_in_the_logs_order_and_of_this_run_alone() -> None:
    log = "\n".join([
        entry("cat-preview", "preview", "download", 0.041),
        entry("another-preview", "preview", "download", 9.0),
        entry("cat-full", "full", "preview", 0.02),
    ])  # fmt: skip
    assert step_times(log, run("cat-download", "cat-preview", "cat-full")) == [
        ("download", "preview", 0.041),
        ("preview", "full", 0.02),
    ]


def test_what_measures_no_step_is_passed_over() -> None:
    first = json.dumps({"message": "created", "job": "cat-download", "block": "download"})
    log = f'kopf says hello\n{{"message": "something else"}}\n{first}\n'
    assert step_times(log, run("cat-download")) == []


def test_a_block_that_never_had_a_job_does_not_stand_in_the_way() -> None:
    log = entry("cat-preview", "preview", "download", 1)
    assert step_times(log, run("cat-preview", None)) == [("download", "preview", 1.0)]
