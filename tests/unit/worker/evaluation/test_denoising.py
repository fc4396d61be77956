"""Local denoising against a model that knows the true noise, and against one that knows nothing."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from diffrun_worker.diffusion.process import GaussianDiffusion
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.evaluation.denoising import Denoised, denoise_locally, noise_like
from diffrun_worker.evaluation.networks import diffusion_of
from diffrun_worker.sampling.loader import Model

DIFFUSION = GaussianDiffusion()
IMAGES = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


class Oracle:
    """Knows x₀, and so gives exactly what a model of its prediction type should."""

    def __init__(self, prediction: str, offset: float = 0.0) -> None:
        self.prediction = prediction
        self.offset = offset

    def __call__(self, noisy: torch.Tensor, timesteps: torch.Tensor, *, return_dict: bool) -> tuple[torch.Tensor]:
        alpha = DIFFUSION.alphas_cumprod[timesteps].reshape(-1, 1, 1, 1)
        noise = (noisy - alpha.sqrt() * IMAGES) / (1 - alpha).sqrt() + self.offset
        predicted = {
            "epsilon": noise,
            "v_prediction": alpha.sqrt() * noise - (1 - alpha).sqrt() * IMAGES,
            "sample": IMAGES,
        }
        return (predicted[self.prediction].float(),)


def oracle(prediction: str = "epsilon", offset: float = 0.0) -> Model:
    config = {**DIFFUSION.scheduler_config(), "prediction_type": prediction}
    unet: Any = Oracle(prediction, offset)
    return Model(unet, config, (1, 8, 8), torch.float32, torch.device("cpu"), torch.contiguous_format)


def results(model: Model, timesteps: list[int], seed: int = 0) -> list[Denoised]:
    return list(denoise_locally(model, DIFFUSION, IMAGES, timesteps, seed=seed))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_who_predicts_the_truth_gives_the_images_back(prediction: str) -> None:
    for denoised in results(oracle(prediction), [0, 500, 900]):
        assert torch.allclose(denoised.clean, IMAGES, atol=2e-3)
        assert denoised.mse < 1e-6


def test_an_error_in_the_noise_grows_by_the_noise_to_signal_ratio() -> None:
    # x̂₀ − x₀ = −√(1 − ᾱ)/√ᾱ · (ε̂ − ε)
    for denoised in results(oracle(offset=0.1), [100, 500, 999]):
        alpha = float(DIFFUSION.alphas_cumprod[denoised.timestep])
        assert denoised.mse == pytest.approx((1 - alpha) / alpha * 0.01, rel=1e-3)
        assert denoised.clipped_mse <= denoised.mse + 1e-9
    assert denoised.clipped_mse < 4 < denoised.mse, "clipped to [-1, 1] no error exceeds 2² = 4"


def test_noise_belongs_to_the_image_and_not_to_the_timestep() -> None:
    low, high = results(oracle(), [10, 800])
    alpha = DIFFUSION.alphas_cumprod[[10, 800]].float()
    noises = [(found.noisy - a.sqrt() * IMAGES) / (1 - a).sqrt() for found, a in zip((low, high), alpha, strict=True)]
    assert torch.allclose(noises[0], noises[1], atol=1e-4)
    assert torch.equal(noise_like(IMAGES, 5)[1], noise_like(IMAGES[:2], 5)[1])
    assert torch.equal(noise_like(IMAGES, 5)[1], noise_like(IMAGES, 6)[0])


def test_a_model_is_asked_in_its_own_dtype() -> None:
    seen: list[torch.dtype] = []

    class Listening(Oracle):
        def __call__(self, noisy: torch.Tensor, timesteps: torch.Tensor, *, return_dict: bool) -> tuple[torch.Tensor]:
            seen.append(noisy.dtype)
            return super().__call__(noisy.float(), timesteps, return_dict=return_dict)

    model = replace(oracle(), unet=Listening("epsilon"), dtype=torch.bfloat16)
    assert results(model, [0])[0].clean.dtype == torch.float32
    assert seen == [torch.bfloat16]


def test_a_timestep_beyond_the_models_is_refused() -> None:
    with pytest.raises(PermanentError, match=r"timesteps: 1000, 2000 is not among the model's, 0 to 999") as caught:
        results(oracle(), [0, 1000, 2000])
    assert caught.value.code == ErrorCode.INVALID_PARAMS


def test_a_checkpoints_scheduler_names_its_forward_process() -> None:
    for given in (GaussianDiffusion(100, "squaredcos_cap_v2"), GaussianDiffusion(50, "scaled_linear", 1e-3, 0.1)):
        assert torch.equal(diffusion_of(given.scheduler_config()).betas, given.betas)
    assert torch.equal(diffusion_of({}).betas, DIFFUSION.betas), "diffusers' own defaults"


@pytest.mark.parametrize(
    "config",
    [{"trained_betas": [0.1]}, {"beta_schedule": "sigmoid"}, {"beta_start": "x"}, {"beta_start": None}],
    ids=str,
)
def test_a_forward_process_of_another_kind_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match=r"scheduler_config.json") as caught:
        diffusion_of(config)
    assert caught.value.code == ErrorCode.INCOMPATIBLE_CHECKPOINT
