"""A shard's records, and the block `infer` around them: the tree, the index, the artifacts, whatever the shards."""

import json
import socket
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from diffrun_contracts.params.infer import InferenceConfig
from diffrun_worker.block import Shard
from diffrun_worker.blocks.infer import Infer
from diffrun_worker.blocks.infer_artifacts import spread
from diffrun_worker.errors import PermanentError
from diffrun_worker.inference import plots
from diffrun_worker.inference.aggregates import Aggregate
from diffrun_worker.testing import RecordingContext

STEPS = 3
CHARTS = ["inference_dashboard", *plots.PLOTS]


@pytest.fixture(autouse=True)
def quick_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing has tests of its own, and takes seconds."""

    def render_all(data: Aggregate, title: str) -> Iterator[tuple[str, bytes]]:
        yield from ((name, f"{name}: {title}".encode()) for name in CHARTS)

    monkeypatch.setattr(plots, "render_all", render_all)


def context(workspace: Path, checkpoint: Path, shard: int = 0, shards: int = 1) -> RecordingContext:
    link = workspace / "model"
    if not link.exists():
        workspace.mkdir(exist_ok=True)
        link.mkdir()
        for file in checkpoint.iterdir():
            (link / file.name).write_bytes(file.read_bytes())
    return RecordingContext(workspace, inputs={"model_path": "model"}, seed=7, shard=Shard(shard, shards))


def params(**changed: Any) -> InferenceConfig:
    values: dict[str, Any] = {"character": "B", "total": 5, "sampler": {"steps": STEPS}, "batch_size": 2}
    return InferenceConfig.model_validate(values | changed)


def infer(ctx: RecordingContext, **changed: Any) -> Path:
    """Runs a shard and returns the class's folder."""
    outputs = Infer().run(params(**changed), ctx)
    return ctx.root / str(outputs["output"])


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


def test_a_run_leaves_the_documented_tree(tmp_path: Path, tiny_checkpoint: Path) -> None:
    folder = infer(context(tmp_path, tiny_checkpoint), capture={"save_latents": True})

    assert folder == tmp_path / "runs" / "recorded" / "block" / "output" / "B"
    kept = files(folder)
    for index in range(5):
        assert f"videos/v00{index}.mp4" in kept
        assert f"frames/v00{index}_f0002.png" in kept
        assert f"deltas/v00{index}_d0002.npy" in kept
    assert [name for name in kept if name.startswith("latents/v000")] == [
        "latents/v000_t0000.npy",
        "latents/v000_t0333.npy",
        "latents/v000_t0666.npy",
    ]
    assert {f"metrics/{name}.png" for name in CHARTS} < set(kept)
    assert {"metrics/0000_steps.csv", "metrics/0000_videos.csv", "metrics/metrics.json"} < set(kept)
    assert not [name for name in kept if ".tmp" in name or ".encoding" in name]


def test_the_index_leads_to_files_that_are_there(tmp_path: Path, tiny_checkpoint: Path) -> None:
    folder = infer(context(tmp_path, tiny_checkpoint))

    index = read(folder, "index.json")
    assert index["complete"] is True
    assert [(sample["index"], sample["seed"]) for sample in index["samples"]] == [(i, 7 + i) for i in range(5)]
    for sample in index["samples"]:
        assert (folder / sample["video"]).is_file()
        for kind, count in (("frames", STEPS), ("deltas", STEPS - 1)):
            assert sample[kind]["count"] == count
            assert (folder / sample[kind]["first"]).is_file()
            assert (folder / sample[kind]["last"]).is_file()
        assert "latents" not in sample


def test_the_metadata_reproduces_the_run(tmp_path: Path, tiny_checkpoint: Path) -> None:
    folder = infer(context(tmp_path, tiny_checkpoint))

    metadata = read(folder, "metadata.json")
    assert metadata["run_id"] == "recorded"
    assert metadata["config"]["seed"] == 7
    again = InferenceConfig.model_validate(metadata["config"])
    assert again == params(seed=7)
    assert metadata["checkpoint"]["classes"] == ["A", "B", "C"]
    assert metadata["scheduler"]["num_train_timesteps"] == 1000
    assert metadata["scheduler"]["num_inference_steps"] == STEPS


def test_the_metadata_says_where_it_ran_and_over_which_noise_schedule(
    tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "12345678")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    ctx = context(tmp_path, tiny_checkpoint)
    silent = tmp_path / "model" / "scheduler_config.json"
    silent.write_text('{"_class_name": "DDPMScheduler", "clip_sample": false}')
    folder = infer(ctx, sampler={"steps": STEPS, "timestepSpacing": "trailing"})

    metadata = read(folder, "metadata.json")
    stamps = [datetime.fromisoformat(metadata[f"timestamp_{name}"]) for name in ("start", "end")]
    assert stamps[0] <= stamps[1]
    assert metadata["config"].keys() >= {"character", "total_videos", "capture", "video", "drift", "force", "env"}
    assert metadata["checkpoint"] == {
        "path": "model", "classes": ["A", "B", "C"], "size": 8, "channels": 1,
    }  # fmt: skip
    environment = metadata["environment"]
    assert (environment["hostname"], environment["torch_version"]) == (socket.gethostname(), version("torch"))
    assert (environment["gpu"], environment["cuda_version"]) == (None, None)
    assert (environment["slurm_job_id"], environment["slurm_array_task_id"]) == ("12345678", "0")
    scheduler = metadata["scheduler"]
    assert [scheduler[name] for name in ("num_train_timesteps", "beta_start", "beta_end")] == [1000, 0.0001, 0.02]
    assert (scheduler["clip_sample"], scheduler["timestep_spacing"]) == (False, "trailing")


def test_the_last_shard_makes_one_table_of_all_shards_rows(tmp_path: Path, tiny_checkpoint: Path) -> None:
    for shard in (1, 0):
        folder = infer(context(tmp_path, tiny_checkpoint, shard, 2))
        assert (folder / "metrics" / "steps.csv").exists() is (shard == 0)

    for name, rows in (("steps.csv", 5 * STEPS), ("videos.csv", 5)):
        whole = (folder / "metrics" / name).read_text().splitlines()
        parts = [(folder / "metrics" / f"000{shard}_{name}").read_text().splitlines() for shard in range(2)]
        assert whole == [*parts[0], *parts[1][1:]]
        assert len(whole) == 1 + rows
        assert [int(line.split(",")[0]) for line in whole[1:]] == sorted(list(range(5)) * (rows // 5))
    assert not [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


def test_a_shard_whose_table_is_lost_is_named(tmp_path: Path, tiny_checkpoint: Path) -> None:
    folder = infer(context(tmp_path, tiny_checkpoint, 1, 2))
    (folder / "metrics" / "0001_videos.csv").unlink()
    with pytest.raises(PermanentError, match=r"metrics/0001_videos\.csv does not hold shard 1's metrics.*run it again"):
        infer(context(tmp_path, tiny_checkpoint, 0, 2))


def test_any_sharding_leaves_the_same_files(tmp_path: Path, tiny_checkpoint: Path) -> None:
    whole = files(infer(context(tmp_path / "whole", tiny_checkpoint), capture={"save_latents": True}))
    for shard in (2, 0, 1):
        ctx = context(tmp_path / "shards", tiny_checkpoint, shard, 3)
        folder = infer(ctx, capture={"save_latents": True}, batch_size=5)
    sharded = files(folder)

    def of_samples(kept: dict[str, bytes]) -> dict[str, bytes]:
        return {name: data for name, data in kept.items() if name.split("/")[0] in ("frames", "deltas", "latents")}

    assert of_samples(sharded).keys() == of_samples(whole).keys()
    assert {name for name in sharded if name.startswith("videos")} == {n for n in whole if n.startswith("videos")}
    assert {n for n, data in of_samples(whole).items() if n.startswith("frames") and sharded[n] != data} == set()
    assert len(read(folder, "index.json")["samples"]) == 5


def test_the_shard_that_completes_the_run_shows_the_charts_of_all(tmp_path: Path, tiny_checkpoint: Path) -> None:
    contexts = [context(tmp_path, tiny_checkpoint, shard, 2) for shard in range(2)]
    folder = infer(contexts[1])
    assert read(folder, "metadata.json")["timestamp_end"] is None
    infer(contexts[0])

    shown = [[a.tags["plot"] for a in ctx.artifacts if "plot" in a.tags] for ctx in contexts]
    assert shown == [CHARTS, []]
    assert read(folder, "metrics/metrics.json")["samples"] == 5
    assert b"5 samples" in (folder / "metrics" / "inference_dashboard.png").read_bytes()


def test_a_shard_that_is_tried_again_leaves_the_same_index(tmp_path: Path, tiny_checkpoint: Path) -> None:
    for shard in range(2):
        folder = infer(context(tmp_path, tiny_checkpoint, shard, 2))
    before = read(folder, "index.json")
    again = context(tmp_path, tiny_checkpoint, 0, 2)
    infer(again)

    def untimed(index: Any) -> Any:
        return [{**sample, "generation_time": 0} for sample in index["samples"]]

    assert untimed(read(folder, "index.json")) == untimed(before)
    assert [a.tags["plot"] for a in again.artifacts if "plot" in a.tags] == CHARTS


def test_a_shard_that_fails_has_no_part_in_the_index(tmp_path: Path, tiny_checkpoint: Path) -> None:
    def stop(checks: int) -> None:
        if checks == STEPS + 1:
            raise PermanentError("Test", "enough")

    ctx = context(tmp_path, tiny_checkpoint)
    ctx.on_check_pause = stop
    with pytest.raises(PermanentError, match="enough"):
        infer(ctx)

    assert not list(tmp_path.rglob("index.json"))
    assert not list(tmp_path.rglob("parts/*"))


def test_videos_frames_and_samples_are_artifacts(tmp_path: Path, tiny_checkpoint: Path) -> None:
    ctx = context(tmp_path, tiny_checkpoint)
    infer(ctx)

    def tags(schema_type: str, key: str) -> list[str]:
        return [a.tags[key] for a in ctx.artifacts if a.schema_type == schema_type]

    assert tags("generated_sample", "sample_index") == list("01234")
    assert sorted(tags("denoising_video", "sample_index")) == list("01234")
    assert {a.content_type for a in ctx.artifacts if a.schema_type == "denoising_video"} == {"video/mp4"}
    frames = list(zip(tags("denoising_frame", "sample_index"), tags("denoising_frame", "step"), strict=True))
    assert frames == [(index, step) for index in "0123" for step in "012"]
    assert set(tags("denoising_frame", "character")) == {"B"}


def test_metrics_are_live_events(tmp_path: Path, tiny_checkpoint: Path) -> None:
    ctx = context(tmp_path, tiny_checkpoint)
    infer(ctx)

    def count(name: str) -> int:
        return sum(point.name == f"infer/{name}" for point in ctx.points)

    assert {
        name: count(name) for name in ("latent_l2", "cumulative_l2", "l2_velocity", "pixel_delta")
    } == dict.fromkeys(("latent_l2", "cumulative_l2", "l2_velocity", "pixel_delta"), 5 * STEPS)
    assert count("schedule") == STEPS
    assert count("generation_time") == 5


def test_nothing_is_kept_where_nothing_is_asked_for(tmp_path: Path, tiny_checkpoint: Path) -> None:
    nothing = dict.fromkeys(("save_latents", "save_frames", "save_deltas", "save_video"), False)
    ctx = context(tmp_path, tiny_checkpoint)
    folder = infer(ctx, capture=nothing)

    assert {name.split("/")[0] for name in files(folder)} == {"metadata.json", "index.json", "parts", "metrics"}
    assert {a.schema_type for a in ctx.artifacts} == {"generated_sample", "inference_plot", "inference_dashboard"}


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(50, 6, [0, 10, 20, 29, 39, 49]), (6, 6, [0, 1, 2, 3, 4, 5]), (2, 6, [0, 1]), (1, 6, [0]), (1000, 2, [0, 999])],
)
def test_a_few_steps_are_spread_over_all(count: int, most: int, expected: list[int]) -> None:
    assert spread(count, most) == expected
