"""What is known of one run: its series and artifacts, each event counted once.

The store takes events in any order and from any source (Redis, files, both); (pod, seq) tells what it already has.
It does no input or output.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from diffrun_contracts.events import Artifact, ArtifactWritten, BlockFinished, BlockStarted
from diffrun_contracts.task import RunRef
from diffrun_gateway.parse import Dropped, Parsed, Reason
from diffrun_gateway.series import POINTS_PER_EVENT_BITS, SegmentKey, SeriesData, SeriesKey

MAX_POINTS = 20_000_000
"""Points of one run that are kept in memory, 32 bytes each."""
MAX_SERIES = 50_000
"""Series of one run."""


class SeqSet:
    """Which numbers of a pod have been seen: all below `next`, and those of `beyond`."""

    def __init__(self) -> None:
        self.next = 0
        self.beyond: set[int] = set()

    def __contains__(self, seq: int) -> bool:
        return seq < self.next or seq in self.beyond

    def add(self, seq: int) -> None:
        """Marks a number that was not there."""
        self.beyond.add(seq)
        self._advance()

    def forgive(self, largest: int | None = None) -> bool:
        """Accepts that what is missing below the largest number (up to `largest`) never comes; whether any was."""
        given_up = [seq for seq in self.beyond if largest is None or seq <= largest]
        if given_up:
            self.next = max(given_up) + 1
            self.beyond.difference_update(given_up)
            self._advance()
        return bool(given_up)

    def _advance(self) -> None:
        while self.next in self.beyond:
            self.beyond.discard(self.next)
            self.next += 1


@dataclass(frozen=True)
class StoredArtifact:
    """An artifact with the pod that wrote it."""

    artifact: Artifact
    block: str
    owner: SegmentKey
    time_ms: float | None
    """When it was announced; None where only a manifest tells of it."""


@dataclass
class BlockFacts:
    """What a block's pods said of themselves, for runs without an object."""

    name: str
    block_type: str = ""
    attempt: int = 0
    started_ms: float | None = None
    finished: dict[int, BlockFinished] = field(default_factory=dict)
    """By shard, of the newest attempt."""
    shards: set[int] = field(default_factory=set)
    finished_ms: float | None = None


class RunStore:
    """Everything that the pages show of one run's events."""

    def __init__(self, uid: str, *, max_points: int = MAX_POINTS) -> None:
        self.uid = uid
        self.ref: RunRef | None = None
        self.series: dict[SeriesKey, SeriesData] = {}
        self.artifacts: dict[str, StoredArtifact] = {}
        self.blocks: dict[str, BlockFacts] = {}
        self.points = 0
        self.full = False
        """Whether points were left out because there were too many."""
        self.last_metric: str | None = None
        """The metric that was written last."""
        self.version = 0
        """Rises with every change."""
        self._max_points = max_points
        self._pods: dict[str, SeqSet] = {}
        self._newest: dict[str, tuple[int, float]] = {}
        self._owners: dict[_Kind, set[SegmentKey]] = {}

    def seen(self, pod: str, seq: int) -> bool:
        """Whether the event has been applied."""
        return pod in self._pods and seq in self._pods[pod]

    def newest(self) -> dict[str, tuple[int, float]]:
        """By pod: the largest number seen, and when that event happened, in milliseconds since the epoch."""
        return self._newest

    def gaps(self) -> bool:
        """Whether events are known to be missing: a later one of the same pod is there."""
        return any(seqs.beyond for seqs in self._pods.values())

    def forgive_gaps(self, newest: Mapping[str, tuple[int, float]] | None = None) -> bool:
        """What is missing is in no file either: up to what `newest` was once, or all of it. Returns whether any was."""
        given_up = False
        for pod, seqs in self._pods.items():
            given_up |= seqs.forgive(None if newest is None else newest.get(pod, (-1, 0.0))[0])
        return given_up

    def apply(self, event: Parsed) -> bool:
        """Takes an event. Returns whether it made older points void. Raises Dropped for one it already has."""
        seqs = self._pods.setdefault(event.pod, SeqSet())
        if event.seq in seqs:
            raise Dropped(Reason.DUPLICATE)
        seqs.add(event.seq)
        if event.seq >= self._newest.get(event.pod, (-1, 0.0))[0]:
            self._newest[event.pod] = event.seq, event.time_ms
        self.version += 1
        owner = (event.attempt, event.shard, event.retry)
        if self.ref is None:
            self.ref = RunRef(namespace=event.run[0], name=event.run[1], uid=self.uid)
        facts = self._facts(event)
        if event.event is None:
            return self._add_samples(event, owner)
        body = event.event.body
        if isinstance(body, ArtifactWritten):
            return self.add_artifact(body.artifact, event.block, owner, event.time_ms)
        if facts is not None and isinstance(body, BlockStarted | BlockFinished):
            _note(facts, event, body)
        return False

    def add_artifact(self, artifact: Artifact, block: str, owner: SegmentKey, time_ms: float | None) -> bool:
        """Takes an artifact of an event, or (without a time) of a manifest. Returns whether it replaces one."""
        known = self.artifacts.get(artifact.id)
        if known is not None and (known.time_ms is not None or time_ms is None):
            return False  # the first announcement holds: bytes never change
        if known is None:
            self.version += 1
        self.artifacts[artifact.id] = StoredArtifact(artifact, block, owner, time_ms)
        owners = self._owners.setdefault(_Kind.of(block, artifact), set())
        owners.add(owner)
        return known is None and len(owners) > 1 and any(_replaced(other, owners) for other in owners)

    def visible_artifacts(self) -> list[StoredArtifact]:
        """Oldest first, without those that a newer attempt, or a newer retry of the shard, wrote again."""
        kept = [
            item
            for item in self.artifacts.values()
            if not _replaced(item.owner, self._owners[_Kind.of(item.block, item.artifact)])
        ]
        return sorted(kept, key=lambda item: (item.time_ms or 0.0, item.artifact.path))

    def by_metric(self) -> dict[str, list[SeriesData]]:
        """The series of each metric, both in order."""
        grouped: dict[str, list[SeriesData]] = {}
        for key in sorted(self.series, key=lambda key: key.sort_key):
            grouped.setdefault(key.name, []).append(self.series[key])
        return grouped

    def _add_samples(self, event: Parsed, owner: SegmentKey) -> bool:
        void = False
        order = event.seq << POINTS_PER_EVENT_BITS
        for index, sample in enumerate(event.samples):
            key = SeriesKey(sample.name, event.block, sample.labels)
            series = self.series.get(key)
            if self.points >= self._max_points or (series is None and len(self.series) >= MAX_SERIES):
                self.full = True
                raise Dropped(Reason.NO_ROOM)
            if series is None:
                series = self.series[key] = SeriesData(key)
            void |= series.add(owner, order + index, sample.step, event.time_ms, sample.value)
            self.points += 1
            self.last_metric = sample.name
        return void

    def _facts(self, event: Parsed) -> BlockFacts | None:
        """What is known of the event's block; None where the event is of an attempt that was given up."""
        facts = self.blocks.get(event.block)
        if facts is None or event.attempt > facts.attempt:
            facts = self.blocks[event.block] = BlockFacts(event.block, attempt=event.attempt)
        if event.attempt < facts.attempt:
            return None
        facts.shards.add(event.shard)
        facts.started_ms = min(facts.started_ms or event.time_ms, event.time_ms)
        return facts


def _note(facts: BlockFacts, event: Parsed, body: BlockStarted | BlockFinished) -> None:
    if isinstance(body, BlockStarted):
        facts.block_type = body.block_type
        facts.finished.pop(event.shard, None)  # a retry has begun
    else:
        facts.finished[event.shard] = body
        facts.finished_ms = max(facts.finished_ms or 0.0, event.time_ms)


@dataclass(frozen=True)
class _Kind:
    """Artifacts of one kind stand for the same thing; a newer pod's replace an older one's."""

    block: str
    schema_type: str
    tags: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, block: str, artifact: Artifact) -> "_Kind":
        return cls(block, artifact.schema_type, frozenset(artifact.tags.items()))


def _replaced(owner: SegmentKey, owners: set[SegmentKey]) -> bool:
    attempt, shard, retry = owner
    return any(o[0] > attempt or (o[0] == attempt and o[1] == shard and o[2] > retry) for o in owners)


def at(time_ms: float) -> datetime:
    """Milliseconds since the epoch as a time."""
    return datetime.fromtimestamp(time_ms / 1000, UTC)
