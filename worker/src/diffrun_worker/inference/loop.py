"""The generation loop: prediction, guidance, forces, scheduler step, drift, callback.

It is pure: it reads no file, writes none and speaks to nobody. Whoever wants to keep what passes gives it a callback.
Sample i has generators of its own, seeded from `seed + i`, and its rows never meet another's: neither the batch
size nor the sharding changes an image.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from diffrun_contracts.params.infer import InferenceConfig
from diffrun_worker.device import require_device
from diffrun_worker.errors import ErrorCode, PermanentError, invalid_params
from diffrun_worker.inference.classes import CheckpointInfo
from diffrun_worker.inference.composition import Composition
from diffrun_worker.inference.config import drawn_seed
from diffrun_worker.inference.moment import Moment
from diffrun_worker.inference.prediction import Forward, Predictions
from diffrun_worker.inference.result import FrameCallback, FrameData, SampleResult
from diffrun_worker.inference.rows import Memory
from diffrun_worker.inference.user_code import UserCode
from diffrun_worker.sampling.images import to_pixels
from diffrun_worker.sampling.loader import Model
from diffrun_worker.sampling.loop import generators_for, starting_noise
from diffrun_worker.sampling.schedules import Schedule

_EPSILON_PREDICTION = "epsilon"


class Generation:
    """A configuration held against a checkpoint, ready to draw any of its samples in any batches."""

    def __init__(
        self,
        model: Any,
        scheduler: Any,
        config: InferenceConfig,
        ckpt_info: CheckpointInfo,
        *,
        user_code: UserCode | None = None,
    ) -> None:
        """Takes what `load_unet` (or `load_model_of`), `build_scheduler` and `load_checkpoint` give.

        Raises PermanentError: `UnknownClass`, `UnknownForce`, `UnknownDrift`, `UnknownPreset`, `InvalidParams`,
        `UserCodeForbidden`, `UserCodeFailed`, `IncompatibleCheckpoint`.
        """
        self.ckpt_info = ckpt_info
        self.seed: int = drawn_seed() if config.seed is None else config.seed
        """Sample i is seeded `seed + i`; drawn once where the configuration names none."""
        self.schedule = _schedule(scheduler, config)
        self.timesteps: tuple[int, ...] = tuple(int(timestep) for timestep in self.schedule.timesteps)
        """The training timestep of each step, descending."""
        self.composition = Composition.of(config, ckpt_info, len(self.timesteps), user_code or UserCode())
        self._model = as_model(model, ckpt_info)
        device = str(self._model.device)
        require_device(config.env.device, device, "load it there: load_unet(checkpoint, device=…)")
        self._forward = Forward(self._model.unet, self._model.dtype, self._model.device)

    @torch.no_grad()  # and not inference_mode: a force of the user's may want gradients of what it gets
    def draw(
        self,
        indexes: Sequence[int],
        frame_callback: FrameCallback | None = None,
        before_step: Callable[[], None] | None = None,
    ) -> Tensor:
        """The samples of one batch, [N, C, H, W] in about [-1, 1], float32 or float64, on the model's device.

        `before_step` is called before each step, without anything to see: for pausing.
        Raises PermanentError `UserCodeFailed`.
        """
        seeds = [self.seed + index for index in indexes]
        generators, scheduler, device = generators_for(seeds), self.schedule.start(), self._model.device
        arguments = self.schedule.step_arguments(generators)
        forces, drifts = Memory.for_forces(seeds, indexes), Memory.for_drifts(seeds, indexes)
        # The UNet gets its timesteps from the device and the scheduler from the CPU: neither waits for the other.
        staged = scheduler.timesteps.to(device)
        x: Tensor = self.noise(generators) * scheduler.init_noise_sigma
        for k, timestep in enumerate(scheduler.timesteps):
            if before_step is not None:
                before_step()
            moment, previous = Moment(self.timesteps[k], k, len(self.timesteps)), x
            # 1. ε(x_t, t, c) for every class that guidance and forces will use, in one forward pass.
            predictions = Predictions(self._forward, x, staged[k])
            predictions.evaluate(self.composition.classes(moment))
            # 2. Guidance: ε̃ = ε∅ + s (ε_c − ε∅). Forces: ε̃ + Σ Fᵢ.
            noise = self.composition.noise(moment, x, predictions, self._model.unet, forces)
            # 3. x_t → x_{t-1}, by the scheduler's own arithmetic.
            x = scheduler.step(noise, timestep, x, return_dict=False, **arguments)[0]
            # 4. Drift: D(x_{t-1}).
            x = self.composition.drifted(moment, x, drifts)
            # 5. Whoever watches.
            if frame_callback is not None:
                frame_callback(self._frame(indexes, moment, previous, x, noise, predictions))
        return x

    def noise(self, generators: Sequence[torch.Generator]) -> Tensor:
        """x_T but for the scheduler's scale: unit Gaussian noise [N, C, H, W] on the device, float32 at least."""
        model = self._model
        noise = starting_noise(model, generators).to(torch.promote_types(model.dtype, torch.float32))
        return noise.to(model.device, memory_format=model.memory_format)

    def _frame(
        self,
        indexes: Sequence[int],
        moment: Moment,
        previous: Tensor,
        latent: Tensor,
        noise: Tensor,
        predictions: Predictions,
    ) -> FrameData:
        return FrameData(
            indexes=indexes,
            t=moment.t,
            t_index=moment.t_index,
            total_steps=moment.total_steps,
            previous=previous,
            latent=latent,
            model_output=noise,
            class_idx=self.composition.class_idx,
            null_class=self.ckpt_info.null_class,
            predictions=predictions.values,
        )


def generate_batch(
    model: Any,
    scheduler: Any,
    config: InferenceConfig,
    ckpt_info: CheckpointInfo,
    indexes: Sequence[int],
    frame_callback: FrameCallback | None = None,
    user_code: UserCode | None = None,
) -> Tensor:
    """The samples `indexes` of a run, denoised together: [N, C, H, W] in about [-1, 1].

    Several batches of one run need a seed in the configuration, or one `Generation`: it draws an unset seed once.
    Raises what `Generation` raises.
    """
    return Generation(model, scheduler, config, ckpt_info, user_code=user_code).draw(indexes, frame_callback)


def generate_sample(
    model: Any,
    scheduler: Any,
    config: InferenceConfig,
    ckpt_info: CheckpointInfo,
    frame_callback: FrameCallback | None = None,
    index: int = 0,
    user_code: UserCode | None = None,
) -> SampleResult:
    """Sample `index` of a run, and every state on the way to it. Raises what `Generation` raises."""
    generation = Generation(model, scheduler, config, ckpt_info, user_code=user_code)
    states: list[Tensor] = []

    def keep(frame: FrameData) -> None:
        if not states:
            states.append(frame.previous[0])
        states.append(frame.latent[0])
        if frame_callback is not None:
            frame_callback(frame)

    generation.draw([index], keep)
    first, *frames = [state.cpu() for state in states]
    return SampleResult(generation.seed + index, generation.timesteps, first, frames, _image(frames[-1]))


def as_model(unet: Any, ckpt_info: CheckpointInfo) -> Model:
    """A bare UNet with what the loop needs to know about it; a Model is that already."""
    if isinstance(unet, Model):
        return unet
    dtype, device = getattr(unet, "dtype", torch.float32), getattr(unet, "device", torch.device("cpu"))
    parameters = unet.parameters() if isinstance(unet, torch.nn.Module) else ()
    last = any(one.ndim == 4 and not one.is_contiguous() for one in parameters)
    memory_format = torch.channels_last if last else torch.contiguous_format
    return Model(unet, ckpt_info.scheduler_config, ckpt_info.shape, dtype, torch.device(device), memory_format)


def _schedule(scheduler: Any, config: InferenceConfig) -> Schedule:
    named = type(scheduler).__name__.removesuffix("Scheduler")
    if named != config.sampler.name:
        raise invalid_params(
            f"sampler.name: the configuration says {config.sampler.name} and the scheduler is a {named}; "
            f"make it by build_scheduler(checkpoint, {str(config.sampler.name)!r})"
        )
    schedule = Schedule(dict(scheduler.config), config.sampler)
    if schedule.prediction_type != _EPSILON_PREDICTION:
        raise PermanentError(
            ErrorCode.INCOMPATIBLE_CHECKPOINT,
            f"scheduler_config.json: prediction_type is {schedule.prediction_type!r}; forces act on predicted noise, "
            f"so infer runs models with prediction_type {_EPSILON_PREDICTION!r}",
        )
    return schedule


def _image(latent: Tensor) -> Image.Image:
    pixels = to_pixels(latent[None])[0].numpy()
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
