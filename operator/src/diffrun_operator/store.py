"""What the operator remembers of runs, their Jobs and their pods, between the watches and the reconciles.

Three sources feed it: watch events, the periodic listing, and the answers to our own writes. The newer
resourceVersion wins, so that a reconcile that follows a write never sees the world from before it, even
while the watch lags. Everything here can be lost: a restart fills it again from the API server.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from diffrun_contracts import names
from diffrun_contracts.events import ProgressMade
from diffrun_operator import observe
from diffrun_operator.model import Observed, Run

Raw = Mapping[str, Any]

PROGRESS_INTERVAL = 30.0
"""Seconds between two changes of a run's progress in its status."""


class Kind(StrEnum):
    """The kinds that are watched."""

    RUN = "DiffusionRun"
    JOB = "Job"
    POD = "Pod"


@dataclass(frozen=True, slots=True)
class ShardProgress:
    """How far one shard of one attempt of a block has come."""

    attempt: int
    retry: int
    done: int
    total: int


@dataclass(slots=True)
class Progress:
    """A run's progress as its workers tell it, and as it is shown."""

    latest: dict[str, dict[int, ShardProgress]] = field(default_factory=dict)
    """By block and shard."""
    shown: dict[str, tuple[int, int]] = field(default_factory=dict)
    shown_at: float | None = None
    """Seconds of the monotonic clock."""


@dataclass(slots=True)
class Entry:
    """One run with everything that belongs to it. `run` is None until the run itself has been seen."""

    run: Raw | None = None
    finished: bool = False
    """Whether nothing more will be done for the run, so that only its version is kept."""
    jobs: dict[str, Raw] = field(default_factory=dict)
    pods: dict[str, Raw] = field(default_factory=dict)
    """Jobs and pods by UID: a pod of yesterday's name is another pod."""
    control: dict[str, tuple[int, bool]] = field(default_factory=dict)
    """By pod UID, the newest word on holding: its sequence number, and whether the pod holds."""
    progress: Progress = field(default_factory=Progress)
    collisions: set[str] = field(default_factory=set)
    refusals: dict[str, str] = field(default_factory=dict)
    ended_at: dict[str, float] = field(default_factory=dict)
    """By Job name, when its end was first seen, in seconds of the monotonic clock."""


class Store:
    """All runs by UID. Used from one event loop; no method waits."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._gone: dict[str, None] = {}  # UIDs of deleted objects: a late answer must not bring them back

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, uid: str) -> Entry | None:
        """The entry of a run, if anything is known of it."""
        return self._entries.get(uid)

    def active(self) -> list[Raw]:
        """The runs that have not ended."""
        return [entry.run for entry in self._entries.values() if entry.run is not None and not entry.finished]

    def put(self, kind: Kind, raw: Raw) -> str | None:
        """Take in an object; its run's UID, or None where it is stale or belongs to no run."""
        meta = raw["metadata"]
        uid = run_uid(kind, raw)
        if uid is None or meta["uid"] in self._gone:
            return None
        entry = self._entries.setdefault(uid, Entry())
        known = entry.run if kind is Kind.RUN else self._children(entry, kind).get(meta["uid"])
        if known is not None and version(raw) < version(known):
            return None
        if kind is Kind.RUN:
            entry.run, entry.finished = slim(raw), False
        else:
            self._children(entry, kind)[meta["uid"]] = slim(raw)
        return uid

    def remove(self, kind: Kind, uid: str, object_uid: str) -> None:
        """Forget a deleted object; with a run goes all that belongs to it."""
        self._gone[object_uid] = None
        while len(self._gone) > 10_000:
            del self._gone[next(iter(self._gone))]
        entry = self._entries.get(uid)
        if entry is None:
            return
        if kind is Kind.RUN:
            del self._entries[uid]
            return
        self._children(entry, kind).pop(object_uid, None)
        entry.control.pop(object_uid, None)
        if entry.run is None and not entry.jobs and not entry.pods:
            del self._entries[uid]

    def objects(self, kind: Kind) -> Iterable[tuple[str, Raw]]:
        """Every object of a kind with its run's UID."""
        for uid, entry in list(self._entries.items()):
            if kind is Kind.RUN:
                if entry.run is not None:
                    yield uid, entry.run
            else:
                for raw in list(self._children(entry, kind).values()):
                    yield uid, raw

    def finish(self, uid: str) -> None:
        """Nothing more will be done for this run: keep only what tells versions apart."""
        entry = self._entries.get(uid)
        if entry is None or entry.run is None:
            return
        meta = entry.run["metadata"]
        kept = {key: meta[key] for key in ("namespace", "name", "uid", "resourceVersion")}
        jobs = {key: _stub(raw) for key, raw in entry.jobs.items()}
        pods = {key: _stub(raw) for key, raw in entry.pods.items()}
        self._entries[uid] = Entry(run={"metadata": kept}, finished=True, jobs=jobs, pods=pods)

    def observed(self, run: Run, now: float) -> Observed:
        """Jobs, pods and the workers' words around a run, as decisions take them. `now` is monotonic seconds."""
        entry = self._entries.get(run.uid, Entry())
        self._show_progress(entry, run, now)
        return Observed(
            jobs=tuple(observe.observe_job(raw, run.uid) for raw in entry.jobs.values()),
            pods=tuple(
                observe.observe_pod(raw, holding=entry.control.get(key, (0, False))[1])
                for key, raw in entry.pods.items()
            ),
            collisions=frozenset(entry.collisions),
            refusals=dict(entry.refusals),
            progress=dict(entry.progress.shown),
        )

    def progress_made(self, uid: str, block: str, shard: int, told: ProgressMade, attempt: int, retry: int) -> bool:
        """Take in a worker's progress; whether it is news."""
        entry = self._entries.get(uid)
        if entry is None or entry.finished:
            return False
        shards = entry.progress.latest.setdefault(block, {})
        known = shards.get(shard)
        if known is not None and (known.attempt, known.retry) > (attempt, retry):
            return False
        shards[shard] = ShardProgress(attempt=attempt, retry=retry, done=told.done, total=told.total)
        return shards[shard] != known

    def progress_due_in(self, uid: str, now: float) -> float:
        """Seconds until the run's progress may be shown again."""
        entry = self._entries.get(uid)
        if entry is None or entry.progress.shown_at is None:
            return 0.0
        return max(0.0, entry.progress.shown_at + PROGRESS_INTERVAL - now)

    def hold(self, uid: str, pod: str, seq: int, *, holds: bool) -> bool:
        """Take in a worker's word that it holds or goes on; whether it is news."""
        entry = self._entries.get(uid)
        if entry is None or entry.finished or pod in self._gone:
            return False
        before, held = entry.control.get(pod, (-1, False))
        if seq <= before:  # a word that was sent twice, or that a newer one has overtaken
            return False
        entry.control[pod] = (seq, holds)
        return holds != held

    def _show_progress(self, entry: Entry, run: Run, now: float) -> None:
        if self.progress_due_in(run.uid, now) > 0:
            return
        shards = {block.name: block.shards for block in run.spec.blocks} if run.spec else {}
        attempts = {block.name: block.attempt for block in run.status.blocks}
        fresh = {}
        for block, told in entry.progress.latest.items():
            current = {shard: item for shard, item in told.items() if item.attempt == attempts.get(block)}
            if current:
                fresh[block] = sum_progress(current, shards.get(block, 1))
        if fresh != entry.progress.shown:
            entry.progress.shown, entry.progress.shown_at = fresh, now

    @staticmethod
    def _children(entry: Entry, kind: Kind) -> dict[str, Raw]:
        return entry.jobs if kind is Kind.JOB else entry.pods


def run_uid(kind: Kind, raw: Raw) -> str | None:
    """The UID of the run that an object is, or that it says it belongs to."""
    meta = raw["metadata"]
    if kind is Kind.RUN:
        return str(meta["uid"])
    label = (meta.get("labels") or {}).get(names.LABEL_RUN_UID)
    return str(label) if label else None


def version(raw: Raw) -> int:
    """An object's resourceVersion; greater is newer among the objects of one API server."""
    return int(raw["metadata"]["resourceVersion"])


def slim(raw: Raw) -> Raw:
    """The object without what is large and never read here."""
    meta = {key: value for key, value in raw["metadata"].items() if key != "managedFields"}
    if names.ANNOTATION_TASK in (meta.get("annotations") or {}):
        annotations = {key: value for key, value in meta["annotations"].items() if key != names.ANNOTATION_TASK}
        meta["annotations"] = annotations
    return {**raw, "metadata": meta}


def sum_progress(shards: Mapping[int, ShardProgress], expected: int) -> tuple[int, int]:
    """(done, total) over all shards; one that has not spoken yet is taken to be as large as the others' mean."""
    done = sum(item.done for item in shards.values())
    total = sum(item.total for item in shards.values())
    silent = max(0, expected - len(shards))
    return done, total + round(silent * total / len(shards))


def _stub(raw: Raw) -> Raw:
    meta = raw["metadata"]
    kept = {key: meta[key] for key in ("namespace", "name", "uid", "resourceVersion", "labels") if key in meta}
    return {"metadata": kept}
