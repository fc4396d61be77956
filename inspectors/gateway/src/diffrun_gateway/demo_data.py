"""Runs to look at without a cluster and without computing anything: `python -m diffrun_gateway.demo_data`.

It writes what workers and operator would have written: events to files and Redis, pictures, `run.json`. Some runs are
over, one waits at its gate until somebody decides on the page, one goes on publishing.
"""

import argparse
import hashlib
import io
import json
import math
import random
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import redis
from PIL import Image

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
    ProgressMade,
)  # fmt: skip
from diffrun_contracts.task import RunRef

STEPS = {"preview": 10, "full": 40}
SAMPLES = {"preview": 2, "full": 16}


class Pod:
    """Writes one pod's events and artifacts, and publishes them."""

    def __init__(
        self, workspace: Path, client: "redis.Redis | None", run: RunRef, block: str, clock: "Clock", attempt: int = 1
    ) -> None:  # fmt: skip
        self._run, self._block, self._client, self._clock, self._attempt = run, block, client, clock, attempt
        self._relative = names.retry_dir(run.uid, block, attempt, 0, 0)
        self._workspace = workspace
        self._directory = workspace / self._relative
        (self._directory / "artifacts").mkdir(parents=True, exist_ok=True)
        self._pod, self._seq = str(uuid.uuid4()), 0
        self.artifacts: list[Artifact] = []

    def emit(self, *bodies: Body) -> None:
        """File first, then Redis."""
        lines = []
        for body in bodies:
            event = Event(
                run=self._run, block=self._block, attempt=self._attempt, shard=0, retry=0, pod=self._pod,
                seq=self._seq, time=self._clock.now(), body=body,
            )  # fmt: skip
            self._seq += 1
            lines.append(event.to_json())
        with (self._directory / names.EVENTS_FILE).open("a") as file:
            file.writelines(line + "\n" for line in lines)
        if self._client is not None:
            pipeline = self._client.pipeline(transaction=False)
            for line in lines:
                pipeline.xadd(names.events_key(self._run.uid), {EVENT_FIELD: line}, maxlen=100_000, approximate=True)
            pipeline.execute()

    def picture(self, image: Image.Image, tags: dict[str, str]) -> None:
        """An image, durable before it is announced."""
        out = io.BytesIO()
        image.save(out, "PNG", compress_level=1)
        data, number = out.getvalue(), len(self.artifacts)
        identifier = hashlib.sha256(f"{self._pod}/{number}".encode()).hexdigest()[:32]
        path = f"{self._relative}/artifacts/{number:06d}-{identifier[:8]}.png"
        (self._workspace / path).write_bytes(data)
        artifact = Artifact(
            id=identifier, path=path, schema_type="generated_sample", content_type="image/png", tags=tags,
            sha256=hashlib.sha256(data).hexdigest(), size=len(data), width=image.width, height=image.height,
        )  # fmt: skip
        self.artifacts.append(artifact)
        manifest = Manifest(
            run=self._run, block=self._block, attempt=self._attempt, shard=0, retry=0, artifacts=tuple(self.artifacts)
        )
        (self._directory / names.MANIFEST_FILE).write_text(manifest.to_json())
        self.emit(ArtifactWritten(artifact=artifact))

    @property
    def digest(self) -> str:
        """What a gate is bound to."""
        ordered = sorted(self.artifacts, key=lambda artifact: artifact.id)
        return "sha256:" + hashlib.sha256("".join(f"{a.sha256}\n" for a in ordered).encode()).hexdigest()


class Clock:
    """The past, quickly; the present, as it comes."""

    def __init__(self, start: datetime, *, live: bool) -> None:
        self._time, self._live = start, live

    def now(self) -> datetime:
        """The time of an event."""
        return datetime.now(UTC) if self._live else self._time

    def pass_(self, seconds: float) -> None:
        """Waits, or pretends to have waited."""
        self._time += timedelta(seconds=seconds)
        if self._live:
            time.sleep(seconds)


def points(step: int, steps: int, sample: int, rng: random.Random) -> list[MetricPoint]:
    """The three metrics of a denoising step, from a linear-beta schedule of 1000 timesteps."""
    timestep = 999 - step * 999 // max(1, steps - 1)
    betas = np.linspace(1e-4, 0.02, 1000)
    kept = float(np.cumprod(1 - betas)[timestep])
    values = {
        "denoise/noise_level": 1 - kept,
        "denoise/predicted_noise_mse": 0.98 + 0.1 * math.sin(step / 3 + sample) + rng.gauss(0, 0.02),
        "denoise/snr": min(1000.0, kept / (1 - kept)),
    }
    labels: dict[str, str | int] = {"step": step, "sample_index": sample}
    return [MetricPoint(name=name, value=value, step=step, labels=labels) for name, value in values.items()]


def picture(seed: int, size: int = 256) -> Image.Image:
    """Something that looks different for every seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    channels = []
    for _ in range(3):
        a, b, c, d = rng.uniform(1, 6, 4)
        channels.append(np.sin(a * 2 * np.pi * x + c) * np.cos(b * 2 * np.pi * y + d) + 0.3 * np.sin(7 * a * x * y))
    field = np.stack(channels, -1)
    field = (field - field.min()) / (field.max() - field.min())
    noise = rng.normal(0, 0.02, field.shape)
    return Image.fromarray((np.clip(field + noise, 0, 1) * 255).astype(np.uint8))


class DemoRun:
    """A run of the three blocks, with its object."""

    def __init__(
        self, workspace: Path, client: "redis.Redis | None", name: str, *, live: bool, age: float, seed: int = 0
    ) -> None:
        """`age`: how many seconds ago it began."""
        self._workspace, self._client, self._seed = workspace, client, seed
        self.clock = Clock(datetime.now(UTC) - timedelta(seconds=age), live=live)
        self.ref = RunRef(namespace="demo", name=name, uid=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/{time.time()}")))
        created = _iso(self.clock.now())
        gate = {"prompt": "Review the preview samples before the full batch runs."}
        blocks = [
            {"name": "download", "downloadCheckpoint": {"repo": "google/ddpm-cat-256", "revision": "main"}},
            {"name": "preview", "generatePreview": {"samples": 2, "sampler": {"name": "DDIM", "steps": 10}},
             "gate": gate},
            {"name": "full", "generateFull": {"samples": 16, "batchSize": 4}},
        ]  # fmt: skip
        self._object: dict[str, Any] = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"namespace": "demo", "name": name, "uid": self.ref.uid, "creationTimestamp": created},
            "spec": {"seed": seed, "blocks": blocks},
            "status": {
                "observedGeneration": 1, "startTime": created, "conditions": [], "gates": {},
                "blocks": [{"name": block["name"], "attempt": 0} for block in blocks],
            },
        }  # fmt: skip
        (workspace / names.run_dir(self.ref.uid)).mkdir(parents=True, exist_ok=True)
        self._running("Running")

    @property
    def _file(self) -> Path:
        return self._workspace / names.run_dir(self.ref.uid) / names.RUN_FILE

    def save(self) -> None:
        """Writes the object, keeping what a person has changed in it meanwhile."""
        self._look()
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._object, indent=1))
        temporary.replace(self._file)

    def _look(self) -> None:
        """Takes over what a person has changed in the file."""
        if not self._file.exists():
            return
        there = json.loads(self._file.read_text())
        self._object["spec"] = there["spec"]
        for block, gate in there["status"]["gates"].items():
            mine = self._object["status"]["gates"].setdefault(block, gate)
            mine.update({key: gate[key] for key in ("decision", "decidedBy", "note") if key in gate})

    def play(self, *, until: str | None = None) -> None:
        """Runs the blocks; stops early at the gate where `until` says so, or where it is rejected."""
        self._download()
        digest = self._generate("preview")
        gate = {"state": "Waiting", "openedAt": _iso(self.clock.now()), "previewDigest": digest}
        self._object["status"]["gates"]["preview"] = gate
        self._running("GatePending", gate=True)
        if until == "gate":
            return
        self.decide()

    def decide(self, decision: str = "Approved", user: str = "alice") -> None:
        """Closes the gate and goes on, or not."""
        gate = self._object["status"]["gates"]["preview"]
        gate.setdefault("decision", decision)
        gate.setdefault("decidedBy", user)
        gate.update(state=gate["decision"], closedAt=_iso(self.clock.now()))
        if gate["decision"] == "Rejected":
            self._block("full", state="Skipped", reason="GateRejected")
            self._end("False", "GateRejected", f"the gate of preview was rejected by {gate['decidedBy']}")
            return
        self._running("Running")
        self._generate("full")
        self._end("True", "AllBlocksSucceeded", "all blocks succeeded")

    def decided(self) -> bool:
        """Whether somebody has decided on the page, and nothing has come of it yet. Writes nothing: who waits would
        otherwise overwrite the decision that comes between its reading and its writing.
        """
        self._look()
        gate = self._object["status"]["gates"].get("preview", {})
        return "decision" in gate and "closedAt" not in gate

    def _download(self) -> None:
        self._start("download")
        pod = Pod(self._workspace, self._client, self.ref, "download", self.clock)
        pod.emit(BlockStarted(block_type="downloadCheckpoint", device="cpu", versions={"diffrun": "0.1.0"}))
        for done in range(0, 455, 65):
            pod.emit(ProgressMade(done=done, total=455))
            self._progress("download", done, 455)
            self.clock.pass_(0.3)
        outputs: dict[str, str | int | float | bool] = {"model_path": "cache/hub/models--google--ddpm-cat-256"}
        pod.emit(BlockFinished(succeeded=True, outputs=outputs))
        self._finish("download", outputs)

    def _generate(self, block: str) -> str:
        self._start(block)
        rng = random.Random(self._seed)  # noqa: S311 - a demonstration
        pod = Pod(self._workspace, self._client, self.ref, block, self.clock)
        pod.emit(BlockStarted(block_type=f"generate{block.title()}", device="cpu", versions={"torch": "2.15.0"}))
        steps, samples = STEPS[block], SAMPLES[block]
        for first in range(0, samples, 4):
            batch = range(first, min(first + 4, samples))
            for step in range(steps):
                batched = [point for sample in batch for point in points(step, steps, sample, rng)]
                pod.emit(
                    Metric(points=tuple(batched)), ProgressMade(done=first * steps + step * 4, total=samples * steps)
                )
                self._progress(block, first * steps + (step + 1) * len(batch), samples * steps)
                self.clock.pass_(0.25)
            for sample in batch:
                seed = self._seed + sample + (1000 if block == "full" else 0)
                pod.picture(picture(seed), {"phase": block, "sample_index": str(sample), "seed": str(seed)})
        pod.emit(BlockFinished(succeeded=True))
        self._finish(block, {})
        return pod.digest

    def _start(self, block: str) -> None:
        now = _iso(self.clock.now())
        job = {"name": names.job_name(self.ref.name, block, self.ref.uid, 1)}
        self._object["status"]["currentBlock"] = block
        self._block(block, state="Running", reason="Running", attempt=1, startTime=now, jobRef=job)

    def _finish(self, block: str, outputs: dict[str, Any]) -> None:
        now = _iso(self.clock.now())
        self._block(block, state="Succeeded", reason="Completed", completionTime=now, outputs=outputs)

    def _progress(self, block: str, done: int, total: int) -> None:
        self._block(block, progress={"done": done, "total": total})

    def _block(self, name: str, **fields: Any) -> None:
        entry = next(entry for entry in self._object["status"]["blocks"] if entry["name"] == name)
        entry.update(fields)
        done = sum(entry.get("state") == "Succeeded" for entry in self._object["status"]["blocks"])
        self._object["status"]["done"] = f"{done}/3"
        self.save()

    def _running(self, reason: str, *, gate: bool = False) -> None:
        self._conditions(Finished=("False", reason), Succeeded=("Unknown", reason),
                         GatePending=(str(gate), "Waiting" if gate else "NoGateWaiting"))  # fmt: skip

    def _end(self, succeeded: str, reason: str, message: str) -> None:
        self._object["status"]["completionTime"] = _iso(self.clock.now())
        self._conditions(message, Finished=("True", reason), Succeeded=(succeeded, reason),
                         GatePending=("False", "NoGateWaiting"))  # fmt: skip

    def _conditions(self, message: str = "", **states: tuple[str, str]) -> None:
        now = _iso(self.clock.now())
        self._object["status"]["conditions"] = [
            {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now,
             "observedGeneration": 1}
            for kind, (status, reason) in {"SpecValid": ("True", "Valid"), **states}.items()
        ]  # fmt: skip
        self.save()


def long_series(workspace: Path, client: "redis.Redis | None", count: int) -> None:
    """A run with one long, noisy curve, a few values that are not finite among its points."""
    run = RunRef(namespace="demo", name="long-training", uid=str(uuid.uuid4()))
    clock = Clock(datetime.now(UTC) - timedelta(hours=5), live=False)
    pod = Pod(workspace, client, run, "train", clock)
    pod.emit(BlockStarted(block_type="custom", device="cpu", versions={}))
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.05, count)
    for first in range(0, count, 500):
        batch = []
        for step in range(first, min(first + 500, count)):
            value = math.nan if step % 50_021 == 50_020 else 0.02 + math.exp(-step / count * 6) * (1 + noise[step])
            batch.append(MetricPoint(name="train/loss", value=value, step=step))
        pod.emit(Metric(points=tuple(batch)))
        clock.pass_(18000 * 500 / count)
    pod.emit(BlockFinished(succeeded=True))


def scenes(workspace: Path, client: "redis.Redis | None", count: int) -> Iterator[str]:
    """Writes the finished runs and the one that waits; then plays live ones for ever, saying what it does."""
    for number in range(2):
        DemoRun(workspace, client, f"ddpm-cat-{number}", live=False, age=7200 - 1800 * number, seed=number).play()
    rejected = DemoRun(workspace, client, "ddpm-cat-rejected", live=False, age=5000, seed=9)
    rejected.play(until="gate")
    rejected.decide("Rejected", "bob")
    if count:
        long_series(workspace, client, count)
    waiting = DemoRun(workspace, client, "ddpm-cat-waiting", live=False, age=600, seed=4)
    waiting.play(until="gate")
    waiting.clock = Clock(datetime.now(UTC), live=True)
    yield "demo/ddpm-cat-waiting waits for a decision on the page"
    for round_ in range(1, 1000):
        live = DemoRun(workspace, client, f"ddpm-cat-live-{round_}", live=True, age=0, seed=20 + round_)
        yield f"demo/{live.ref.name} is live"
        live.play()
        if waiting.decided():
            yield "demo/ddpm-cat-waiting has been decided and goes on"
            waiting.decide()


def main() -> None:
    """Plays until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--redis", metavar="URL")
    parser.add_argument("--points", type=int, default=200_000, help="points of the long curve; 0 for none")
    parser.add_argument("--once", action="store_true", help="write what is over and what waits, then end")
    options = parser.parse_args()
    options.workspace.mkdir(parents=True, exist_ok=True)
    client = redis.Redis.from_url(options.redis) if options.redis else None
    for said in scenes(options.workspace, client, options.points):
        print(said, flush=True)
        if options.once:
            break


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


if __name__ == "__main__":
    main()
