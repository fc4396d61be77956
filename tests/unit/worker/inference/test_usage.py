"""The Python interface as people use it: the calls of its users, word by word."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DModel
from PIL import Image

from diffrun_worker.block import Shard
from diffrun_worker.errors import PermanentError
from diffrun_worker.inference import (
    DRIFT_REGISTRY,
    FORCE_REGISTRY,
    CaptureConfig,
    CheckpointInfo,
    DriftConfig,
    EnvironmentConfig,
    ForceConfig,
    FrameData,
    InferenceConfig,
    InferenceMetricsTracker,
    SampleResult,
    build_scheduler,
    generate_sample,
    load_checkpoint,
    load_unet,
    plots,
)
from diffrun_worker.inference.by_hand import draw_by_hand
from diffrun_worker.inference.presets import blend, oscillate, ramp_to_class, subtract
from diffrun_worker.models.store import save_model

from .conftest import LINEAR, TINY

CLASSES = ("0", "A", "B", "K", "O", "a", "e", "k")


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> CheckpointInfo:
    """A checkpoint that knows the letters of the examples."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoints") / "letters"
    unet = UNet2DModel(**{**TINY, "num_class_embeds": len(CLASSES) + 1})
    save_model(folder, unet, {**LINEAR, "clip_sample": False}, CLASSES)
    return load_checkpoint(str(folder))


def sample(ckpt: CheckpointInfo, config: InferenceConfig, **more: Any) -> SampleResult:
    unet = load_unet(ckpt, device="cpu")
    scheduler = build_scheduler(ckpt)
    return generate_sample(model=unet, scheduler=scheduler, config=config, ckpt_info=ckpt, **more)


def short(**values: Any) -> InferenceConfig:
    return InferenceConfig(seed=0, num_inference_steps=2, **values)


def test_one_sample_has_all_its_states_and_its_image(letters: CheckpointInfo) -> None:
    config = InferenceConfig(character="A", total_videos=10)
    result = sample(letters, config)
    assert len(result.frames) == 50
    assert isinstance(result.final_image, Image.Image)
    assert result.final_image.size == (8, 8)


def test_forces_are_stacked_by_hand(letters: CheckpointInfo) -> None:
    force_stack = [
        {"name": "force_attract_class", "target_class": "A", "weight": 3.0},
        {"name": "force_repel_class", "target_class": "B", "weight": -1.5},
    ]
    pushed = sample(letters, short(character="A", force=ForceConfig(force_stack=force_stack)))
    assert not torch.equal(pushed.latent, sample(letters, short(character="A")).latent)


@pytest.mark.parametrize(
    "force_stack",
    [
        subtract("k", "K", w_pos=3.0, w_neg=2.0),
        subtract("a", "A", w_pos=4.0, w_neg=2.0),
        blend("a", "e", alpha=0.5),
        oscillate("0", "O", frequency=0.05),
        ramp_to_class("k", start_weight=1.0, end_weight=10.0),
    ],
    ids=["subtract k", "subtract a", "blend", "oscillate", "ramp"],
)
def test_a_preset_is_a_stack_beside_guidance(letters: CheckpointInfo, force_stack: list[dict[str, Any]]) -> None:
    config = short(character="k", force=ForceConfig(force_stack=force_stack, guidance_scale=7.5))
    assert config.force.guidance_scale == 7.5
    assert not torch.equal(sample(letters, config).latent, sample(letters, short(character="k")).latent)


def test_a_preset_of_ones_own_is_a_function_that_returns_a_list(letters: CheckpointInfo) -> None:
    def my_preset(class_a: str, class_b: str, **kwargs: Any) -> list[dict[str, Any]]:
        return [
            {"name": "force_attract_class", "target_class": class_a, "weight": 2.0},
            {"name": "force_repel_class", "target_class": class_b, "weight": 1.0},
        ]

    mine = sample(letters, short(character="k", force=ForceConfig(force_stack=my_preset("k", "K"))))
    same = subtract("k", "K", w_pos=2.0, w_neg=1.0)
    torch.testing.assert_close(mine.latent, sample(letters, short(character="k", force={"force_stack": same})).latent)


def test_a_force_of_ones_own_is_registered_and_used_by_name(
    letters: CheckpointInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def force_my_custom(model_output, x_t, t, t_index, total_steps,  # type: ignore[no-untyped-def]
                        model, ckpt_info, class_idx, force_cfg, state, **kwargs):  # fmt: skip
        my_param = force_cfg.get("my_param", 1.0)
        return torch.zeros_like(model_output) * my_param

    monkeypatch.setitem(FORCE_REGISTRY, "force_my_custom", force_my_custom)
    stack = [{"name": "force_my_custom", "my_param": 2.0}]
    nothing = sample(letters, short(character="A", force=ForceConfig(force_stack=stack)))
    assert torch.equal(nothing.latent, sample(letters, short(character="A")).latent)


def test_a_drift_of_ones_own_is_registered_and_used_by_name(
    letters: CheckpointInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drift_my_custom(x, t, t_index, total_steps, drift_cfg, state, **kwargs):  # type: ignore[no-untyped-def]
        return x * drift_cfg["scale"]

    monkeypatch.setitem(DRIFT_REGISTRY, "drift_my_custom", drift_my_custom)
    drift = DriftConfig(enabled=True, function_name="drift_my_custom", scale=0.0)
    assert not sample(letters, short(character="A", drift=drift)).latent.any()


def test_a_configuration_is_read_from_json_and_saved_as_a_dict(tmp_path: Path) -> None:
    config = InferenceConfig(
        character="k",
        total_videos=50,
        capture=CaptureConfig(save_latents=True, save_video=False),
        force=ForceConfig(guidance_scale=10.0),
    )
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    assert InferenceConfig.from_dict(json.loads((tmp_path / "config.json").read_text())) == config


def test_a_callback_sees_every_step(letters: CheckpointInfo, capsys: pytest.CaptureFixture[str]) -> None:
    def my_callback(frame: FrameData) -> None:
        print(f"Step {frame.t_index}: norm={frame.latent.norm():.4f}")

    sample(letters, short(character="A"), frame_callback=my_callback)
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["Step 0", "Step 1"]


@pytest.mark.parametrize("place", ["checkpoint_path", "model_path"])
def test_saved_latents_are_loaded_by_numpy_under_their_timesteps_name(
    letters: CheckpointInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(plots, "render_all", lambda *_: iter(()))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "letters").symlink_to(letters.path)
    config = InferenceConfig.from_dict(
        {
            "character": "A",
            "total_videos": 1,
            "num_inference_steps": 2,
            place: "letters",
            "capture": CaptureConfig(save_latents=True, latent_format="npy", save_video=False),
            "env": EnvironmentConfig(device="cpu"),
        }
    )
    draw_by_hand(config, Shard(), run_id="mine")
    latent = np.load("output/A/latents/v000_t0500.npy")
    assert latent.shape == (1, 8, 8)
    assert np.isfinite([latent.mean(), latent.std()]).all()
    assert (tmp_path / "output/A/metrics/steps.csv").is_file()


def test_metrics_have_a_tracker_that_can_be_used_alone(letters: CheckpointInfo, tmp_path: Path) -> None:
    config = short(character="A")
    with InferenceMetricsTracker(tmp_path, [500, 0], [0.5, 1.0]) as tracker:
        tracker.begin([0])
        sample(letters, config, frame_callback=tracker.record)
    assert tracker.aggregate.count == 1
    assert len((tmp_path / "metrics/0000_steps.csv").read_text().splitlines()) == 1 + 2


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda:0", r"env\.device: cuda:0 is asked for, and the model is on cpu; load it there"),
        ("tpu", r"env\.device: 'tpu' is no device; give cpu or cuda:0"),
    ],
)
def test_a_model_on_another_device_than_the_configurations_is_refused(
    letters: CheckpointInfo, device: str, message: str
) -> None:
    with pytest.raises(PermanentError, match=message):
        sample(letters, short(character="A", env=EnvironmentConfig(device=device)))
    sample(letters, short(character="A", env=EnvironmentConfig(device="cpu")))


def test_a_run_by_hand_computes_where_the_configuration_says(
    letters: CheckpointInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    asked = short(checkpoint_path=str(letters.path), output_dir=str(tmp_path / "out"), env={"device": "cuda:0"})
    with pytest.raises(PermanentError) as caught:
        draw_by_hand(asked, Shard(), run_id="mine")
    assert caught.value.code == "GpuNotAvailable"
    assert not (tmp_path / "out").exists()
