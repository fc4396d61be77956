"""Guidance, sums of forces, and how often the network is asked."""

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler

A, B, C, NULL = 0, 1, 2, 3

ATTRACT = {"name": "force_attract_class", "target_class": "B", "weight": 3.0}
REPEL = {"name": "force_repel_class", "target_class": "C", "weight": 1.0}
SUBTRACT = {"name": "force_subtract_two", "pos_class": "A", "neg_class": "B", "w_pos": 3.0, "w_neg": 2.0}


@pytest.mark.parametrize("scale", [0, 0.5, 1, 7.5, 20])
def test_guidance_is_the_unconditional_noise_plus_the_scale_times_the_difference(
    run: Any, noise: Any, scale: float
) -> None:
    frames, _ = run(character="C", force={"guidance_scale": scale})
    for frame in frames:
        null, conditional = (noise(frame.previous, frame.t, c) for c in (NULL, C))
        torch.testing.assert_close(frame.model_output, null + scale * (conditional - null), rtol=0, atol=1e-12)


def test_a_scale_of_one_is_the_conditional_prediction_alone_and_costs_one_row_a_sample(run: Any, noise: Any) -> None:
    frames, stub = run(dtype=torch.float32, character="C", force={"guidance_scale": 1})
    for frame in frames:
        assert torch.equal(frame.model_output, noise(frame.previous, frame.t, torch.tensor(C, dtype=torch.float64)))
    assert stub.calls == [[C, C]] * 10


def test_a_scale_of_zero_is_unconditional_and_costs_one_row_a_sample(run: Any) -> None:
    _, stub = run(dtype=torch.float32, force={"guidance_scale": 0})
    assert stub.calls == [[NULL, NULL]] * 10


def test_the_default_scale_is_seven_and_a_half(run: Any, noise: Any) -> None:
    frame = run()[0][0]
    null, conditional = (noise(frame.previous, frame.t, c) for c in (NULL, A))
    torch.testing.assert_close(frame.model_output, null + 7.5 * (conditional - null), rtol=0, atol=1e-12)
    _, stub = run(dtype=torch.float32)
    assert stub.calls == [[NULL, NULL, A, A]] * 10


def test_a_step_is_one_forward_pass_and_holds_no_class_twice(run: Any) -> None:
    stack = [ATTRACT, SUBTRACT, REPEL, {"name": "force_cycle_classes", "period": 1}]
    _, stub = run(dtype=torch.float32, character="A", force={"force_stack": stack})
    assert len(stub.calls) == 10
    for labels in stub.calls:
        assert sorted(labels) == sorted([NULL, A, B, C] * 2)


def test_a_class_whose_weight_is_zero_is_not_evaluated(run: Any) -> None:
    ramp = {"name": "force_ramp_attract", "target_class": "B", "start_w": 0.0, "end_w": 1.0}
    _, stub = run(indexes=[0], force={"guidance_scale": 0, "force_stack": [ramp]})
    assert stub.calls == [[NULL], *[[NULL, B]] * 9]


def test_a_stack_is_the_sum_of_its_parts(run: Any) -> None:
    stack = [ATTRACT, REPEL, SUBTRACT]
    frame = run(force={"force_stack": stack})[0][0]
    guided = run()[0][0].model_output
    parts = [run(force={"force_stack": [force]})[0][0].model_output - guided for force in stack]
    torch.testing.assert_close(frame.model_output, guided + sum(parts), rtol=0, atol=1e-12)


def test_subtract_from_the_unconditional_noise_is_the_contrastive_equation(run: Any, noise: Any) -> None:
    args = {"pos_class": "A", "neg_class": "B", "w_pos": 4.0, "w_neg": 1.5}
    for frame in run(preset="subtract", preset_args=args)[0]:
        null, positive, negative = (noise(frame.previous, frame.t, c) for c in (NULL, A, B))
        expected = null + 4.0 * (positive - null) - 1.5 * (negative - null)
        torch.testing.assert_close(frame.model_output, expected, rtol=0, atol=1e-12)


def test_the_sum_of_the_forces_is_bounded_and_the_guided_noise_is_not(run: Any, noise: Any) -> None:
    stack = [ATTRACT, {**REPEL, "weight": 50.0}]
    bounded = run(character="A", force={"force_stack": stack, "clip_abs": 0.2})[0]
    clipped = 0
    for frame in bounded:
        null, a, b, c = (noise(frame.previous, frame.t, one) for one in (NULL, A, B, C))
        total = 3.0 * (b - null) - 50.0 * (c - null)
        clipped += int((total.abs() > 0.2).sum())
        expected = null + 7.5 * (a - null) + total.clamp(-0.2, 0.2)
        torch.testing.assert_close(frame.model_output, expected, rtol=0, atol=1e-12)
    assert clipped > 0


def test_a_global_parameter_reaches_the_forces_that_have_it_and_their_own_comes_first(run: Any, noise: Any) -> None:
    stack = [{"name": "force_attract_class", "target_class": "B"}, {**REPEL, "weight": 1.0}, {"name": "force_none"}]
    force = {"guidance_scale": 0, "force_stack": stack, "global_cfg": {"weight": 4.0}}
    for frame in run(force=force)[0]:
        null, b, c = (noise(frame.previous, frame.t, one) for one in (NULL, B, C))
        torch.testing.assert_close(frame.model_output, null + 4.0 * (b - null) - (c - null), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("own", "shared"), [("targetClass", "target_class"), ("target_class", "targetClass")])
def test_a_global_parameter_in_the_other_spelling_is_the_same_parameter(
    run: Any, noise: Any, own: str, shared: str
) -> None:
    stack = [{"name": "force_attract_class", own: "B"}, {"name": "force_attract_class"}]
    force = {"guidance_scale": 0, "force_stack": stack, "global_cfg": {shared: "C"}}
    for frame in run(force=force)[0]:
        null, b, c = (noise(frame.previous, frame.t, one) for one in (NULL, B, C))
        torch.testing.assert_close(frame.model_output, b + c - null, rtol=0, atol=1e-12)


def test_the_states_follow_the_schedulers_own_steps(run: Any, noise: Any, stub_ckpt: Any) -> None:
    scheduler = DDIMScheduler.from_config(dict(stub_ckpt.scheduler_config))
    scheduler.set_timesteps(10)
    frames, _ = run(character="B", force={"guidance_scale": 2.0})
    x = torch.stack(
        [torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(s), dtype=torch.float64) for s in (0, 1)]
    )
    for frame, timestep in zip(frames, scheduler.timesteps, strict=True):
        assert torch.equal(frame.previous, x)
        null, b = (noise(x, int(timestep), c) for c in (NULL, B))
        x = scheduler.step(null + 2.0 * (b - null), timestep, x).prev_sample
        torch.testing.assert_close(frame.latent, x, rtol=0, atol=1e-10)
        torch.testing.assert_close(frame.delta, frame.latent - frame.previous)
        x = frame.latent


def test_a_frame_knows_the_guided_difference_where_both_predictions_were_made(run: Any, noise: Any) -> None:
    frame = run(character="B")[0][3]
    expected = noise(frame.previous, frame.t, B) - noise(frame.previous, frame.t, NULL)
    torch.testing.assert_close(frame.guided_difference, expected, rtol=0, atol=1e-12)
    assert run(force={"guidance_scale": 1})[0][3].guided_difference is None


def test_in_float64_every_sample_goes_through_the_network_by_itself_with_all_of_its_classes(run: Any) -> None:
    _, stub = run(indexes=range(3), steps=2)
    assert stub.calls == [[NULL, A]] * 3 * 2
