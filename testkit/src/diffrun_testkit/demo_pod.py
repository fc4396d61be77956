"""What a made-up run's pods write: events to files and Redis, pictures, curves. Nothing is computed."""

import hashlib
import io
import math
import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import redis
from PIL import Image

from diffrun_contracts import names
from diffrun_contracts.events import EVENT_FIELD, Artifact, ArtifactWritten, Body, Event, Manifest, MetricPoint
from diffrun_contracts.task import RunRef


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


class Pod:
    """Writes one pod's events and artifacts, and publishes them."""

    def __init__(
        self, workspace: Path, client: "redis.Redis | None", run: RunRef, block: str, clock: Clock, attempt: int = 1
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
        """A sample's image."""
        out = io.BytesIO()
        image.save(out, "PNG", compress_level=1)
        self.artifact(out.getvalue(), "generated_sample", "image/png", tags, image.size)

    def artifact(
        self, data: bytes, schema_type: str, content_type: str, tags: dict[str, str], size: tuple[int, int]
    ) -> None:
        """Any file, durable before it is announced."""
        number, (width, height) = len(self.artifacts), size
        identifier = hashlib.sha256(f"{self._pod}/{number}".encode()).hexdigest()[:32]
        path = f"{self._relative}/artifacts/{number:06d}-{identifier[:8]}.{content_type.partition('/')[2]}"
        (self._workspace / path).write_bytes(data)
        artifact = Artifact(
            id=identifier, path=path, schema_type=schema_type, content_type=content_type, tags=tags,
            sha256=hashlib.sha256(data).hexdigest(), size=len(data), width=width, height=height,
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
