"""The block `infer`, on a tiny model and without a cluster."""

import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from diffrun_contracts.params import InferenceConfig
from diffrun_contracts.task import BlockTask, RunRef
from diffrun_worker.assignment import Assignment
from diffrun_worker.block import Shard
from diffrun_worker.blocks import infer
from diffrun_worker.blocks.infer import Infer
from diffrun_worker.errors import ErrorCode, PermanentError, Stopped
from diffrun_worker.evaluation import classifier
from diffrun_worker.evaluation.generated import find_images
from diffrun_worker.inference import Generation, plots
from diffrun_worker.runner import run_assignment
from diffrun_worker.stored_workspace import StoredWorkspace
from diffrun_worker.testing import RecordingContext
from diffrun_worker.workspace import Workspace

NOTHING = {"save_frames": False, "save_deltas": False, "save_video": False}


def params(**values: Any) -> InferenceConfig:
    return InferenceConfig.model_validate(
        {"character": "B", "total": 5, "batch_size": 2, "sampler": {"steps": 3}, "capture": NOTHING, **values}
    )


@pytest.fixture(autouse=True)
def no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing them takes longer than everything else here, and has tests of its own."""
    monkeypatch.setattr(plots, "render_all", lambda data, title: iter(()))
    monkeypatch.setattr(infer, "announce_charts", lambda ctx, finished, params: None)


@pytest.fixture
def workspace(tmp_path: Path, tiny_checkpoint: Path) -> Path:
    shutil.copytree(tiny_checkpoint, tmp_path / "models" / "tiny")
    return tmp_path


def context(workspace: Path, shard: Shard | None = None, seed: int = 5) -> RecordingContext:
    return RecordingContext(workspace, inputs={"model_path": "models/tiny"}, seed=seed, shard=shard or Shard())


def images(ctx: RecordingContext) -> dict[int, np.ndarray]:
    return {
        int(artifact.tags["sample_index"]): np.asarray(Image.open(io.BytesIO(ctx.data[artifact.id]))).astype(int)
        for artifact in ctx.artifacts
        if artifact.schema_type == "generated_sample"
    }


def assert_same(first: dict[int, np.ndarray], second: dict[int, np.ndarray], levels: int = 0) -> None:
    assert first.keys() == second.keys()
    for index, image in first.items():
        assert np.abs(image - second[index]).max() <= levels


def test_it_hands_over_each_sample_with_its_class_and_says_what_it_did(workspace: Path) -> None:
    ctx = context(workspace)
    outputs = Infer().run(params(), ctx)
    expected = {
        "model_path": "models/tiny",
        "character": "B",
        "samples": 5,
        "seed": 5,
        "sampler": "DDIM",
        "steps": 3,
        "guidance_scale": 7.5,
    }
    assert expected.items() <= dict(outputs).items()
    samples = [artifact for artifact in ctx.artifacts if artifact.schema_type == "generated_sample"]
    assert [artifact.tags for artifact in samples] == [
        {"phase": "infer", "character": "B", "sample_index": str(index)} for index in range(5)
    ]
    assert {(artifact.width, artifact.height) for artifact in samples} == {(8, 8)}
    assert len({image.tobytes() for image in images(ctx).values()}) == 5


def test_its_final_images_and_nothing_else_of_it_are_what_a_later_block_evaluates(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "_STEPS", 1)
    letters = params(sampler={"steps": 2}, capture={"save_deltas": False, "save_video": False})

    def run(block: str, values: dict[str, Any], inputs: Mapping[str, Any], shard: Shard) -> Mapping[str, Any]:
        task = BlockTask(run=RunRef(namespace="d", name="r", uid="u"), block=block, type=block, params=values, seed=5)
        assignment = Assignment(task=task, workspace=str(workspace), pod="p", shard=shard, inputs=inputs)
        result = run_assignment(assignment, signals=False).result
        assert result.error is None
        return result.outputs

    drawn = letters.model_dump(mode="json", by_alias=True, exclude_unset=True)
    parts = [run("infer", drawn, {"model_path": "models/tiny"}, Shard(index, 2)) for index in range(2)]
    assert {part["artifacts_path"] for part in parts} == {"runs/u/infer"}
    found = [np.asarray(Image.open(path)) for path in find_images(Workspace(str(workspace)), "runs/u/infer")]
    whole = context(workspace)
    Infer().run(letters, whole)
    assert_same(images(whole), {index: image.astype(int) for index, image in enumerate(found)}, levels=1)

    reference = {"data": {"digits": {}, "imageSize": 8}}
    measured = {"features": "classifier", "reference": reference, "generated": True}
    outputs = run("evaluate", measured, parts[0], Shard())
    said = {name: outputs.get(name) for name in ("n", "sampler", "model_path", "artifacts_path")}
    assert said == {"n": 5, "sampler": "DDIM", "model_path": "models/tiny", "artifacts_path": "runs/u/infer"}


def test_shards_that_meet_only_in_an_object_store_are_one_run(tmp_path: Path, tiny_checkpoint: Path) -> None:
    url = "memory://infer/x"
    store = StoredWorkspace(url, tmp_path)
    store.keep(shutil.copytree(tiny_checkpoint, store.place("models/tiny")), whole=True)
    drawn = params().model_dump(mode="json", by_alias=True, exclude_unset=True)
    task = BlockTask(
        run=RunRef(namespace="d", name="r", uid="u"), block="infer", type="infer", params=drawn, shards=2, seed=5
    )
    for index in range(2):
        shard, inputs = Shard(index, 2), {"model_path": "models/tiny"}
        assignment = Assignment(task=task, workspace=url, pod=f"p-{index}", shard=shard, inputs=inputs)
        result = run_assignment(assignment, signals=False).result
        assert result.error is None
    output = store.path(str(result.outputs["output"]))
    metadata = json.loads((output / "metadata.json").read_text())
    assert metadata["checkpoint"]["path"] == "models/tiny"
    assert metadata["samples"] == {"done": 5, "total": 5}


@pytest.mark.parametrize(
    ("asked", "pods", "used"),
    [(None, "cuda:0", "cuda:0"), ("cuda", "cuda:0", "cuda:0"), ("cpu", "cuda:0", "cpu"), ("cpu", "cpu", "cpu")],
)
def test_the_device_asked_for_is_the_pods_by_whatever_name(
    workspace: Path, asked: str | None, pods: str, used: str
) -> None:
    ctx = RecordingContext(workspace, device=pods)
    assert infer._device(params(env={"device": asked}), ctx) == used


@pytest.mark.parametrize(
    ("asked", "pods", "code", "words"),
    [
        (
            "cuda",
            "cpu",
            ErrorCode.GPU_NOT_AVAILABLE,
            "env.device: cuda is asked for, and this pod computes on cpu",
        ),
        ("cuda:1", "cuda:0", ErrorCode.INVALID_PARAMS, "env.device: cuda:1 is asked for, and the model is on cuda:0;"),
        ("gpu", "cuda:0", ErrorCode.INVALID_PARAMS, "env.device: 'gpu' is no device; give cpu or cuda:0"),
    ],
)
def test_a_device_that_the_pod_has_not_is_told_from_a_word_that_is_no_device(
    workspace: Path, asked: str, pods: str, code: ErrorCode, words: str
) -> None:
    with pytest.raises(PermanentError) as caught:
        infer._device(params(env={"device": asked}), RecordingContext(workspace, device=pods))
    assert caught.value.code == code
    assert caught.value.message.startswith(words)


def test_progress_counts_sample_steps_and_a_pause_is_looked_for_before_each_step(workspace: Path) -> None:
    ctx = context(workspace)
    Infer().run(params(), ctx)
    assert ctx.progressed == [(done, 15) for done in (2, 4, 6, 8, 10, 12, 13, 14, 15)]
    assert ctx.pause_checks >= 3 * 3


@pytest.mark.parametrize(("shards", "batch_size"), [(1, 5), (2, 1), (3, 4)])
def test_neither_shards_nor_batches_change_an_image(workspace: Path, shards: int, batch_size: int) -> None:
    exact = {"dtype": "float64", "drift": {"enabled": True}, "sampler": {"name": "DDPM", "steps": 3}}
    whole = context(workspace)
    Infer().run(params(**exact), whole)
    parts: dict[int, np.ndarray] = {}
    for index in range(shards):
        part = context(workspace, Shard(index, shards))
        Infer().run(params(**exact, batch_size=batch_size), part)
        assert not parts.keys() & images(part).keys()
        parts |= images(part)
    assert_same(images(whole), parts)


def test_a_seed_of_its_own_comes_before_the_runs(workspace: Path) -> None:
    own, runs, other = context(workspace, seed=1), context(workspace, seed=9), context(workspace, seed=1)
    Infer().run(params(seed=9), own)
    Infer().run(params(), runs)
    Infer().run(params(), other)
    assert_same(images(own), images(runs))
    assert np.abs(images(own)[0] - images(other)[0]).max() > 10


def test_a_stop_ends_it_between_two_steps(workspace: Path) -> None:
    ctx = context(workspace)

    def stop(checks_before: int) -> None:
        if checks_before == 2:
            raise Stopped

    ctx.on_check_pause = stop
    with pytest.raises(Stopped):
        Infer().run(params(), ctx)
    assert not images(ctx)


def test_running_out_of_gpu_memory_halves_the_batch_and_changes_nothing_else(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm, tight = context(workspace), context(workspace)
    Infer().run(params(batch_size=4), calm)
    draw = Generation.draw

    def small_gpu(self: Generation, indexes: range, *rest: Any, **named: Any) -> torch.Tensor:
        if len(indexes) > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return draw(self, indexes, *rest, **named)

    monkeypatch.setattr(Generation, "draw", small_gpu)
    Infer().run(params(batch_size=4), tight)
    assert_same(images(calm), images(tight), levels=1)


def test_code_of_the_users_runs_where_the_installation_allows_it(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "mine.py").write_text("def grey(x_t, **kwargs):\n    return 0.1 * x_t\n")
    force = {"force_stack": [{"name": "force_user_custom", "fn": "mine.py:grey"}]}
    monkeypatch.delenv("DIFFRUN_ALLOW_USER_CODE", raising=False)
    with pytest.raises(PermanentError) as caught:
        Infer().run(params(force=force), context(workspace))
    assert caught.value.code == ErrorCode.USER_CODE_FORBIDDEN
    monkeypatch.setenv("DIFFRUN_ALLOW_USER_CODE", "1")
    ctx = context(workspace)
    Infer().run(params(force=force), ctx)
    assert len(images(ctx)) == 5


def test_a_gpu_is_not_taken_for_granted(workspace: Path) -> None:
    with pytest.raises(PermanentError, match=r"env\.device: cuda:0 is asked for, and this pod computes on cpu"):
        Infer().run(params(env={"device": "cuda:0"}), context(workspace))
    Infer().run(params(total=1, env={"device": "cpu"}), context(workspace))


def test_an_unknown_class_is_answered_with_those_there_are(workspace: Path) -> None:
    with pytest.raises(PermanentError, match="no class 'k'; its classes are A, B, C") as caught:
        Infer().run(params(character="k"), context(workspace))
    assert caught.value.code == ErrorCode.UNKNOWN_CLASS


def test_without_a_model_the_error_names_the_field(workspace: Path) -> None:
    with pytest.raises(PermanentError, match="modelPath: not set"):
        Infer().run(params(), RecordingContext(workspace))
