"""`diffrun-worker infer`: what every option says, every error by its name, and a process's place among several."""

import argparse
from collections.abc import Mapping
from typing import Any

import pytest

from diffrun_contracts import names
from diffrun_worker import cli
from diffrun_worker.block import Shard
from diffrun_worker.commands.infer import configuration, run_id_of
from diffrun_worker.commands.sharding import find_shard
from diffrun_worker.errors import PermanentError


def parse(*arguments: str) -> argparse.Namespace:
    return cli._parser().parse_args(["infer", "--checkpoint", "model", "--character", "A", *arguments])


def config_of(*arguments: str, shards: int = 1) -> dict[str, Any]:
    return configuration(parse(*arguments), Shard(0, shards)).to_dict()


def test_the_defaults_are_the_documented_ones() -> None:
    config = config_of()

    assert config["character"] == "A"
    assert config["checkpoint_path"] == "model"
    assert config["total_videos"] == 100
    assert config["sampler"]["steps"] == 50
    assert config["force"]["guidance_scale"] == 7.5
    assert config["force"]["force_stack"] == []
    assert config["output_dir"] == "output"
    assert config["capture"] == {
        "save_latents": False,
        "save_frames": True,
        "save_deltas": True,
        "save_video": True,
        "latent_format": "npy",
        "frame_format": "png",
    }
    assert config["video"]["fps"] == 30
    assert config["drift"]["enabled"] is False


def test_without_a_seed_every_run_draws_one() -> None:
    seeds = {config_of()["seed"] for _ in range(3)}

    assert len(seeds) == 3


@pytest.mark.parametrize(
    ("arguments", "path", "value"),
    [
        (["--total-videos", "7"], "total_videos", 7),
        (["--num-inference-steps", "20"], "sampler.steps", 20),
        (["--guidance-scale", "12.5"], "force.guidance_scale", 12.5),
        (["--seed", "3"], "seed", 3),
        (["--output-dir", "there"], "output_dir", "there"),
        (["--save-latents"], "capture.save_latents", True),
        (["--save-video"], "capture.save_video", True),
        (["--no-video"], "capture.save_video", False),
        (["--fps", "12"], "video.fps", 12),
        (["--preset", "subtract"], "preset", "subtract"),
        (["--preset", "subtract", "--preset-args", '{"pos_class": "A"}'], "preset_args.pos_class", "A"),
        (["--force-stack", '[{"name": "force_none"}]'], "force.force_stack", [{"name": "force_none"}]),
        (["--drift", "drift_clamp"], "drift.function_name", "drift_clamp"),
        (["--drift", "drift_clamp"], "drift.enabled", True),
        (["--drift", "drift_clamp", "--drift-scale", "0.5"], "drift.scale", 0.5),
        (["--sampler", "ddpm"], "sampler.name", "DDPM"),
        (["--batch-size", "2"], "batch_size", 2),
        (["--latent-format", "pt"], "capture.latent_format", "pt"),
        (["--frame-format", "jpg"], "capture.frame_format", "jpg"),
        (["--no-frames"], "capture.save_frames", False),
        (["--no-deltas"], "capture.save_deltas", False),
        (["--device", "cuda"], "env.device", "cuda:0"),
        (["--device", "auto"], "env.device", None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and isinstance(value[0], str) else None,
)
def test_every_option_says_what_it_is_documented_to_say(arguments: list[str], path: str, value: object) -> None:
    found: Any = config_of(*arguments)
    for key in path.split("."):
        found = found[key]

    assert found == value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "blend", "--preset-args", "{class_a: A}"], r"--preset-args: not JSON.*object"),
        (["--preset", "blend", "--preset-args", "[1]"], r"--preset-args: an object is needed.*\[1\]"),
        (["--force-stack", "{}"], r"--force-stack: a list of objects is needed"),
        (["--force-stack", "force_none"], r"--force-stack: not JSON"),
        (["--preset-args", "{}"], r"--preset-args: belong to no preset"),
        (["--drift-scale", "2"], r"--drift-scale: changes nothing without --drift"),
        (["--total-videos", "0"], r"total"),
        (["--guidance-scale", "-1"], r"guidance"),
        (["--fps", "0"], r"fps"),
    ],
)
def test_what_an_option_cannot_mean_is_refused_by_its_name(arguments: list[str], message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        config_of(*arguments)


def test_several_processes_need_one_seed() -> None:
    with pytest.raises(PermanentError, match=r"--seed: 4 processes"):
        config_of(shards=4)
    assert config_of("--seed", "1", shards=4)["seed"] == 1


SLURM = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "10", "SLURM_ARRAY_TASK_MIN": "0"}
STEPPED = {
    "SLURM_ARRAY_TASK_ID": "7",
    "SLURM_ARRAY_TASK_COUNT": "4",
    "SLURM_ARRAY_TASK_MIN": "1",
    "SLURM_ARRAY_TASK_STEP": "3",
}
TASKS = {"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}


@pytest.mark.parametrize(
    ("distributed", "rank", "world_size", "environment", "expected"),
    [
        (False, None, None, SLURM, Shard(0, 1)),
        (False, 2, 5, {}, Shard(2, 5)),
        (True, None, None, SLURM, Shard(3, 10)),
        (True, None, None, STEPPED, Shard(2, 4)),
        (True, None, None, TASKS, Shard(1, 2)),
        (True, None, None, SLURM | TASKS, Shard(7, 20)),
        (True, None, 8, {"JOB_COMPLETION_INDEX": "5"}, Shard(5, 8)),
        (True, None, None, {"JOB_COMPLETION_INDEX": "5", "WORLD_SIZE": "6"}, Shard(5, 6)),
        (True, None, None, {"RANK": "1", "WORLD_SIZE": "2"}, Shard(1, 2)),
        (True, 0, None, SLURM, Shard(0, 10)),
        (True, None, 4, SLURM, Shard(3, 4)),
    ],
    ids=[
        "alone unless asked", "by hand", "array", "array with a step", "tasks", "tasks of an array", "pod",
        "pod with a size", "torchrun", "rank overrides", "size overrides",
    ],
)  # fmt: skip
def test_a_process_knows_its_place(
    distributed: bool, rank: int | None, world_size: int | None, environment: Mapping[str, str], expected: Shard
) -> None:
    assert find_shard(distributed, rank, world_size, environment) == expected


@pytest.mark.parametrize(
    ("rank", "world_size", "environment", "message"),
    [
        (5, 4, {}, r"--rank: 5 is none of 4 processes.*valid are 0 to 3"),
        (-1, 4, {}, r"--rank: -1"),
        (0, 0, {}, r"--world-size: at least 1"),
        (0, None, {}, r"--world-size: .*not known"),
        (None, 4, {}, r"--rank: .*from 0 to 3"),
        (None, None, {"JOB_COMPLETION_INDEX": "2"}, r"--world-size"),
        (None, 4, {"SLURM_ARRAY_TASK_ID": "two"}, r"SLURM_ARRAY_TASK_ID is 'two'"),
        (None, 3, {"JOB_COMPLETION_INDEX": "3"}, r"--rank: 3"),
    ],
)
def test_a_place_that_cannot_be_is_refused(
    rank: int | None, world_size: int | None, environment: Mapping[str, str], message: str
) -> None:
    with pytest.raises(PermanentError, match=message):
        find_shard(True, rank, world_size, environment)


def test_processes_of_one_run_give_it_one_name_and_other_runs_another() -> None:
    config = {"seed": 1}

    assert run_id_of(config, Shard(0, 2), {}) == run_id_of(config, Shard(1, 2), {})
    assert run_id_of(config, Shard(0, 2), {}) != run_id_of({"seed": 2}, Shard(0, 2), {})
    assert run_id_of(config, Shard(0, 2), {}) != run_id_of(config, Shard(0, 2), {"SLURM_ARRAY_JOB_ID": "9"})
    assert run_id_of(config, Shard(0, 1), {}) != run_id_of(config, Shard(0, 1), {})


def test_a_misspelt_option_ends_with_the_users_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("--guidance-scael", "3")

    assert ended.value.code == names.EXIT_PERMANENT
    assert "--guidance-scael" in capsys.readouterr().err
