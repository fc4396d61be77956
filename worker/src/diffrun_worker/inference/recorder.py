"""All that is kept of one shard's samples: files, metrics, and its part of the run's metadata and charts.

The block `infer` and the command line both give it their batches; neither knows what it keeps.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from diffrun_contracts.params.infer import InferenceConfig
from diffrun_worker.inference.aggregates import Aggregate
from diffrun_worker.inference.capture import Capture
from diffrun_worker.inference.environment import describe_environment
from diffrun_worker.inference.loop import Generation
from diffrun_worker.inference.merging import merge_metrics, merge_tables
from diffrun_worker.inference.metadata import Merged, Part, SampleRecord, Series, publish
from diffrun_worker.inference.output import METRICS, Names, claim_folder
from diffrun_worker.inference.reels import OnVideos
from diffrun_worker.inference.result import FrameData
from diffrun_worker.inference.serialization import plain
from diffrun_worker.inference.tensors import LATENT_SUFFIX
from diffrun_worker.inference.tracker import METRICS_JSON, OnSample, Publish, Tracker
from diffrun_worker.workspace import Workspace


@dataclass(frozen=True)
class ShardOfRun:
    """Which part of which run this is."""

    run_id: str
    """The same in all shards of a run, and in no other run."""
    shard: int = 0
    shards: int = 1


@dataclass(frozen=True)
class Finished:
    """What stands once a shard has ended."""

    folder: Path
    """The class's folder."""
    merged: Merged
    charts: Mapping[str, bytes]
    """PNG files by name without `.png`: the whole run's, given to the shard that completes it; else empty."""


class Recorder:
    """An observer of a shard's batches. After its context `finish` makes the run's documents.

    Leaving the context waits for all files and raises what failed; after an exception nothing more is written, and
    the shard has no part in the index.
    """

    def __init__(
        self,
        output: Path,
        generation: Generation,
        config: InferenceConfig,
        device: str,
        of_run: ShardOfRun,
        *,
        publish_points: Publish | None = None,
        on_sample: OnSample | None = None,
        on_videos: OnVideos | None = None,
        workspace: Workspace | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`output` is the folder that the classes' folders lie in, in the `workspace` where other shards' files are.

        The callbacks are called on other threads.

        Raises PermanentError: `FfmpegMissing`, `InvalidParams` for a folder that another class holds.
        """
        self.folder = claim_folder(output, config.character)
        """The class's folder."""
        self._workspace = workspace or Workspace(str(self.folder))
        self.names = _names(config, generation)
        """The names of all files, relative to `folder`."""
        self._generation = generation
        self._config = config
        self._device = device
        self._of_run = of_run
        self._clock = clock
        self._started = clock()
        self._capture = Capture(
            self.folder,
            self.names,
            config.capture,
            config.video,
            generation.ckpt_info.shape,
            scratch=f".encoding-{of_run.shard}",  # a shard's own; one that is tried again empties what was left
            on_videos=on_videos,
        )
        self._tracker = _tracker(self.folder, generation, of_run, publish_points, on_sample)
        self._open = ExitStack()

    def __enter__(self) -> "Recorder":
        self._open.enter_context(self._capture)
        self._open.enter_context(self._tracker)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def begin(self, indexes: Sequence[int]) -> None:
        """A batch is about to be denoised. One that ran out of memory begins again in halves."""
        self._tracker.begin(indexes)

    def record(self, frame: FrameData) -> None:
        """One step of it, on the loop's thread. Waits only for a disk that is far behind."""
        self._tracker.record(frame)
        self._capture.record(frame)

    def finish(self) -> Finished:
        """Publishes this shard's part. The shard that completes the run merges the metrics and draws the charts.

        Where two end in the same moment both may, with the same result; a shard that is tried again does too.
        Raises PermanentError: what `metadata.publish` raises.
        """
        merged = publish(self.folder, self._part(), self._workspace)
        if not merged.complete:
            return Finished(self.folder, merged, {})
        metrics = self._workspace.relative(self.folder / METRICS)
        self._workspace.refresh(metrics)
        whole = merge_metrics(self.folder, self._of_run.shards)
        merge_tables(self.folder, self._of_run.shards)
        self._workspace.keep(self.folder / METRICS)
        self._workspace.write(f"{metrics}/{METRICS_JSON}", json.dumps(whole.to_dict(), separators=(",", ":")).encode())
        from diffrun_worker.inference.plots import render_all  # matplotlib takes a second to import

        charts = dict(render_all(whole, self._title(whole)))
        for name, png in charts.items():
            self._workspace.write(f"{metrics}/{name}.png", png)
        return Finished(self.folder, merged, charts)

    def _part(self) -> Part:
        config, info = self._config, self._generation.ckpt_info
        times = self._tracker.generation_times
        sampler = {"sampler": str(config.sampler.name), "num_inference_steps": len(self._generation.timesteps)}
        return Part(
            run_id=self._of_run.run_id,
            shard=self._of_run.shard,
            shards=self._of_run.shards,
            total=config.total,
            character=config.character,
            timestamp_start=self._started,
            timestamp_end=self._clock(),
            config={**plain(config), "seed": self._generation.seed},
            checkpoint={**info.describe(), "path": self._where(info.path)},
            environment=describe_environment(self._device),
            scheduler={**self._generation.schedule.described, **sampler},
            samples=tuple(self._sample(index, times[index]) for index in sorted(times)),
        )

    def _where(self, checkpoint: Path) -> str:
        """Within the workspace by its path there: the folder that stands for an object store is each pod's own."""
        inside = checkpoint.resolve().is_relative_to(self._workspace.root)
        return self._workspace.relative(checkpoint) if inside else str(checkpoint)

    def _sample(self, index: int, seconds: float) -> SampleRecord:
        capture, names, timesteps = self._config.capture, self.names, self._generation.timesteps
        last, seed = len(timesteps) - 1, self._generation.seed + index
        return SampleRecord(
            index=index,
            seed=seed,
            generation_time=round(seconds, 6),
            video=names.video(index) if capture.save_video else None,
            frames=_series(capture.save_frames, last + 1, names.frame(index, 0), names.frame(index, last)),
            deltas=_series(capture.save_deltas, last, names.delta(index, 1), names.delta(index, last)),
            latents=_series(
                capture.save_latents, last + 1, names.latent(index, timesteps[0]), names.latent(index, timesteps[-1])
            ),
        )

    def _title(self, whole: Aggregate) -> str:
        config = self._config
        how = config.preset or f"guidance {config.force.guidance_scale:g}"
        sampler = f"{len(self._generation.timesteps)} {config.sampler.name} steps"
        return f"“{config.character}” · {how} · {sampler} · {whole.count} samples"


def _names(config: InferenceConfig, generation: Generation) -> Names:
    capture, suffix = config.capture, LATENT_SUFFIX[config.capture.latent_format]
    timesteps, trained = len(generation.timesteps), generation.ckpt_info.num_train_timesteps
    return Names(config.total, timesteps, trained, capture.frame_format, suffix)


def _tracker(
    folder: Path, generation: Generation, of_run: ShardOfRun, publish: Publish | None, on_sample: OnSample | None
) -> Tracker:
    return Tracker(
        folder,
        generation.timesteps,
        generation.schedule.alphas_cumprod,
        shard=of_run.shard,
        shards=of_run.shards,
        publish=publish,
        on_sample=on_sample,
    )


def _series(kept: bool, count: int, first: str, last: str) -> Series | None:
    return Series(count=count, first=first, last=last) if kept and count > 0 else None
