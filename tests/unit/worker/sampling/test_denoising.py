"""The loop against diffusers, on weights that were trained: with random ones rounding grows without bound."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMPipeline, DDIMScheduler

from diffrun_contracts.params import DType, Sampler, SamplerName
from diffrun_worker.sampling.loader import Model, load_model
from diffrun_worker.sampling.loop import denoise, generators_for
from diffrun_worker.sampling.schedules import Schedule

TOLERANCE = {DType.FLOAT32: 1e-4, DType.FLOAT64: 1e-9}
SEEDS = [3, 4, 5]


@pytest.fixture(scope="module")
def model(trained: Path) -> Model:
    return load_model(trained)


def run(model: Model, sampler: Sampler, seeds: list[int] = SEEDS) -> torch.Tensor:
    return denoise(model, Schedule(model.scheduler_config, sampler), generators_for(seeds))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_the_loop_draws_what_diffusers_pipeline_draws(trained: Path, dtype: DType, eta: float) -> None:
    model = load_model(trained, dtype=dtype)
    ours = run(model, Sampler(steps=6, eta=eta))
    pipeline = DDIMPipeline(model.unet, DDIMScheduler.from_config(dict(model.scheduler_config)))
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(len(SEEDS), generators_for(SEEDS), eta=eta, num_inference_steps=6, output_type="np").images
    assert ours.dtype == getattr(torch, dtype)
    ours = (ours / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE[dtype])
    assert theirs.std() > 0.1  # a picture, not a grey surface on which everything agrees


@pytest.mark.parametrize("name", SamplerName)
def test_every_sampler_takes_diffusers_own_steps(model: Model, name: SamplerName) -> None:
    schedule = Schedule(model.scheduler_config, Sampler(name=name, steps=6))
    scheduler = schedule.start()
    generators = generators_for(SEEDS)
    sample = torch.cat([torch.randn(1, *model.shape, generator=one) for one in generators])
    sample = sample * scheduler.init_noise_sigma
    takes_generator = name in ("DDPM", "DDIM", "EulerDiscrete", "EulerAncestralDiscrete", "DPMSolverMultistep")
    arguments = {"generator": generators} if takes_generator else {}
    with torch.no_grad():
        for timestep in scheduler.timesteps:
            output = model.unet(scheduler.scale_model_input(sample, timestep), timestep).sample
            sample = scheduler.step(output, timestep, sample, **arguments).prev_sample
    ours = run(model, Sampler(name=name, steps=6))
    assert torch.isfinite(ours).all()
    torch.testing.assert_close(ours, sample, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", SamplerName)
def test_the_batch_size_never_changes_a_sample(model: Model, name: SamplerName) -> None:
    sampler = Sampler(name=name, steps=6)
    together = run(model, sampler)
    for place in (0, 2):
        alone = run(model, sampler, [SEEDS[place]])
        torch.testing.assert_close(together[place : place + 1], alone, rtol=0, atol=1e-4)


def test_the_noise_that_ddim_adds_is_each_samples_own(model: Model) -> None:
    sampler = Sampler(steps=5, eta=1.0)
    torch.testing.assert_close(run(model, sampler)[2:3], run(model, sampler, [SEEDS[2]]), rtol=0, atol=1e-4)


def test_other_seeds_draw_other_samples(model: Model) -> None:
    samples = run(model, Sampler(steps=5))
    assert (samples[0] - samples[1]).abs().max() > 0.1


def test_the_callback_sees_every_call_in_order(model: Model) -> None:
    schedule = Schedule(model.scheduler_config, Sampler(name=SamplerName.HEUN_DISCRETE, steps=3))
    seen: list[int] = []

    def on_step(call: int, model_input: torch.Tensor, output: torch.Tensor) -> None:
        seen.append(call)
        assert model_input.shape == output.shape == (2, *model.shape)

    denoise(model, schedule, generators_for([0, 1]), on_step)
    assert seen == [0, 1, 2, 3, 4]


def test_a_reduced_precision_unet_leaves_the_arithmetic_in_float32(trained: Path, model: Model) -> None:
    rough = run(load_model(trained, dtype=DType.BFLOAT16), Sampler(steps=5))
    assert rough.dtype == torch.float32
    assert torch.isfinite(rough).all()


def test_a_preview_of_the_trained_digits_is_ink_on_paper(model: Model) -> None:
    samples = run(model, Sampler(steps=10), list(range(8)))
    # Digits are mostly background: a model that has not learned draws grey.
    assert (samples < -0.8).float().mean() > 0.4
    assert (samples > 0.5).float().mean() > 0.03
