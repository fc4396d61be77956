"""A run as the gateway finds it: its object, and pods that write files and publish events."""

import hashlib
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis

from diffrun_contracts import names
from diffrun_contracts.events import (
    EVENT_FIELD,
    Artifact,
    ArtifactWritten,
    BlockFinished,
    BlockStarted,
    Body,
    Event,
    Manifest,
    Metric,
    MetricPoint,
)
from diffrun_contracts.task import RunRef
from diffrun_testkit.servers import RedisServer


def a_run(name: str = "cats", namespace: str = "demo") -> RunRef:
    """A run that nobody has met before."""
    return RunRef(namespace=namespace, name=name, uid=str(uuid.uuid4()))


def point(value: float, step: int, name: str = "denoise/snr", **labels: str | int) -> MetricPoint:
    """One point; `step` is a label too, as workers do it."""
    return MetricPoint(name=name, value=value, step=step, labels={"step": step, **labels})


@dataclass
class Pod:
    """Writes and publishes one pod's events; either path can be broken."""

    run: RunRef
    workspace: Path | None = None
    client: "redis.Redis | None" = None
    block: str = "preview"
    attempt: int = 1
    shard: int = 0
    retry: int = 0
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    seq: int = 0
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    artifacts: list[Artifact] = field(default_factory=list)

    @property
    def relative(self) -> str:
        """The pod's directory in the workspace."""
        return names.retry_dir(self.run.uid, self.block, self.attempt, self.shard, self.retry)

    def line(self, body: Body) -> str:
        """The next event."""
        self.time += timedelta(milliseconds=10)
        event = Event(
            run=self.run, block=self.block, attempt=self.attempt, shard=self.shard, retry=self.retry, pod=self.uid,
            seq=self.seq, time=self.time, body=body,
        )  # fmt: skip
        self.seq += 1
        return event.to_json()

    def emit(self, *bodies: Body, live: bool = True, durable: bool = True) -> None:
        """File first, then Redis."""
        lines = [self.line(body) for body in bodies]
        if durable:
            self.write(lines)
        if live:
            self.publish(lines)

    def write(self, lines: Iterable[str]) -> None:
        """Appends lines to events.jsonl."""
        if self.workspace is not None:
            path = self.workspace / self.relative / names.EVENTS_FILE
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.writelines(line + "\n" for line in lines)

    def publish(self, lines: Iterable[str | bytes]) -> None:
        """Appends lines to the stream."""
        if self.client is not None:
            for line in lines:
                self.client.xadd(names.events_key(self.run.uid), {EVENT_FIELD: line})

    def metric(self, *values: float, start: int = 0, name: str = "denoise/snr", **kw: Any) -> None:
        """Points of consecutive steps, one event each."""
        for offset, value in enumerate(values):
            self.emit(Metric(points=(point(value, start + offset, name),)), **kw)

    def started(self) -> None:
        """The first event."""
        self.emit(BlockStarted(block_type="generatePreview", device="cpu"))

    def finished(self) -> None:
        """The last event."""
        self.emit(BlockFinished(succeeded=True))

    def artifact(self, data: bytes, *, name: str = "sample.png", content_type: str = "image/png",
                 schema_type: str = "generated_sample", path: str | None = None, identifier: str | None = None,
                 **tags: str) -> Artifact:  # fmt: skip
        """Writes a file, lists it and announces it."""
        assert self.workspace is not None
        relative = path or f"{self.relative}/artifacts/{len(self.artifacts):06d}-{name}"
        if path is None:
            target = self.workspace / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        artifact = Artifact(
            id=identifier or uuid.uuid4().hex, path=relative, schema_type=schema_type, content_type=content_type,
            tags=tags, sha256=hashlib.sha256(data).hexdigest(), size=len(data),
        )  # fmt: skip
        self.artifacts.append(artifact)
        manifest = Manifest(run=self.run, block=self.block, attempt=self.attempt, shard=self.shard, retry=self.retry,
                            artifacts=tuple(self.artifacts))  # fmt: skip
        directory = self.workspace / self.relative
        directory.mkdir(parents=True, exist_ok=True)
        (directory / names.MANIFEST_FILE).write_text(manifest.to_json())
        self.emit(ArtifactWritten(artifact=artifact))
        return artifact


def run_object(run: RunRef, *, over: bool = False, gates: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """The object of a run of two blocks, the first with a gate."""
    now = "2026-01-01T00:00:00Z"
    states = {"Finished": "True" if over else "False", "Succeeded": "True" if over else "Unknown"}
    reason = "AllBlocksSucceeded" if over else "Running"
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"namespace": run.namespace, "name": run.name, "uid": run.uid, "creationTimestamp": now,
                     "generation": 1, "resourceVersion": "1"},
        "spec": {"blocks": [{"name": "preview", "generatePreview": {}, "gate": {"prompt": "Good?"}},
                            {"name": "full", "generateFull": {}}], **spec},
        "status": {
            "startTime": now, "gates": gates or {},
            "blocks": [{"name": "preview", "state": "Succeeded" if over else "Running", "attempt": 1},
                       {"name": "full", "state": "Succeeded" if over else "Pending"}],
            "conditions": [{"type": kind, "status": status, "reason": reason, "lastTransitionTime": now,
                            "observedGeneration": 1} for kind, status in states.items()],
        },
    }  # fmt: skip


def write_object(workspace: Path, raw: dict[str, Any]) -> None:
    """Puts `run.json` into the run's directory."""
    path = workspace / names.run_dir(raw["metadata"]["uid"]) / names.RUN_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(raw))
    temporary.replace(path)


def a_pod(workspace: Path, redis_server: RedisServer, name: str = "cats") -> Pod:
    """A pod of a run of that name, whose events go to the files and to Redis."""
    run = a_run(name)
    write_object(workspace, run_object(run))
    return Pod(run, workspace, redis_server.client)
