"""The two tests of the parts, with the real parts; and with broken ones, which they must tell."""

from typing import Any

import pytest
import torch
from torch import nn

from diffrun_contracts.params.train import ModelName
from diffrun_worker.diffusion.process import GaussianDiffusion
from diffrun_worker.errors import Stopped
from diffrun_worker.evaluation import self_test
from diffrun_worker.evaluation.self_test import Verdict, learns_to_denoise, steps_towards_clean
from diffrun_worker.models import ARCHITECTURES

DIFFUSION = GaussianDiffusion()


def images(count: int = 2, channels: int = 3, side: int = 16) -> torch.Tensor:
    """Smooth images: a bright half and a dark one, each at another angle."""
    axis = torch.linspace(-1, 1, side)
    angles = torch.arange(count * channels).reshape(count, channels, 1, 1).float()
    return torch.tanh(4 * (angles.cos() * axis[:, None] + angles.sin() * axis[None]))


@pytest.fixture(scope="module")
def cifar() -> nn.Module:
    """The network of CIFAR-10, for images of half its side."""
    torch.manual_seed(0)
    unet: nn.Module = ARCHITECTURES[ModelName.UNET_CIFAR32](sample_size=16)
    return unet


def learn(unet: Any, **options: Any) -> Verdict:
    return learns_to_denoise(unet, DIFFUSION, images(), **{"seed": 0, "steps": 8, "learning_rate": 1e-3, **options})


def test_the_model_path_learns_to_denoise(cifar: nn.Module) -> None:
    verdict = learn(cifar)
    assert verdict.passed
    assert verdict.after < 0.8 * verdict.before


def test_the_network_itself_is_left_as_it_was(cifar: nn.Module) -> None:
    before = {name: tensor.clone() for name, tensor in cifar.state_dict().items()}
    cifar.requires_grad_(False)
    learn(cifar, steps=1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in cifar.state_dict().items())
    assert not any(parameter.requires_grad for parameter in cifar.parameters())


def test_a_loss_of_another_sign_than_the_forward_process_is_found_out(
    cifar: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = self_test.ddpm_loss

    def wrong(unet: Any, diffusion: Any, clean: Any, timesteps: Any, noise: Any, **options: Any) -> Any:
        def negated(*args: Any, **kwargs: Any) -> Any:
            return (-unet(*args, **kwargs)[0],)

        return right(negated, diffusion, clean, timesteps, noise, **options)

    monkeypatch.setattr(self_test, "ddpm_loss", wrong)
    assert not learn(cifar).passed


def test_learning_can_be_stopped_between_steps(cifar: nn.Module) -> None:
    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        learn(cifar, check=stop)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("schedule", ["linear", "squaredcos_cap_v2", "scaled_linear"])
def test_a_reverse_step_with_the_true_noise_moves_towards_the_clean_image(schedule: str, seed: int) -> None:
    diffusion = GaussianDiffusion(beta_schedule=schedule)
    verdict = steps_towards_clean(diffusion.scheduler_config(), diffusion, images(2, 1, 8), seed=seed)
    assert verdict.passed
    assert verdict.after < 0.99 * verdict.before


def test_a_step_that_expects_another_forward_process_is_found_out() -> None:
    # A sampler of another schedule takes the step for one of much less noise, and adds more than it removes.
    config = {**DIFFUSION.scheduler_config(), "beta_start": 0.05, "beta_end": 0.05, "num_train_timesteps": 100}
    assert not steps_towards_clean(config, GaussianDiffusion(100, "linear", 1e-4, 2e-4), images(), seed=0).passed


def test_few_timesteps_are_all_taken() -> None:
    diffusion = GaussianDiffusion(10, "linear", 1e-3, 0.2)
    assert steps_towards_clean(diffusion.scheduler_config(), diffusion, images(), seed=0).passed
