"""The durable history: `events.jsonl`, or in an object store its segments, and `manifest.json` of every pod of a run.

Workers write a line before Redis hears of it, so a line that Redis does not deliver after a while is one that it
lost. Files are read once and then from where the last reading ended.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pydantic import ValidationError

from diffrun_contracts import names
from diffrun_contracts.events import SCHEMA_VERSION, Artifact, Manifest
from diffrun_gateway.files import EventFile, Files, NotThere, PodDirectory
from diffrun_gateway.parse import Dropped, Parsed, Reason, parse
from diffrun_gateway.series import SegmentKey

CHUNK = 4 << 20
"""Bytes read at once."""
MAX_MANIFEST = 64 << 20
"""A larger manifest is not read; the events tell of the artifacts too."""

_WHO = re.compile(rb'"pod":"([^"\\]+)","seq":(\d+)')
Known = Callable[[str, int], bool]
OnDrop = Callable[[Reason], None]


@dataclass
class _Tail:
    """How far one file has been read."""

    offset: int = 0
    rest: bytes = b""
    """The beginning of a line whose end is not there yet."""
    whole: bool = False
    """Whether it was read to its end the last time."""


@dataclass
class Listed:
    """An artifact that a manifest tells of."""

    artifact: Artifact
    block: str
    owner: SegmentKey


@dataclass
class Durable:
    """The files of one run. Used by one thread at a time."""

    files: Files
    uid: str
    on_drop: OnDrop
    _tails: dict[str, _Tail] = field(default_factory=dict)
    _waiting: dict[tuple[str, int], tuple[float, Parsed]] = field(default_factory=dict)
    """What Redis may still deliver, and when it was found."""

    def fresh(self, known: Known) -> Iterator[Parsed]:
        """Events of the lines that are new, without `known` ones, in the files' order.

        They come as they are parsed: a history in one piece needs ten times the memory of what is kept of it. What
        is not taken from here does not come again.
        """
        for pod in self.files.pods(self.uid):
            for file in self.files.event_files(pod):
                for line in self._lines(file):
                    event = self._consider(line, known)
                    if event is not None:
                        yield event

    def events(self, known: Known, grace: float = 0.0) -> list[Parsed]:
        """Events that are not `known` and were first found at least `grace` seconds ago, in the files' order."""
        now = time.monotonic()
        for event in self.fresh(known):
            self._waiting.setdefault((event.pod, event.seq), (now, event))
        missing = []
        for who, (found, event) in list(self._waiting.items()):
            if known(*who):
                del self._waiting[who]
            elif now - found >= grace:
                missing.append(event)
                del self._waiting[who]
        return missing

    def artifacts(self) -> list[Listed]:
        """What the manifests list, in the files' order."""
        listed = []
        for pod in self.files.pods(self.uid):
            manifest = self._manifest(pod)
            if manifest is not None:
                owner = (pod.attempt, pod.shard, pod.retry)
                listed += [Listed(artifact, pod.block, owner) for artifact in manifest.artifacts]
        return listed

    def _consider(self, line: bytes, known: Known) -> Parsed | None:
        who = _WHO.search(line, 0, 2048)
        if who is not None and known(who[1].decode("utf-8", "replace"), int(who[2])):
            return None
        try:
            event = parse(line, self.uid)
        except Dropped as dropped:
            self.on_drop(dropped.reason)
            return None
        return None if known(event.pod, event.seq) else event

    def _lines(self, file: EventFile) -> Iterator[bytes]:
        """Complete lines that were not there the last time, of one chunk after the other."""
        tail = self._tails.setdefault(file.path, _Tail())
        if file.sealed and tail.whole:
            return
        try:
            with self.files.open(self.uid, file.path) as opened:
                while tail.offset < opened.size and (chunk := opened.read(tail.offset, CHUNK)):
                    tail.offset += len(chunk)
                    *complete, rest = (tail.rest + chunk).split(b"\n")
                    if len(rest) > names.MAX_EVENT_BYTES:
                        rest = rest[: names.MAX_EVENT_BYTES + 1]  # too large for an event already
                    tail.rest = rest
                    yield from filter(None, complete)
                tail.whole = True
        except NotThere:
            return

    def _manifest(self, pod: PodDirectory) -> Manifest | None:
        try:
            data = self.files.read(self.uid, f"{pod.path}/{names.MANIFEST_FILE}", MAX_MANIFEST)
            manifest = Manifest.model_validate_json(data)
        except NotThere:
            return None
        except ValidationError:
            self.on_drop(Reason.INVALID)
            return None
        if manifest.schema_version > SCHEMA_VERSION:
            self.on_drop(Reason.FUTURE_SCHEMA)
            return None
        if manifest.run.uid != self.uid:
            self.on_drop(Reason.FOREIGN_RUN)
            return None
        return manifest
