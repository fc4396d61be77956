"""Lines, diamonds, shards, and several runs and installations side by side."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import pytest
from runs import block, quick, run
from scenario import Runs, ledger, states

from diffrun_contracts import names
from diffrun_devcluster.kubectl import Kubectl, condition
from diffrun_devcluster.release import Images, Release


def at(job: dict[str, dict[str, str]], moment: str) -> datetime:
    return datetime.fromisoformat(job["status"][moment])


def test_a_diamond_runs_its_sides_after_the_top_and_its_bottom_after_both(runs: Runs) -> None:
    name = runs.start(
        run(
            "diamond",
            quick("top"),
            quick("left", dependsOn=["top"]),
            quick("right", dependsOn=["top"]),
            quick("bottom", dependsOn=["left", "right"]),
        )
    )
    assert condition(runs.finished(name), "Succeeded")["status"] == "True"
    jobs = {job["metadata"]["labels"][names.LABEL_BLOCK]: job for job in runs.jobs(name)}
    assert set(jobs) == {"top", "left", "right", "bottom"}
    for side in ("left", "right"):
        assert at(jobs[side], "startTime") >= at(jobs["top"], "completionTime")
        assert at(jobs["bottom"], "startTime") >= at(jobs[side], "completionTime")


def test_a_failed_side_skips_only_its_own_descendants(runs: Runs) -> None:
    name = runs.start(
        run(
            "half",
            block("bad", "test.fail", params={"permanent": True}),
            quick("after-bad", dependsOn=["bad"]),
            quick("good", dependsOn=[]),
            quick("after-good", dependsOn=["good"]),
        )
    )
    ended = runs.finished(name)
    assert states(ended) == {"bad": "Failed", "after-bad": "Skipped", "good": "Succeeded", "after-good": "Succeeded"}


def test_shards_are_the_pods_of_one_indexed_job(runs: Runs) -> None:
    name = runs.start(run("shards", quick("work", shards=3)))
    assert condition(runs.finished(name), "Succeeded")["status"] == "True"
    (job,) = runs.jobs(name)
    assert job["spec"]["completions"] == 3
    assert job["status"]["completedIndexes"] == "0-2"


def test_a_shard_that_fails_is_tried_again_alone(runs: Runs) -> None:
    failing = block("work", "test.fail", params={"onlyShard": 1, "times": 2}, shards=3, retries=2)
    name = runs.start(run("shard-fails", failing))
    assert condition(runs.finished(name), "Succeeded")["status"] == "True"
    tries = Counter(pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] for pod in runs.pods(name))
    assert tries == {"0": 1, "1": 3, "2": 1}


def test_outputs_travel_to_the_blocks_that_depend_on_them(runs: Runs) -> None:
    outputs = {"model_path": "cache/hub/somewhere"}
    name = runs.start(
        run(
            "outputs",
            block("first", params={"outputs": outputs}),
            block("second", "test.echo"),
        )
    )
    ended = runs.finished(name)
    assert ledger(ended)["second"]["outputs"]["model_path"] == outputs["model_path"]


def test_two_runs_at_once_do_not_meet(runs: Runs) -> None:
    # Run `a-b` with block `c` and run `a` with block `b-c` would both want a Job `a-b-c-…`.
    first = runs.start(run("a-b", quick("c"), quick("d")))
    second = runs.start(run("a", quick("b-c"), quick("d")))
    for name in (first, second):
        assert condition(runs.finished(name), "Succeeded")["status"] == "True"
        assert len(runs.jobs(name)) == 2


def test_a_run_recreated_under_its_name_starts_afresh(runs: Runs) -> None:
    name = runs.start(run("again", quick("work")))
    first = runs.finished(name)
    runs.kubectl.run("delete", "dfr", name, "--wait=true")
    runs.start(run("again", quick("work")))
    second = runs.finished(name)
    assert ledger(first)["work"]["jobRef"]["name"] != ledger(second)["work"]["jobRef"]["name"]


@pytest.fixture
def neighbour(cluster: Kubectl, images: Images, hub: str, release: Release) -> Iterator[Release]:
    """A second installation beside this process' own."""
    name = f"{release.name}-b"
    other = Release(cluster, name=name, namespace=name, images=images, hub=hub)
    other.install()
    yield other
    other.uninstall()


def test_two_releases_side_by_side_do_not_lock_each_other_out(
    runs: Runs, release: Release, approver: str, neighbour: Release
) -> None:
    theirs = Runs(neighbour.kubectl)
    their_approver = neighbour.ensure_approver("bob")
    for each in (runs, theirs):
        each.start(run("neighbours", quick("preview", gate={}), quick("full")))
    for each, person in ((runs, approver), (theirs, their_approver)):
        each.until_condition("neighbours", "GatePending")
        decided = each.decide("neighbours", "preview", "Approved", person)
        assert decided.returncode == 0, decided.stderr
        assert condition(each.finished("neighbours"), "Succeeded")["status"] == "True"
    assert "forbidden" in theirs.decide("neighbours", "preview", "Approved", approver).stderr.lower()
