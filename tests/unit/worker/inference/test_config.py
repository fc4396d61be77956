"""The configuration: its defaults, its names, and the ways from and to files."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from diffrun_contracts.params import InferenceConfig as BlockConfig
from diffrun_contracts.params import Sampler
from diffrun_worker.errors import PermanentError
from diffrun_worker.inference import (
    CaptureConfig,
    DriftConfig,
    EnvironmentConfig,
    ForceConfig,
    InferenceConfig,
    VideoConfig,
)
from diffrun_worker.inference.config import with_seed


def test_the_defaults_are_the_documented_ones() -> None:
    config = InferenceConfig()
    assert (config.character, config.total_videos, config.checkpoint_path, config.output_dir) == (
        "A",
        100,
        None,
        "output",
    )
    assert (config.force.guidance_scale, config.force.force_stack, config.force.clip_abs) == (7.5, [], None)
    assert (config.drift.enabled, config.drift.function_name) == (False, "drift_default")
    assert (config.drift.scale, config.drift.decay) == (1.0, 0.99)
    assert (config.num_inference_steps, config.sampler.name, config.seed, config.video.fps) == (50, "DDIM", None, 30)
    capture = config.capture
    assert (capture.save_latents, capture.save_frames, capture.save_deltas, capture.save_video) == (
        False,
        True,
        True,
        True,
    )


def test_it_is_made_by_the_names_of_the_python_interface() -> None:
    config = InferenceConfig(
        character="k",
        total_videos=50,
        capture=CaptureConfig(save_latents=True, save_video=False),
        force=ForceConfig(guidance_scale=10.0, force_stack=[{"name": "force_none"}]),
        drift=DriftConfig(enabled=True, function_name="drift_clamp"),
        num_inference_steps=20,
    )
    assert (config.total, config.sampler.steps) == (50, 20)


@pytest.mark.parametrize("name", ["total", "total_videos", "totalVideos"])
def test_the_count_is_one_field_under_each_of_its_names(name: str) -> None:
    for model in (InferenceConfig, BlockConfig):
        config = model.model_validate({name: 7})
        assert (config.total, config.total_videos) == (7, 7)
        assert config.model_dump(by_alias=True)["total"] == 7
    with pytest.raises(ValidationError, match="total_videos"):
        InferenceConfig.model_validate({"total": 1, "total_videos": 2})


def test_a_dict_takes_both_spellings_and_comes_back_as_it_was() -> None:
    snake = {"total_videos": 3, "force": {"guidance_scale": 2.0, "force_stack": [{"name": "force_none"}]}}
    camel = {"totalVideos": 3, "force": {"guidanceScale": 2.0, "forceStack": [{"name": "force_none"}]}}
    config = InferenceConfig.from_dict(snake)
    assert InferenceConfig.from_dict(camel) == config
    assert InferenceConfig.from_dict(config.to_dict()) == config
    assert InferenceConfig.from_yaml(config.to_yaml()) == config
    assert InferenceConfig.from_json(config.to_json()) == config
    assert config.to_dict()["force"]["guidance_scale"] == 2.0
    assert json.loads(config.to_json()) == config.to_dict()


def test_what_is_written_has_the_names_of_the_python_interface() -> None:
    written = InferenceConfig(total_videos=3).to_dict()
    assert written["total_videos"] == 3
    assert "total" not in written


@pytest.mark.parametrize(
    ("config", "field", "place"),
    [
        (InferenceConfig(character="B", total_videos=2), "output_dir", "infer"),
        (CaptureConfig(save_latents=True), "latent_format", "capture"),
        (VideoConfig(fps=12), "fps", "video"),
        (DriftConfig(enabled=True, params={"amplitude": 0.1}), "function_name", "drift"),
        (ForceConfig(force_stack=[{"name": "force_none"}], clip_abs=2.0), "guidance_scale", "force"),
        (EnvironmentConfig(device="cpu"), "device", "env"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_every_part_is_read_and_written_by_itself(config: Any, field: str, place: str) -> None:
    made = type(config)
    assert field in config.to_dict()
    assert made.from_dict(config.to_dict()) == config
    assert made.from_json(config.to_json()) == config
    assert made.from_yaml(config.to_yaml()) == config
    with pytest.raises(PermanentError, match=f"{place}: gif: Extra inputs are not permitted"):
        made.from_dict({"gif": 1})


@pytest.mark.parametrize("sampler", [{"name": "DDPM"}, Sampler(name="DDPM")], ids=["a dict", "a Sampler"])
def test_the_number_of_steps_may_stand_beside_a_sampler_that_names_none(sampler: Any) -> None:
    config = InferenceConfig(num_inference_steps=20, sampler=sampler)
    assert (config.sampler.name, config.sampler.steps) == ("DDPM", 20)
    with pytest.raises(ValidationError, match=r"num_inference_steps: give this or sampler\.steps, not both"):
        InferenceConfig(num_inference_steps=20, sampler=Sampler(steps=20))


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_file_is_yaml_or_json(tmp_path: Path, suffix: str) -> None:
    config = InferenceConfig(character="7", seed=3)
    file = tmp_path / f"config.{suffix}"
    file.write_text(config.to_yaml() if suffix == "yaml" else config.to_json())
    assert InferenceConfig.from_file(file) == config


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"charakter": "A"}, "charakter: Extra inputs are not permitted"),
        ({"force": {"guidance": 3}}, "force.guidance: Extra inputs"),
        ({"capture": {"save_gif": True}}, "capture.save_gif: Extra inputs"),
        ({"force": {"guidance_scale": -1}}, "force.guidance_scale: Input should be greater than or equal to 0"),
        ({"force": {"guidance_scale": float("nan")}}, "force.guidance_scale"),
        ({"drift": {"scale": float("inf")}}, "drift.scale"),
        ({"force": {"clip_abs": 0}}, "force.clip_abs: Input should be greater than 0"),
        ({"total": 0}, "total: Input should be greater than or equal to 1"),
        ({"sampler": {"name": "EulerDiscrete"}}, "infer denoises with DDIM or DDPM; got EulerDiscrete"),
        ({"sampler": {"steps": 5}, "num_inference_steps": 5}, "give this or sampler.steps, not both"),
        ({"model_path": "a", "checkpoint_path": "b"}, "model_path: give this or checkpoint_path, not both"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(PermanentError) as caught:
        InferenceConfig.from_dict(values)
    assert words in caught.value.message


@pytest.mark.parametrize("text", ["- a list", "{", "a: [", ""])
def test_a_text_that_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(PermanentError, match="infer: "):
        InferenceConfig.from_yaml(text)
    with pytest.raises(PermanentError, match="infer: not JSON"):
        InferenceConfig.from_json(text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"cannot read .*absent\.yaml"):
        InferenceConfig.from_file(tmp_path / "absent.yaml")


def test_a_preset_starts_from_zero_guidance_unless_a_scale_is_given_and_stays_so_over_a_round_trip() -> None:
    plain = InferenceConfig(preset="subtract", force=ForceConfig(clip_abs=1.0))
    assert plain.force.guidance_scale == 0
    assert plain.force.clip_abs == 1.0
    assert InferenceConfig.from_dict(plain.to_dict()) == plain
    guided = InferenceConfig(preset="subtract", force=ForceConfig(guidance_scale=7.5))
    assert guided.force.guidance_scale == 7.5
    assert InferenceConfig.from_dict(guided.to_dict()) == guided


def test_a_function_in_a_configuration_is_told_by_where_it_stands() -> None:
    config = InferenceConfig(force=ForceConfig(force_stack=[{"name": "force_user_custom", "fn": with_seed}]))
    (force,) = config.to_dict()["force"]["force_stack"]
    assert force["fn"].endswith("inference/config.py:with_seed")
    assert json.loads(config.to_json()) == config.to_dict()


def test_an_unset_seed_is_drawn_once_and_processes_that_share_a_run_must_be_given_one() -> None:
    drawn = with_seed(InferenceConfig())
    assert drawn.seed is not None
    assert with_seed(drawn, world_size=4) == drawn
    with pytest.raises(PermanentError, match="seed: 4 processes share this run"):
        with_seed(InferenceConfig(), world_size=4)
