"""The in-memory view: newest version wins, what is deleted stays deleted, words of workers are ordered."""

import pytest

from diffrun_contracts.events import ProgressMade
from diffrun_contracts.status import BlockStatus, DiffusionRunStatus
from diffrun_operator.observe import observe_run
from diffrun_operator.store import PROGRESS_INTERVAL, Kind, ShardProgress, Store, sum_progress

UID = "11111111-2222-3333-4444-555555555555"
BLOCK = {"name": "full", "generateFull": {"samples": 8}, "shards": 2}


@pytest.fixture
def store():
    return Store()


def observed(store, raw, now=0.0):
    return store.observed(observe_run(raw), now)


def test_an_older_version_never_replaces_a_newer_one(store, raw_run):
    assert store.put(Kind.RUN, raw_run(BLOCK, version=9)) == UID
    assert store.put(Kind.RUN, raw_run(BLOCK, version=10, generation=2)) == UID, "10 is newer than 9, as numbers"
    assert store.put(Kind.RUN, raw_run(BLOCK, version=9)) is None
    assert store.get(UID).run["metadata"]["generation"] == 2


def test_jobs_and_pods_are_found_by_their_runs_label_even_before_the_run(store, raw_run, raw_job, raw_pod):
    assert store.put(Kind.JOB, raw_job()) == UID
    assert store.put(Kind.POD, raw_pod("Running")) == UID
    assert store.get(UID).run is None
    raw = raw_run(BLOCK)
    store.put(Kind.RUN, raw)
    view = observed(store, raw)
    assert [job.uid for job in view.jobs] == ["job-uid"]
    assert [pod.uid for pod in view.pods] == ["pod-uid"]


def test_an_object_without_our_label_belongs_to_nobody(store, raw_pod):
    raw = raw_pod("Running")
    raw["metadata"]["labels"] = {}
    assert store.put(Kind.POD, raw) is None
    assert len(store) == 0


def test_a_deleted_run_takes_everything_with_it(store, raw_run, raw_job):
    store.put(Kind.RUN, raw_run(BLOCK))
    store.put(Kind.JOB, raw_job())
    store.remove(Kind.RUN, UID, UID)
    assert len(store) == 0


def test_a_late_answer_does_not_bring_a_deleted_object_back(store, raw_run, raw_job):
    store.put(Kind.RUN, raw_run(BLOCK))
    store.put(Kind.JOB, raw_job(version=1))
    store.remove(Kind.JOB, UID, "job-uid")
    assert store.put(Kind.JOB, raw_job(version=2)) is None
    store.remove(Kind.RUN, UID, UID)
    assert store.put(Kind.RUN, raw_run(BLOCK, version=200)) is None


def test_a_recreated_job_of_the_same_name_is_another_job(store, raw_run, raw_job):
    raw = raw_run(BLOCK)
    store.put(Kind.RUN, raw)
    store.put(Kind.JOB, raw_job(uid="old", version=1))
    store.put(Kind.JOB, raw_job(uid="new", version=2))
    store.remove(Kind.JOB, UID, "old")
    assert [job.uid for job in observed(store, raw).jobs] == ["new"]


def test_a_finished_run_keeps_only_its_versions_until_it_changes(store, raw_run, raw_job):
    store.put(Kind.RUN, raw_run(BLOCK))
    store.put(Kind.JOB, raw_job())
    store.finish(UID)
    assert store.active() == []
    assert "spec" not in store.get(UID).run
    assert [raw["metadata"]["uid"] for _, raw in store.objects(Kind.JOB)] == ["job-uid"]
    store.put(Kind.RUN, raw_run(BLOCK, version=101))
    assert not store.get(UID).finished


def test_the_task_annotation_and_managed_fields_are_not_kept(store, raw_pod):
    raw = raw_pod("Running", annotations={"diffrun.dev/task": "x" * 1000, "diffrun.dev/pause": "true"})
    raw["metadata"]["managedFields"] = [{}]
    store.put(Kind.POD, raw)
    ((_, kept),) = store.objects(Kind.POD)
    assert "managedFields" not in kept["metadata"]
    assert "diffrun.dev/task" not in kept["metadata"]["annotations"]
    assert kept["metadata"]["annotations"]["diffrun.dev/pause"] == "true"


def test_a_pods_newest_word_on_holding_counts_in_whatever_order_it_comes(store, raw_run, raw_pod):
    raw = raw_run(BLOCK)
    store.put(Kind.RUN, raw)
    store.put(Kind.POD, raw_pod("Running", state={"running": {}}))
    assert store.hold(UID, "pod-uid", 5, holds=True)
    assert observed(store, raw).pods[0].holding
    assert not store.hold(UID, "pod-uid", 5, holds=True), "the same word again is no news"
    assert store.hold(UID, "pod-uid", 6, holds=False)
    assert not store.hold(UID, "pod-uid", 5, holds=True), "an old word that was sent again"
    assert not observed(store, raw).pods[0].holding


def running(raw_run, attempt=1):
    status = DiffusionRunStatus(blocks=[BlockStatus(name="full", attempt=attempt)])
    return raw_run(BLOCK, status=status.model_dump(mode="json", by_alias=True, exclude_none=True))


def test_progress_is_shown_at_most_every_half_minute(store, raw_run):
    raw = running(raw_run)
    store.put(Kind.RUN, raw)
    assert store.progress_made(UID, "full", 0, ProgressMade(done=1, total=4), attempt=1, retry=0)
    assert observed(store, raw, now=100).progress == {"full": (1, 8)}
    store.progress_made(UID, "full", 1, ProgressMade(done=2, total=4), attempt=1, retry=0)
    assert store.progress_due_in(UID, now=101) == PROGRESS_INTERVAL - 1
    assert observed(store, raw, now=101).progress == {"full": (1, 8)}
    assert observed(store, raw, now=100 + PROGRESS_INTERVAL).progress == {"full": (3, 8)}


def test_progress_of_an_earlier_attempt_is_not_shown(store, raw_run):
    raw = running(raw_run, attempt=2)
    store.put(Kind.RUN, raw)
    store.progress_made(UID, "full", 0, ProgressMade(done=3, total=4), attempt=1, retry=0)
    assert observed(store, raw).progress == {}


def test_a_retry_begins_anew_and_its_predecessors_late_words_are_ignored(store, raw_run):
    store.put(Kind.RUN, running(raw_run))
    store.progress_made(UID, "full", 0, ProgressMade(done=3, total=4), attempt=1, retry=0)
    assert store.progress_made(UID, "full", 0, ProgressMade(done=0, total=4), attempt=1, retry=1)
    assert not store.progress_made(UID, "full", 0, ProgressMade(done=4, total=4), attempt=1, retry=0)


def test_a_shard_that_has_not_spoken_counts_as_large_as_the_others():
    told = {0: ShardProgress(1, 0, 2, 4), 2: ShardProgress(1, 0, 1, 3)}
    assert sum_progress(told, expected=4) == (3, 14)
    assert sum_progress(told, expected=2) == (3, 7)
