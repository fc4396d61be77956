"""Every drift against its formula, computed by hand at every step."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor

from diffrun_worker.errors import PermanentError
from diffrun_worker.inference import DRIFT_REGISTRY, DriftConfig, FrameData

# The drift, and D(x) as a function of the state x after the scheduler's step, the step's number and timestep, and z.
Formula = Callable[[Tensor, int, int, Tensor], Tensor]
A = 0.05

DRIFTS: dict[str, tuple[dict[str, Any], Formula]] = {
    "none": ({"function_name": "drift_none"}, lambda x, k, t, z: x),
    "default": (
        {"function_name": "drift_default", "scale": 2.0, "decay": 0.9},
        lambda x, k, t, z: x + 2.0 * A * 0.9**k * z,
    ),
    "default, as it is": ({}, lambda x, k, t, z: x + A * 0.99**k * z),
    "time scaled": (
        {"function_name": "drift_time_scaled", "scale": 3.0},
        lambda x, k, t, z: x + 3.0 * A * t / 1000 * z,
    ),
    "inverse time scaled": (
        {"function_name": "drift_inverse_time_scaled", "params": {"amplitude": 0.2}},
        lambda x, k, t, z: x + 0.2 * (1 - t / 1000) * z,
    ),
    "oscillatory": (
        {"function_name": "drift_oscillatory", "params": {"frequency": 0.1, "phase": 0.25}},
        lambda x, k, t, z: x + A * math.cos(2 * math.pi * 0.1 * k) * z,
    ),
    "decay only": ({"function_name": "drift_decay_only", "decay": 0.9}, lambda x, k, t, z: 0.9 * x),
    "decay only, twice as fast": (
        {"function_name": "drift_decay_only", "decay": 0.9, "scale": 2.0},
        lambda x, k, t, z: 0.81 * x,
    ),
    "clamp": ({"function_name": "drift_clamp"}, lambda x, k, t, z: torch.minimum(torch.maximum(x, -one), one)),
    "clamp, half as wide": (
        {"function_name": "drift_clamp", "scale": 0.5, "params": {"low": -0.4, "high": 1.0}},
        lambda x, k, t, z: torch.where(x < -0.2, -0.2, torch.where(x > 0.5, 0.5, x)),
    ),
    "normalize": (
        {"function_name": "drift_normalize"},
        lambda x, k, t, z: torch.stack([row / (row - row.mean()).square().mean().sqrt() for row in x]),
    ),
    "custom": (
        {
            "function_name": "drift_user_custom",
            "params": {"fn": lambda x, drift_cfg, **_: x + drift_cfg["shift"], "shift": 0.25},
        },
        lambda x, k, t, z: x + 0.25,
    ),
}
one = torch.tensor(1.0, dtype=torch.float64)


def drift_noise(frame: FrameData, recorded: list[Tensor]) -> Tensor:
    return recorded[frame.t_index] if recorded else torch.zeros_like(frame.latent)


@pytest.mark.parametrize(("config", "formula"), DRIFTS.values(), ids=DRIFTS.keys())
def test_a_drift_moves_the_state_by_its_formula(
    run: Any, stub_ckpt: Any, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], formula: Formula
) -> None:
    from diffrun_worker.inference.rows import Memory

    drawn: list[Tensor] = []
    original = Memory.randn_like

    def recording(self: Memory, tensor: Tensor) -> Tensor:
        drawn.append(original(self, tensor))
        return drawn[-1]

    monkeypatch.setattr(Memory, "randn_like", recording)
    frames, _ = run(drift={"enabled": True, **config})
    scheduler = DDIMScheduler.from_config(dict(stub_ckpt.scheduler_config))
    scheduler.set_timesteps(10)
    for frame in frames:
        stepped = scheduler.step(frame.model_output, frame.t, frame.previous).prev_sample
        z = drift_noise(frame, drawn)
        torch.testing.assert_close(frame.latent, formula(stepped, frame.t_index, frame.t, z), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "drift",
    [
        {"function_name": "drift_clamp", "params": {"low": -1e300, "high": 1e300}},
        {"function_name": "drift_clamp", "scale": 1e6, "params": {"low": -1e308, "high": 1e308}},
        {"function_name": "drift_oscillatory", "params": {"phase": 1e308, "amplitude": 0}},
        {"function_name": "drift_default", "decay": 5.0, "params": {"amplitude": 0}},
    ],
    ids=["a wide range", "a range wider than numbers go", "a late phase", "a decay that grows"],
)
def test_extreme_parameters_are_within_what_numbers_can_hold(run: Any, drift: dict[str, Any]) -> None:
    single = {"dtype": torch.float32, "steps": 50}
    assert torch.equal(run(drift={"enabled": True, **drift}, **single)[0][-1].latent, run(**single)[0][-1].latent)


def test_every_drift_of_the_registry_has_a_known_answer() -> None:
    answered = {config.get("function_name", "drift_default") for config, _ in DRIFTS.values()}
    assert set(DRIFT_REGISTRY) == answered
    assert len(DRIFT_REGISTRY) == 9


def test_a_drift_is_called_by_hand_with_a_whole_configuration() -> None:
    x = torch.linspace(-2, 2, 16, dtype=torch.float64).view(1, 1, 4, 4)
    whole = DriftConfig(enabled=True, function_name="drift_clamp", scale=2.0, params={"high": 0.5}).to_dict()
    moved = DRIFT_REGISTRY["drift_clamp"](x=x, t=700, t_index=3, total_steps=10, drift_cfg=whole, state={})
    assert torch.equal(moved, x.clamp(-2.0, 1.0))
    with pytest.raises(PermanentError, match="drift_clamp: width: Extra inputs"):
        DRIFT_REGISTRY["drift_clamp"](x=x, t=700, t_index=3, total_steps=10, drift_cfg={"width": 1}, state={})


def test_a_drift_that_is_not_enabled_does_nothing(run: Any) -> None:
    plain = run()[0][-1].latent
    assert torch.equal(run(drift={"function_name": "drift_default", "scale": 9.0})[0][-1].latent, plain)
    assert not torch.equal(run(drift={"enabled": True, "scale": 9.0})[0][-1].latent, plain)


def test_the_noise_of_a_drift_is_standard_normal_and_each_samples_own(run: Any) -> None:
    def difference(indexes: Any) -> Tensor:
        with_noise = run(indexes=indexes, drift={"enabled": True, "scale": 1 / A})[0][0].latent
        return with_noise - run(indexes=indexes)[0][0].latent

    noise = difference(range(200))
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05
    torch.testing.assert_close(difference([150]), noise[150:151], rtol=0, atol=1e-12)


def test_a_drift_leaves_the_schedulers_own_noise_as_it_is(run: Any) -> None:
    drift = {"enabled": True, "scale": 1e-12}
    plain, drifted = (run(sampler="DDPM", **more)[0][-1].latent for more in ({}, {"drift": drift}))
    torch.testing.assert_close(plain, drifted, rtol=0, atol=1e-9)
