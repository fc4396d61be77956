"""The blocks that draw images: a few samples for review, and the full batch.

Both do the same with other seeds. What a shard draws does not depend on how many shards there are, nor on
how many samples are denoised together.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor

from diffrun_contracts import params as contract
from diffrun_contracts.status import Scalar
from diffrun_worker.block import BlockContext, Outputs
from diffrun_worker.blocks.preparation import configure_torch, model_path_of
from diffrun_worker.errors import invalid_params
from diffrun_worker.sampling.batching import run_batches, shard_indexes
from diffrun_worker.sampling.images import ImageWriter, Indexed, sample_file
from diffrun_worker.sampling.loader import Model, load_model
from diffrun_worker.sampling.loop import denoise, generators_for
from diffrun_worker.sampling.metrics import BatchMetrics, MetricPublisher
from diffrun_worker.sampling.schedules import Schedule

Params = contract.GeneratePreview | contract.GenerateFull


class GeneratePreview:
    """Draws samples `seed + i`."""

    Params: ClassVar = contract.GeneratePreview

    def run(self, params: contract.GeneratePreview, ctx: BlockContext) -> Outputs:
        """Raises PermanentError for a bad model or sampler; see `generate`."""
        return generate(params, ctx, phase="preview", first_seed=ctx.seed)


class GenerateFull:
    """Draws samples `seed + seedOffset + i`."""

    Params: ClassVar = contract.GenerateFull

    def run(self, params: contract.GenerateFull, ctx: BlockContext) -> Outputs:
        """Raises PermanentError for a bad model or sampler, or seeds that the preview has used; see `generate`."""
        _check_offset(params, ctx.inputs)
        return generate(params, ctx, phase="full", first_seed=ctx.seed + params.seed_offset)


def generate(params: Params, ctx: BlockContext, *, phase: str, first_seed: int) -> Outputs:
    """Draws this shard's samples and hands over each as an artifact.

    Raises PermanentError: what `load_model` and `Schedule` raise, `MissingInput`, `CudaOutOfMemory`,
    `NonFiniteSample`.
    """
    configure_torch(ctx.device)
    model_path = model_path_of(params.model_path, ctx.inputs)
    model = load_model(ctx.workspace.path(model_path), ctx.device, params.dtype)
    schedule = Schedule(model.scheduler_config, params.sampler)
    indexes = shard_indexes(params.samples, ctx.shard.index, ctx.shard.count)

    def save(images: Sequence[Indexed]) -> None:
        ctx.artifact_batch([sample_file(image, index, phase=phase) for index, image in images])

    with MetricPublisher(schedule, ctx.metrics) as publisher, ImageWriter(save) as writer:
        shard = ShardSampler(model, schedule, ctx, publisher, writer, indexes, first_seed)
        run_batches(indexes, params.batch_size, shard.draw)
    return {
        "model_path": model_path,
        "phase": phase,
        "samples": params.samples,
        "sampler": str(params.sampler.name),
        "steps": params.sampler.steps,
        "nfe": schedule.calls,
        "artifacts_path": ctx.directory,
    }


class ShardSampler:
    """One pod's samples, batch after batch."""

    def __init__(
        self,
        model: Model,
        schedule: Schedule,
        ctx: BlockContext,
        publisher: MetricPublisher,
        writer: ImageWriter,
        indexes: range,
        first_seed: int,
    ) -> None:
        self._model = model
        self._schedule = schedule
        self._ctx = ctx
        self._publisher = publisher
        self._writer = writer
        self._indexes = indexes
        self._first_seed = first_seed
        self._total = len(indexes) * schedule.calls
        self._furthest = 0

    def draw(self, batch: range) -> None:
        """Denoises one batch and hands it to the writer."""
        metrics = BatchMetrics(self._publisher, self._schedule, batch, self._model.device)
        before = (batch.start - self._indexes.start) * self._schedule.calls

        def on_step(call: int, model_input: Tensor, output: Tensor) -> None:
            metrics.record(call, model_input, output)
            self._progress(before + (call + 1) * len(batch))
            self._ctx.check_pause()

        self._ctx.check_pause()
        generators = generators_for([self._first_seed + index for index in batch])
        self._writer.put(batch, denoise(self._model, self._schedule, generators, on_step))

    def _progress(self, done: int) -> None:
        # Counted in sample-steps. A batch that starts again in halves does not go backwards.
        if done > self._furthest:
            self._furthest = done
            self._ctx.progress(done, self._total)


def _check_offset(params: contract.GenerateFull, inputs: Mapping[str, Scalar]) -> None:
    """The full batch must not repeat the preview's images."""
    previewed = inputs.get("samples") if inputs.get("phase") == "preview" else None
    if isinstance(previewed, int) and params.seed_offset < previewed:
        raise invalid_params(
            f"seedOffset: {params.seed_offset} would draw images of the preview again; "
            f"give at least {previewed}, the number of preview samples"
        )
