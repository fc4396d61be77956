"""The forward process against its closed forms, and against what diffusers samples with."""

import math

import pytest
import torch
from diffusers import DDPMScheduler

from diffrun_contracts.params.train import BetaSchedule
from diffrun_worker.diffusion.process import GaussianDiffusion
from diffrun_worker.errors import ErrorCode, PermanentError

EPSILON32 = torch.finfo(torch.float32).eps


def images(count: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Clean images in [-1, 1] and noise, [count, 3, 4, 4]."""
    generator = torch.Generator().manual_seed(0)
    shape = (count, 3, 4, 4)
    clean = torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1
    return clean.to(dtype), torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize(
    ("schedule", "first", "middle", "last"),
    [
        (BetaSchedule.LINEAR, 0.9999, 0.07779666, 4.035830e-5),
        (BetaSchedule.SCALED_LINEAR, 0.9999, 0.3312746, 7.334125e-4),
        (BetaSchedule.COSINE, 0.9999587, 0.4922852, 2.428767e-9),
    ],
)
def test_the_signal_that_is_left_is_pinned(schedule: str, first: float, middle: float, last: float) -> None:
    alphas = GaussianDiffusion(1000, schedule).alphas_cumprod
    assert alphas.dtype == torch.float64
    assert alphas[[0, 500, 999]].tolist() == pytest.approx([first, middle, last], rel=1e-6)


def test_linear_betas_are_evenly_spaced_from_the_first_to_the_last() -> None:
    betas = GaussianDiffusion(5, BetaSchedule.LINEAR, 0.1, 0.5).betas
    assert betas.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5], rel=1e-15)


def test_scaled_linear_betas_are_evenly_spaced_in_their_roots() -> None:
    betas = GaussianDiffusion(3, BetaSchedule.SCALED_LINEAR, 0.01, 0.09).betas
    assert betas.tolist() == pytest.approx([0.01, 0.04, 0.09], rel=1e-14)


def test_the_cosine_schedule_is_the_squared_cosine_until_its_betas_are_cut() -> None:
    diffusion = GaussianDiffusion(1000, BetaSchedule.COSINE)
    start = math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    for t in (0, 250, 998):
        expected = math.cos(((t + 1) / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 / start
        assert float(diffusion.alphas_cumprod[t]) == pytest.approx(expected, rel=1e-9)
    assert float(diffusion.betas[999]) == 0.999


@pytest.mark.parametrize("schedule", list(BetaSchedule))
def test_diffusers_samples_with_the_same_coefficients_to_float32_rounding(schedule: str) -> None:
    diffusion = GaussianDiffusion(1000, schedule, 2e-4, 0.015)
    scheduler = DDPMScheduler.from_config(diffusion.scheduler_config())
    # A product of a thousand rounded factors: the roundings add up as a random walk.
    assert torch.allclose(scheduler.alphas_cumprod.double(), diffusion.alphas_cumprod, rtol=0, atol=8 * EPSILON32)
    assert scheduler.config.num_train_timesteps == 1000
    assert scheduler.config.clip_sample is True
    assert scheduler.config.prediction_type == "epsilon"


def test_noising_once_is_noising_step_by_step() -> None:
    """The variance of x_t follows v ← (1 − β) v + β; its closed form is 1 − ᾱ."""
    diffusion = GaussianDiffusion()
    variance, variances = 0.0, []
    for beta in diffusion.betas.tolist():
        variance = (1 - beta) * variance + beta
        variances.append(variance)
    assert variances == pytest.approx((1 - diffusion.alphas_cumprod).tolist(), rel=1e-12)


@pytest.mark.parametrize("t", [0, 300, 999])
def test_noisy_images_have_the_mean_and_variance_of_the_closed_form(t: int) -> None:
    diffusion = GaussianDiffusion()
    noise = torch.randn(200_000, 1, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noisy = diffusion.q_sample(torch.full_like(noise, 0.5), torch.tensor(t), noise)
    alpha = float(diffusion.alphas_cumprod[t])
    deviation = math.sqrt(1 - alpha)
    assert float(noisy.mean()) == pytest.approx(0.5 * math.sqrt(alpha), abs=4 * deviation / math.sqrt(len(noise)))
    assert float(noisy.var()) == pytest.approx(1 - alpha, rel=0.02)


def test_the_first_timestep_adds_a_hundredth_of_the_noise() -> None:
    clean, noise = images(2)
    noisy = GaussianDiffusion().q_sample(clean, torch.tensor([0, 0]), noise)
    torch.testing.assert_close(noisy, math.sqrt(0.9999) * clean + 0.01 * noise, rtol=1e-14, atol=1e-14)


def test_each_image_is_noised_to_its_own_timestep() -> None:
    diffusion = GaussianDiffusion()
    clean, noise = images(3)
    timesteps = torch.tensor([0, 500, 999])
    together = diffusion.q_sample(clean, timesteps, noise)
    for i, t in enumerate(timesteps):
        assert torch.equal(together[i], diffusion.q_sample(clean[i : i + 1], t, noise[i : i + 1])[0])


@pytest.mark.parametrize("schedule", [BetaSchedule.LINEAR, BetaSchedule.SCALED_LINEAR])
def test_predicting_the_clean_image_from_the_true_noise_inverts_the_noising(schedule: str) -> None:
    diffusion = GaussianDiffusion(1000, schedule)
    timesteps = torch.arange(1000)
    clean, noise = images(1000)
    restored = diffusion.predict_clean(diffusion.q_sample(clean, timesteps, noise), timesteps, noise)
    torch.testing.assert_close(restored, clean, rtol=0, atol=1e-12)


def test_the_signal_to_noise_ratio_is_that_of_the_coefficients() -> None:
    diffusion = GaussianDiffusion(2, BetaSchedule.LINEAR, 0.2, 0.5)  # ᾱ = 0.8, 0.4
    assert diffusion.snr(torch.tensor([1, 0, 1])).tolist() == pytest.approx([2 / 3, 4, 2 / 3], rel=1e-6)


def test_float32_images_stay_float32_with_coefficients_rounded_once() -> None:
    diffusion = GaussianDiffusion()
    clean, noise = images(1, torch.float32)
    noisy = diffusion.q_sample(clean, torch.tensor([0]), noise)
    exact = diffusion.q_sample(clean.double(), torch.tensor([0]), noise.double())
    assert noisy.dtype == torch.float32
    torch.testing.assert_close(noisy.double(), exact, rtol=0, atol=4 * EPSILON32)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"beta_schedule": "sigmoid"}, "diffusion.betaSchedule: 'sigmoid' is unknown; use one of linear"),
        ({"beta_start": 0.0}, "diffusion.betaStart: must lie between 0 and 1; got 0.0"),
        ({"beta_start": 0.02, "beta_end": 0.01}, "diffusion.betaEnd: must be at least betaStart (0.02)"),
        ({"beta_end": 1.0}, "diffusion.betaEnd: must be at least betaStart (0.0001) and below 1; got 1.0"),
        ({"timesteps": 1}, "diffusion.timesteps: needs 2 or more; got 1"),
        ({"timesteps": 10_000}, "diffusion.timesteps: 10000 steps of the linear schedule from 0.0001 to 0.02 leave no"),
    ],
    ids=["schedule", "start", "falling", "end", "timesteps", "no signal"],
)
def test_a_process_that_cannot_be_run_is_refused_by_name(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(PermanentError) as caught:
        GaussianDiffusion(**arguments)  # type: ignore[arg-type]
    assert caught.value.code == ErrorCode.INVALID_PARAMS
    assert words in caught.value.message
