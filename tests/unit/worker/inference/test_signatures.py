"""Whatever the registries hold can be called by position, in the order of the public signature."""

from typing import Any

import pytest
import torch

from diffrun_worker.inference import DRIFT_REGISTRY, FORCE_REGISTRY, CheckpointInfo

T, T_INDEX, TOTAL_STEPS, TARGET = 700, 3, 10, 0

TWO = {"class_a": "A", "class_b": "C"}

FORCE_CFG: dict[str, dict[str, Any]] = {
    "force_none": {},
    "force_attract_class": {"target_class": "B"},
    "force_repel_class": {"target_class": "B"},
    "force_blend_two": TWO,
    "force_subtract_two": {"pos_class": "A", "neg_class": "C"},
    "force_weighted_multi": {"class_weights": {"A": 2.0}},
    "force_switch_two": {**TWO, "switch_t": 500},
    "force_cycle_classes": {"period": 1},
    "force_oscillate_two": {**TWO, "frequency": 0.1},
    "force_ramp_attract": {"target_class": "B", "start_w": 0.0, "end_w": 1.0},
    "force_user_schedule": {"schedule": [{"start_step": 0, "end_step": 9, "target_class": "B"}]},
    "force_user_custom": {"fn": lambda x_t, force_cfg, class_idx, state, **_: x_t + force_cfg["by"], "by": 2.0},
}

DRIFT_CFG: dict[str, dict[str, Any]] = {
    "drift_user_custom": {"fn": lambda x, drift_cfg, t, state, **_: x + drift_cfg["by"], "by": 2.0},
}


@pytest.mark.parametrize("name", sorted(FORCE_REGISTRY))
def test_a_force_is_called_by_position(stub: Any, stub_ckpt: CheckpointInfo, name: str) -> None:
    x = torch.linspace(-2, 2, 16, dtype=torch.float64).view(1, 1, 4, 4)
    names = ("model_output", "x_t", "t", "t_index", "total_steps", "model", "ckpt_info", "class_idx")
    values = (x, x, T, T_INDEX, TOTAL_STEPS, stub, stub_ckpt, TARGET, FORCE_CFG[name], {})
    by_keyword = dict(zip((*names, "force_cfg", "state"), values, strict=True))
    contribution = FORCE_REGISTRY[name](*values)
    assert torch.equal(contribution, FORCE_REGISTRY[name](**by_keyword))
    assert contribution.shape == x.shape


@pytest.mark.parametrize("name", sorted(DRIFT_REGISTRY))
def test_a_drift_is_called_by_position(name: str) -> None:
    x = torch.linspace(-2, 2, 16, dtype=torch.float64).view(1, 1, 4, 4)
    values = (x, T, T_INDEX, TOTAL_STEPS, {"scale": 2.0, **DRIFT_CFG.get(name, {})}, {})
    by_keyword = dict(zip(("x", "t", "t_index", "total_steps", "drift_cfg", "state"), values, strict=True))
    moved = DRIFT_REGISTRY[name](*values, randn_like=torch.ones_like)
    assert torch.equal(moved, DRIFT_REGISTRY[name](**by_keyword, randn_like=torch.ones_like))
    assert moved.shape == x.shape


def test_the_custom_ones_hand_on_every_argument(stub: Any, stub_ckpt: CheckpointInfo) -> None:
    seen: list[dict[str, Any]] = []

    def keeps(**arguments: Any) -> torch.Tensor:
        seen.append(arguments)
        return torch.zeros(1)

    x, state = torch.zeros(1, 1, 4, 4), {"kept": 1}
    force_cfg = {"fn": keeps}
    FORCE_REGISTRY["force_user_custom"](
        x, x + 1, T, T_INDEX, TOTAL_STEPS, stub, stub_ckpt, TARGET, force_cfg, state, sample_index=4
    )
    whole = {"scale": 1.0, "params": force_cfg}
    DRIFT_REGISTRY["drift_user_custom"](x, T, T_INDEX, TOTAL_STEPS, whole, state, sample_index=4)
    step = {"t": T, "t_index": T_INDEX, "total_steps": TOTAL_STEPS, "state": state, "sample_index": 4}
    force, drift = seen
    assert torch.equal(force.pop("model_output"), x)
    assert torch.equal(force.pop("x_t"), x + 1)
    assert force == step | {"model": stub, "ckpt_info": stub_ckpt, "class_idx": TARGET, "force_cfg": force_cfg}
    assert torch.equal(drift.pop("x"), x)
    assert drift == step | {"drift_cfg": whole}
