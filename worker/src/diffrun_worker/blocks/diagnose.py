"""diagnose: what has a model learnt, and is it the model or the pipeline that is weak?

1. Local denoising: at chosen timesteps, real images, what noise makes of them, and what the model makes of that.
2. A grid of plain samples from a fixed seed, by the same loop that every other block draws with.
3. On request, two tests of the parts against this checkpoint (`evaluation.self_test`).
"""

import logging
from typing import ClassVar

import torch
from torch import Generator, Tensor

from diffrun_contracts import params as contract
from diffrun_contracts.status import Scalar
from diffrun_worker.block import BlockContext, Outputs
from diffrun_worker.blocks.preparation import configure_torch, model_path_of
from diffrun_worker.data.images import Images, require_classes, to_unit
from diffrun_worker.data.load import load_images
from diffrun_worker.errors import invalid_params
from diffrun_worker.evaluation.denoising import Denoised, check_timesteps, denoise_locally
from diffrun_worker.evaluation.networks import Network, diffusion_of, load_network
from diffrun_worker.evaluation.self_test import Verdict, learns_to_denoise, steps_towards_clean
from diffrun_worker.evaluation.subjects import DrawnImages
from diffrun_worker.sampling.batching import run_batches
from diffrun_worker.sampling.grids import grid_png
from diffrun_worker.sampling.images import PNG, to_bytes
from diffrun_worker.sampling.schedules import Schedule

X0_MSE = "diagnose/x0_mse"
X0_MSE_CLIPPED = "diagnose/x0_mse_clipped"
SELF_TEST = "diagnose/self_test"
DENOISE_GRID = "denoise_grid"
SAMPLE_GRID = "sample_grid"

_BATCH = 64
_COLUMNS = 8
_TRIPLE = 3  # x₀ | x_t | x̂₀

logger = logging.getLogger(__name__)


class Diagnose:
    """Looks into a checkpoint."""

    Params: ClassVar = contract.Diagnose

    def run(self, params: contract.Diagnose, ctx: BlockContext) -> Outputs:
        """Hands over the grids and `diagnose/x0_mse`, whose step is the timestep.

        Raises PermanentError: what loading a model or a data set raises; `InvalidParams`, `CudaOutOfMemory`,
        `NonFiniteSample`.
        """
        configure_torch(ctx.device)
        model_path = model_path_of(params.model_path, ctx.inputs)
        network = load_network(ctx.workspace.path(model_path), ctx.device)
        schedule = Schedule(network.model.scheduler_config, params.sampler)
        return Diagnosis(params, ctx, network, schedule).run() | {"model_path": model_path}


class Diagnosis:
    """One model, one set of real images."""

    def __init__(self, params: contract.Diagnose, ctx: BlockContext, network: Network, schedule: Schedule) -> None:
        self._params = params
        self._ctx = ctx
        self._network = network
        self._schedule = schedule
        self._diffusion = diffusion_of(network.model.scheduler_config)
        check_timesteps(params.timesteps, self._diffusion)
        if params.self_test:
            _require_noise_prediction(schedule)
        images = _real_images(params, network, ctx)
        chosen = torch.randperm(len(images), generator=Generator().manual_seed(params.seed))[: params.images]
        device = network.model.device
        self._clean = to_unit(images.pixels[chosen].to(device))
        self._labels = None if network.classes is None else images.require_labels()[chosen].to(device)
        self._done = 0
        self._total = len(params.timesteps) + params.samples + (2 if params.self_test else 0)

    def run(self) -> dict[str, Scalar]:
        """All parts, one after the other."""
        outputs: dict[str, Scalar] = {}
        self._advance(0)
        model = self._network.given(self._labels)
        local = denoise_locally(
            model,
            self._diffusion,
            self._clean,
            self._params.timesteps,
            seed=self._params.seed,
            check=self._ctx.check_pause,
        )
        for denoised in local:
            self._report(denoised)
            outputs[f"x0_mse_t{denoised.timestep}"] = denoised.mse
            self._advance(1)
        self._draw()
        if self._params.self_test:
            outputs |= self._test()
        return outputs

    def _report(self, denoised: Denoised) -> None:
        timestep = denoised.timestep
        self._ctx.metric(X0_MSE, denoised.mse, step=timestep)
        self._ctx.metric(X0_MSE_CLIPPED, denoised.clipped_mse, step=timestep)
        triples = torch.stack([self._clean, denoised.noisy, denoised.clean], dim=1)  # [N, 3, C, H, W]
        self._hand_over(to_bytes(triples.flatten(0, 1)), _TRIPLE, DENOISE_GRID, {"t": str(timestep)})

    def _draw(self) -> None:
        """The grid of plain samples, seeds `seed + i`."""
        params = self._params
        subject = DrawnImages(self._network, self._schedule, params.samples, params.seed, self._ctx.check_pause)
        parts: list[Tensor] = []

        def draw(rows: range) -> None:
            parts.append(subject.batch(rows).cpu())
            self._advance(len(rows))

        run_batches(range(params.samples), _BATCH, draw)
        tags = {"sampler": str(params.sampler.name), "steps": str(params.sampler.steps), "seed": str(params.seed)}
        self._hand_over(torch.cat(parts), _COLUMNS, SAMPLE_GRID, tags)

    def _test(self) -> dict[str, Scalar]:
        """The two tests: outputs and metrics, step 0 before and 1 after; a failure is a finding, not an error."""
        model, seed = self._network.model, self._params.seed
        learns = learns_to_denoise(
            model.unet, self._diffusion, self._clean, seed=seed, labels=self._labels, check=self._ctx.check_pause
        )
        self._advance(1)
        steps = steps_towards_clean(model.scheduler_config, self._diffusion, self._clean, seed=seed)
        self._advance(1)
        return {
            "self_test_passed": learns.passed and steps.passed,
            **self._report_verdict("learns_to_denoise", learns),
            **self._report_verdict("steps_towards_clean", steps),
        }

    def _report_verdict(self, name: str, verdict: Verdict) -> dict[str, Scalar]:
        for step, value in enumerate((verdict.before, verdict.after)):
            self._ctx.metric(SELF_TEST, value, step=step, test=name)
        if not verdict.passed:
            logger.warning("self-test %s failed: the error to x0 was %g and is %g", name, verdict.before, verdict.after)
        return {name: verdict.passed, f"{name}_before": verdict.before, f"{name}_after": verdict.after}

    def _hand_over(self, images: Tensor, columns: int, schema_type: str, tags: dict[str, str]) -> None:
        grid = grid_png(images, columns)
        self._ctx.artifact(
            grid.data,
            schema_type=schema_type,
            content_type=PNG,
            tags={"phase": "diagnose", **tags},
            width=grid.width,
            height=grid.height,
        )

    def _advance(self, count: int) -> None:
        self._done += count
        self._ctx.progress(self._done, self._total)


def _real_images(params: contract.Diagnose, network: Network, ctx: BlockContext) -> Images:
    """x₀, in the model's size and channels. Raises PermanentError `InvalidParams` where they do not fit the model."""
    channels, size, _ = network.model.shape
    images = load_images(
        params.data, ctx.workspace, image_size=size, channels=channels, progress=ctx.progress, check=ctx.check_pause
    )
    if images.shape != network.model.shape:
        raise invalid_params(
            f"data.imageSize: the images have shape {list(images.shape)}, the model takes {list(network.model.shape)}; "
            "leave imageSize out"
        )
    if len(images) < params.images:
        raise invalid_params(
            f"images: {params.images} are asked for and data holds {len(images)}; lower images, or give more data"
        )
    if network.classes is not None:
        require_classes(images, network.classes, "the model")
    return images


def _require_noise_prediction(schedule: Schedule) -> None:
    if schedule.prediction_type != "epsilon":
        raise invalid_params(
            f"selfTest: it trains a copy by the loss of ε, and this model predicts {schedule.prediction_type}; "
            "set selfTest: false"
        )
