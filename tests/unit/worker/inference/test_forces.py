"""Every force against its formula, computed by hand from a network that is a formula itself."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from diffrun_worker.errors import PermanentError
from diffrun_worker.inference import FORCE_REGISTRY, FrameData

A, B, C, NULL = 0, 1, 2, 3
T = 10
BASE = {"guidance_scale": 0}


def direction(noise: Any, frame: FrameData, c: int) -> Tensor:
    """ε(x_t, t, c) − ε(x_t, t, ∅)."""
    return noise(frame.previous, frame.t, c) - noise(frame.previous, frame.t, NULL)


Weights = Callable[[int, int], dict[int, float]]

# The force, and w_c as a function of the step's number k and its timestep t.
FORCES: dict[str, tuple[dict[str, Any], Weights]] = {
    "none": ({"name": "force_none"}, lambda k, t: {}),
    "attract": (
        {"name": "force_attract_class", "target_class": "B", "weight": 3.0},
        lambda k, t: {B: 3.0},
    ),
    "attract, by default once": (
        {"name": "force_attract_class", "target_class": "B"},
        lambda k, t: {B: 1.0},
    ),
    "repel, a negative weight": (
        {"name": "force_repel_class", "target_class": "B", "weight": -1.5},
        lambda k, t: {B: -1.5},
    ),
    "repel, a positive weight": (
        {"name": "force_repel_class", "target_class": "B", "weight": 1.5},
        lambda k, t: {B: -1.5},
    ),
    "blend": (
        {"name": "force_blend_two", "class_a": "A", "class_b": "C", "blend_alpha": 0.3, "weight": 2.0},
        lambda k, t: {A: 1.4, C: 0.6},
    ),
    "subtract": (
        {"name": "force_subtract_two", "pos_class": "A", "neg_class": "B", "w_pos": 3.0, "w_neg": 2.0},
        lambda k, t: {A: 3.0, B: -2.0},
    ),
    "weighted multi": (
        {"name": "force_weighted_multi", "class_weights": {"A": 0.5, "B": -1.0, "C": 2.0}},
        lambda k, t: {A: 0.5, B: -1.0, C: 2.0},
    ),
    # DDIM's ten steps stand at t = 900, 800, …, 0.
    "switch": (
        {"name": "force_switch_two", "class_a": "A", "class_b": "C", "switch_t": 500, "weight": 2.0},
        lambda k, t: {A: 2.0} if k < 4 else {C: 2.0},
    ),
    "cycle": (
        {"name": "force_cycle_classes", "classes": ["C", "A"], "period": 3, "weight": 2.0},
        lambda k, t: {(C, C, C, A, A, A, C, C, C, A)[k]: 2.0},
    ),
    "cycle of all classes": (
        {"name": "force_cycle_classes", "period": 1},
        lambda k, t: {(A, B, C)[k % 3]: 1.0},
    ),
    "oscillate": (
        {"name": "force_oscillate_two", "class_a": "A", "class_b": "B", "frequency": 0.05, "weight": 2.0},
        lambda k, t: {A: 1 - math.sin(math.pi * k / 10), B: 1 + math.sin(math.pi * k / 10)},
    ),
    "oscillate, a quarter later": (
        {"name": "force_oscillate_two", "class_a": "A", "class_b": "B", "frequency": 0.25, "phase": 0.25},
        lambda k, t: {B: (1.0, 0.5, 0.0, 0.5)[k % 4], A: (0.0, 0.5, 1.0, 0.5)[k % 4]},
    ),
    "ramp": (
        {"name": "force_ramp_attract", "target_class": "C", "start_w": 1.0, "end_w": 10.0},
        lambda k, t: {C: 1.0 + k},
    ),
    "ramp of the middle third": (
        {
            "name": "force_ramp_attract",
            "target_class": "C",
            "start_w": 0.0,
            "end_w": 6.0,
            "begin": 3 / 9,
            "finish": 6 / 9,
        },
        lambda k, t: {C: (0, 0, 0, 0, 2, 4, 6, 6, 6, 6)[k]},
    ),
    "schedule": (
        {
            "name": "force_user_schedule",
            "schedule": [
                {"start_step": 6, "end_step": 8, "target_class": "B", "weight": -1.0},
                {"start_step": 1, "end_step": 4, "target_class": "A", "weight": 2.0},
            ],
        },
        lambda k, t: {A: 2.0} if 1 <= k < 4 else {B: -1.0} if 6 <= k < 8 else {},
    ),
}


@pytest.mark.parametrize(("force", "weights"), FORCES.values(), ids=FORCES.keys())
def test_a_force_adds_its_weights_times_the_directions_towards_its_classes(
    run: Any, noise: Any, force: dict[str, Any], weights: Weights
) -> None:
    frames, _ = run(force={**BASE, "force_stack": [force]})
    assert [frame.t for frame in frames] == list(range(900, -1, -100))
    for frame in frames:
        expected = noise(frame.previous, frame.t, NULL)
        for c, weight in weights(frame.t_index, frame.t).items():
            expected = expected + weight * direction(noise, frame, c)
        torch.testing.assert_close(frame.model_output, expected, rtol=0, atol=1e-12)


def test_every_force_of_the_registry_has_a_known_answer() -> None:
    answered = {force["name"] for force, _ in FORCES.values()}
    assert set(FORCE_REGISTRY) - {"force_user_custom"} == answered
    assert len(FORCE_REGISTRY) == 12


def test_a_custom_force_gets_what_the_signature_says_and_its_return_is_added(run: Any, noise: Any) -> None:
    seen: list[dict[str, Any]] = []

    def mine(model_output, x_t, t, t_index, total_steps, model, ckpt_info, class_idx, force_cfg, state, **kwargs):  # type: ignore[no-untyped-def]
        seen.append({"t": t, "t_index": t_index, "class": class_idx, "kept": state.get("kept")})
        state["kept"] = t_index
        assert model_output.shape == x_t.shape == (1, 1, 4, 4)
        return force_cfg["gain"] * x_t

    stack = [{"name": "force_user_custom", "fn": mine, "gain": 0.5}]
    frames, _ = run(indexes=[4], character="C", force={**BASE, "force_stack": stack})
    for frame in frames:
        expected = noise(frame.previous, frame.t, NULL) + 0.5 * frame.previous
        torch.testing.assert_close(frame.model_output, expected, rtol=0, atol=1e-12)
    assert seen[:2] == [
        {"t": 900, "t_index": 0, "class": C, "kept": None},
        {"t": 800, "t_index": 1, "class": C, "kept": 0},
    ]


def test_a_force_of_the_users_may_call_the_model_itself(run: Any, noise: Any) -> None:
    def mine(model_output, x_t, t, model, ckpt_info, **kwargs):  # type: ignore[no-untyped-def]
        label = torch.tensor([ckpt_info.class_index("B")])
        return model(x_t, torch.tensor(t), class_labels=label)[0]

    frames, _ = run(force={**BASE, "force_stack": [{"name": "force_user_custom", "fn": mine}]})
    for frame in frames:
        expected = noise(frame.previous, frame.t, NULL) + noise(frame.previous, frame.t, B)
        torch.testing.assert_close(frame.model_output, expected, rtol=0, atol=1e-12)


def test_a_force_of_the_users_shares_predictions_with_the_others_and_asks_for_a_class_once(
    run: Any, noise: Any
) -> None:
    def mine(predict, **kwargs):  # type: ignore[no-untyped-def]
        return predict("B") - predict(None)

    stack = [{"name": "force_user_custom", "fn": mine}, {"name": "force_attract_class", "target_class": "A"}]
    frames, stub = run(indexes=range(3), steps=1, dtype=torch.float32, force={**BASE, "force_stack": stack})
    (frame,) = frames
    expected = noise(frame.previous, frame.t, NULL) + direction(noise, frame, A) + direction(noise, frame, B)
    torch.testing.assert_close(frame.model_output, expected, rtol=0, atol=1e-5)
    # One pass for what was known beforehand, and one for all samples' B.
    assert stub.calls == [[NULL] * 3 + [A] * 3, [B] * 3]


def test_a_built_in_force_can_be_called_by_hand(stub_ckpt: Any, stub: Any, noise: Any) -> None:
    x = torch.linspace(-1, 1, 16, dtype=torch.float64).view(1, 1, 4, 4)
    contribution = FORCE_REGISTRY["force_attract_class"](
        model_output=x,
        x_t=x,
        t=700,
        t_index=3,
        total_steps=10,
        model=stub,
        ckpt_info=stub_ckpt,
        class_idx=A,
        force_cfg={"name": "force_attract_class", "target_class": "C", "weight": 2.0},
        state={},
    )
    expected = 2.0 * (noise(x, 700, C) - noise(x, 700, NULL))
    torch.testing.assert_close(contribution, expected, rtol=0, atol=1e-12)


def test_a_force_called_by_hand_names_the_parameter_of_a_class_that_is_not_there(stub_ckpt: Any, stub: Any) -> None:
    x = torch.zeros(1, 1, 4, 4)
    step = {"x_t": x, "t": 700, "t_index": 3, "total_steps": 10, "state": {}, "class_idx": A}
    with pytest.raises(PermanentError, match="force_attract_class: target_class: the checkpoint has no class 'Q'"):
        FORCE_REGISTRY["force_attract_class"](
            model_output=x, model=stub, ckpt_info=stub_ckpt, force_cfg={"target_class": "Q"}, **step
        )


def test_a_force_registered_by_a_program_is_found_by_name(
    run: Any, noise: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def force_mine(model_output, force_cfg, **kwargs):  # type: ignore[no-untyped-def]
        return torch.full_like(model_output, force_cfg.get("my_param", 1.0))

    monkeypatch.setitem(FORCE_REGISTRY, "force_mine", force_mine)
    frames, _ = run(force={**BASE, "force_stack": [{"name": "force_mine", "my_param": 2.0}]})
    for frame in frames:
        torch.testing.assert_close(frame.model_output, noise(frame.previous, frame.t, NULL) + 2.0, rtol=0, atol=1e-12)


def test_a_late_phase_is_the_same_as_its_part_of_a_cycle(run: Any) -> None:
    oscillate = {"name": "force_oscillate_two", "class_a": "A", "class_b": "B", "frequency": 0.05}
    late, early = (
        run(force={**BASE, "force_stack": [{**oscillate, "phase": phase}]})[0][-1].latent for phase in (1e308, 0.0)
    )
    assert torch.equal(late, early)


def test_what_goes_wrong_in_a_force_of_ours_is_not_laid_on_code_of_the_users(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffrun_worker.inference.forces.params import AttractClass

    def fails(*_: Any) -> Any:
        raise OverflowError("ours")

    attract = {"name": "force_attract_class", "target_class": "B"}
    monkeypatch.setattr(AttractClass, "weights", fails)
    with pytest.raises(OverflowError, match="ours"):
        run(force={**BASE, "force_stack": [attract]})
