"""The block `infer`: class-conditional samples with guidance, forces and drifts, split over an Indexed Job's pods.

A layer over `diffrun_worker.inference`: this is where its pure loop meets the pod's progress, pauses and artifacts.
"""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from diffrun_contracts import params as contract
from diffrun_worker.block import BlockContext, Outputs
from diffrun_worker.blocks.infer_artifacts import announce_charts, announce_frames, recorder_for
from diffrun_worker.blocks.preparation import configure_torch, model_path_of
from diffrun_worker.device import require_device
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.inference.loading import load_checkpoint, load_model_of, scheduler_for
from diffrun_worker.inference.loop import Generation
from diffrun_worker.inference.result import FrameData
from diffrun_worker.inference.user_code import UserCode
from diffrun_worker.sampling.batching import run_batches, shard_indexes
from diffrun_worker.sampling.images import ImageWriter, Indexed, Save, sample_file


class Observer(Protocol):
    """Something that watches every batch: metrics, capture."""

    def begin(self, indexes: Sequence[int]) -> None:
        """A batch is about to be denoised. One that ran out of memory begins again in halves."""

    def record(self, frame: FrameData) -> None:
        """One step of it, on the loop's thread; must not wait."""


class Infer:
    """Draws samples `seed + i` of one class."""

    Params: ClassVar = contract.InferenceConfig

    def run(self, params: contract.InferenceConfig, ctx: BlockContext) -> Outputs:
        """Draws this shard's samples and hands over each as an artifact.

        Raises PermanentError: what `load_checkpoint`, `load_model_of` and `Generation` raise, `MissingInput`,
        `InvalidParams`, `CudaOutOfMemory`, `NonFiniteSample`, `GpuNotAvailable`; and what `Recorder` raises.
        """
        device = _device(params, ctx)
        configure_torch(device)
        params = params.model_copy(update={"seed": ctx.seed if params.seed is None else params.seed})
        model_path = model_path_of(params.model_path, ctx.inputs)
        ckpt = load_checkpoint(ctx.workspace.path(model_path))
        user_code = UserCode.from_environment(ctx.workspace.place("."), confined=True, fetch=ctx.workspace.path)
        model = load_model_of(ckpt, device, params.dtype)
        generation = Generation(model, scheduler_for(ckpt, params), params, ckpt, user_code=user_code)
        indexes = shard_indexes(params.total, ctx.shard.index, ctx.shard.count)
        recorder = recorder_for(ctx, generation, params, device)
        with ImageWriter(_saver(params, ctx)) as writer, recorder:
            shard = ShardInference(generation, ctx, writer, indexes, [recorder])
            run_batches(indexes, params.batch_size, shard.draw)
        announce_frames(ctx, recorder, generation, params, indexes)
        announce_charts(ctx, recorder.finish(), params)
        return {
            "model_path": model_path,
            "character": params.character,
            "samples": params.total,
            "seed": generation.seed,
            "sampler": str(params.sampler.name),
            "steps": params.sampler.steps,
            "guidance_scale": params.force.guidance_scale,
            "artifacts_path": ctx.directory,
            "output": ctx.workspace.relative(recorder.folder),
        }


class ShardInference:
    """One pod's samples, batch after batch."""

    def __init__(
        self,
        generation: Generation,
        ctx: BlockContext,
        writer: ImageWriter,
        indexes: range,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._generation = generation
        self._ctx = ctx
        self._writer = writer
        self._indexes = indexes
        self._observers = observers
        self._steps = len(generation.timesteps)
        self._furthest = 0

    def draw(self, batch: range) -> None:
        """Denoises one batch and hands its images to the writer."""
        before = (batch.start - self._indexes.start) * self._steps
        for observer in self._observers:
            observer.begin(batch)

        def on_frame(frame: FrameData) -> None:
            for observer in self._observers:
                observer.record(frame)
            self._progress(before + (frame.t_index + 1) * len(batch))

        samples = self._generation.draw(batch, on_frame, before_step=self._ctx.check_pause)
        self._writer.put(batch, samples)

    def _progress(self, done: int) -> None:
        # Counted in sample-steps. A batch that starts again in halves does not go backwards.
        if done > self._furthest:
            self._furthest = done
            self._ctx.progress(done, len(self._indexes) * self._steps)


def _saver(params: contract.InferenceConfig, ctx: BlockContext) -> Save:
    def save(images: Sequence[Indexed]) -> None:
        tags = {"phase": "infer", "character": params.character}
        ctx.artifact_batch([sample_file(image, index, **tags) for index, image in images])

    return save


def _device(params: contract.InferenceConfig, ctx: BlockContext) -> str:
    """The pod's device, unless the parameters ask for the CPU. A pod without a GPU is never taken for one with it."""
    asked = params.env.device
    if asked is None or asked == "cpu":
        return asked or ctx.device
    if ctx.device == "cpu" and asked.startswith("cuda"):
        raise PermanentError(
            ErrorCode.GPU_NOT_AVAILABLE,
            f"env.device: {asked} is asked for, and this pod computes on cpu; "
            "set gpus: 1 on the block, or leave env.device out",
        )
    require_device(asked, ctx.device, "leave env.device out")
    return ctx.device
