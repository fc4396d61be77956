"""The objective with networks whose answer is known."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diffrun_contracts.params.train import BetaSchedule
from diffrun_worker.diffusion.loss import ddpm_loss, min_snr_weight
from diffrun_worker.diffusion.process import GaussianDiffusion

# Three timesteps, from little noise to much.
DIFFUSION = GaussianDiffusion(3, BetaSchedule.SCALED_LINEAR, 0.2, 0.6)


class Answers:
    """A network that always gives one prediction and remembers what it was asked."""

    def __init__(self, prediction: Tensor) -> None:
        self.prediction = prediction
        self.asked: dict[str, Any] = {}

    def __call__(self, noisy: Tensor, timesteps: Tensor, **others: Any) -> tuple[Tensor]:
        self.asked = {"noisy": noisy, "timesteps": timesteps, **others}
        return (self.prediction,)


def batch(count: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Clean images, timesteps 0, 1, 2 … and noise."""
    generator = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(count, 1, 4, 4, generator=generator) for _ in range(2))
    return clean, torch.arange(count), noise


def test_the_true_noise_has_no_loss() -> None:
    clean, timesteps, noise = batch()
    assert float(ddpm_loss(Answers(noise), DIFFUSION, clean, timesteps, noise)) == 0


def test_without_an_answer_the_loss_is_the_mean_square_of_the_noise() -> None:
    clean, timesteps, noise = batch()
    loss = ddpm_loss(Answers(torch.zeros_like(noise)), DIFFUSION, clean, timesteps, noise)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(float(noise.square().mean()), rel=1e-6)


def test_the_network_is_shown_noisy_images_and_their_timesteps() -> None:
    clean, timesteps, noise = batch()
    network = Answers(noise)
    ddpm_loss(network, DIFFUSION, clean, timesteps, noise)
    assert torch.equal(network.asked["noisy"], DIFFUSION.q_sample(clean, timesteps, noise))
    assert torch.equal(network.asked["timesteps"], timesteps)
    assert "class_labels" not in network.asked


def test_a_conditional_network_is_shown_the_classes() -> None:
    clean, timesteps, noise = batch()
    network, labels = Answers(noise), torch.tensor([7, 1, 10])
    ddpm_loss(network, DIFFUSION, clean, timesteps, noise, class_labels=labels)
    assert network.asked["class_labels"] is labels


def test_min_snr_weighs_each_image_by_its_timestep() -> None:
    diffusion = GaussianDiffusion(2, BetaSchedule.LINEAR, 0.2, 0.5)  # SNR 4 and 2/3
    clean, timesteps, noise = batch(2)
    squares = noise.square().mean(dim=(1, 2, 3))
    loss = ddpm_loss(Answers(torch.zeros_like(noise)), diffusion, clean, timesteps, noise, min_snr_gamma=2.0)
    assert float(loss) == pytest.approx(float((squares[0] * 2 / 4 + squares[1]) / 2), rel=1e-6)


@pytest.mark.parametrize(
    ("snr", "weight"), [(0.0, 1.0), (1e-45, 1.0), (4.9, 1.0), (5.0, 1.0), (10.0, 0.5), (1e4, 5e-4)]
)
def test_min_snr_caps_the_weight_of_nearly_clean_images_and_stays_finite_without_signal(
    snr: float, weight: float
) -> None:
    assert float(min_snr_weight(torch.tensor(snr), 5.0)) == pytest.approx(weight)


def test_a_prediction_in_bfloat16_is_compared_in_float32() -> None:
    clean, timesteps, noise = batch()
    prediction = noise.bfloat16()
    loss = ddpm_loss(Answers(prediction), DIFFUSION, clean, timesteps, noise)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float((prediction.float() - noise).square().mean()), rel=1e-6)


@pytest.mark.parametrize("gamma", [None, 5.0])
def test_the_loss_has_the_gradient_of_its_formula(gamma: float | None) -> None:
    """One weight w with ε̂ = w·x_t: dL/dw = mean(weight · 2 (w·x_t − ε) x_t)."""

    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(0.3))

        def forward(self, noisy: Tensor, timesteps: Tensor, return_dict: bool) -> tuple[Tensor]:
            return (self.weight * noisy,)

    network = Scale()
    clean, timesteps, noise = batch()
    ddpm_loss(network, DIFFUSION, clean, timesteps, noise, min_snr_gamma=gamma).backward()
    noisy = DIFFUSION.q_sample(clean, timesteps, noise)
    weights = torch.ones(3) if gamma is None else min_snr_weight(DIFFUSION.snr(timesteps), gamma)
    expected = (weights[:, None, None, None] * 2 * (0.3 * noisy - noise) * noisy).mean()
    assert network.weight.grad is not None
    assert float(network.weight.grad) == pytest.approx(float(expected), rel=1e-5)
