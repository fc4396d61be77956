"""Each preset is the stack that its name says, and whatever it returns can be run."""

import math
from typing import Any

import pytest
import torch

from diffrun_worker.inference import PRESET_REGISTRY
from diffrun_worker.inference.presets import blend, oscillate, preset_stack, ramp_to_class, subtract

A, B, C, NULL = 0, 1, 2, 3

ARGUMENTS: dict[str, dict[str, Any]] = {
    "null_wander": {},
    "attract_class": {"target_class": "B"},
    "repel_class": {"target_class": "B"},
    "blend": {"class_a": "A", "class_b": "B"},
    "subtract": {"pos_class": "A", "neg_class": "B"},
    "oscillate": {"class_a": "A", "class_b": "B"},
    "competitive": {"classes": ["A", "B"]},
    "rotating_all": {},
    "crystallize": {"target_class": "B"},
    "chaos": {"class_a": "A", "class_b": "B"},
    "ramp_to_class": {"target_class": "B"},
    "weighted_multi": {"class_weights": {"A": 1, "B": -0.5}},
}


def wave(frequency: float, k: int) -> dict[int, float]:
    sine = math.sin(2 * math.pi * frequency * k)
    return {A: 3.75 * (1 - sine), B: 3.75 * (1 + sine)}


# w_c by preset at the first, the fourth and the last of ten steps.
WEIGHTS: dict[str, list[dict[int, float]]] = {
    "null_wander": [{}, {}, {}],
    "attract_class": [{B: 7.5}] * 3,
    "repel_class": [{B: -2.0}] * 3,
    "blend": [{A: 3.75, B: 3.75}] * 3,
    "subtract": [{A: 3.0, B: -2.0}] * 3,
    "oscillate": [wave(0.05, k) for k in (0, 3, 9)],
    "competitive": [{A: 3.0, B: 3.0}] * 3,
    "rotating_all": [{A: 7.5}, {A: 7.5}, {B: 7.5}],
    "crystallize": [{}, {B: 10 * (3 / 9 - 0.3) / 0.7}, {B: 10.0}],
    "chaos": [wave(0.37, k) for k in (0, 3, 9)],
    "ramp_to_class": [{B: 1.0}, {B: 4.0}, {B: 10.0}],
    "weighted_multi": [{A: 1.0, B: -0.5}] * 3,
}


def test_there_are_twelve() -> None:
    assert set(PRESET_REGISTRY) == ARGUMENTS.keys() == WEIGHTS.keys()
    assert len(PRESET_REGISTRY) == 12


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_preset_starts_from_the_unconditional_noise_and_adds_its_directions(run: Any, noise: Any, name: str) -> None:
    frames, _ = run(indexes=[0], character="C", preset=name, preset_args=ARGUMENTS[name])
    for step, weights in zip((0, 3, 9), WEIGHTS[name], strict=True):
        frame = frames[step]
        null = noise(frame.previous, frame.t, NULL)
        expected = null + sum(weight * (noise(frame.previous, frame.t, c) - null) for c, weight in weights.items())
        torch.testing.assert_close(frame.model_output, expected, rtol=1e-12, atol=1e-12)


def test_a_preset_is_added_to_guidance_where_a_scale_is_given(run: Any, noise: Any) -> None:
    frame = run(character="C", preset="attract_class", preset_args={"targetClass": "B"}, force={"guidance_scale": 2.0})[
        0
    ][0]
    null, b, c = (noise(frame.previous, frame.t, one) for one in (NULL, B, C))
    torch.testing.assert_close(frame.model_output, null + 2.0 * (c - null) + 7.5 * (b - null), rtol=0, atol=1e-12)


def test_further_forces_are_added_to_a_preset(run: Any, noise: Any) -> None:
    stack = [{"name": "force_repel_class", "target_class": "A"}]
    frame = run(preset="attract_class", preset_args={"target_class": "B"}, force={"force_stack": stack})[0][0]
    null, a, b = (noise(frame.previous, frame.t, one) for one in (NULL, A, B))
    torch.testing.assert_close(frame.model_output, null + 7.5 * (b - null) - (a - null), rtol=0, atol=1e-12)


def test_a_preset_called_in_python_is_a_list_that_a_program_can_change() -> None:
    assert subtract("k", "K", w_pos=3.0, w_neg=2.0) == [
        {"name": "force_subtract_two", "pos_class": "k", "neg_class": "K", "w_pos": 3.0, "w_neg": 2.0}
    ]
    assert blend("a", "e", alpha=0.25)[0]["blend_alpha"] == 0.25
    assert oscillate("0", "O", frequency=0.05)[0]["frequency"] == 0.05
    assert ramp_to_class("k", start_weight=1.0, end_weight=10.0)[0]["end_w"] == 10.0
    first, second = subtract("a", "b"), subtract("a", "b")
    first[0]["w_pos"] = 9.0
    assert second[0]["w_pos"] == 3.0


def test_a_preset_of_the_programs_own_is_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        PRESET_REGISTRY, "mine", lambda class_a: [{"name": "force_attract_class", "target_class": class_a}]
    )
    assert preset_stack("mine", {"classA": "x"}) == [{"name": "force_attract_class", "target_class": "x"}]
