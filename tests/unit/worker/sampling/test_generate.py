"""The two blocks, on the trained digits and without a cluster."""

import io
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffrun_contracts import params as contract
from diffrun_contracts.params import Sampler, SamplerName
from diffrun_worker.block import Shard
from diffrun_worker.blocks import generate
from diffrun_worker.blocks.generate import GenerateFull, GeneratePreview
from diffrun_worker.errors import ErrorCode, PermanentError, Stopped
from diffrun_worker.testing import RecordingContext

FOUR_STEPS = Sampler(steps=4)


@pytest.fixture
def workspace(tmp_path: Path, trained: Path) -> Path:
    shutil.copytree(trained, tmp_path / "cache" / "digits")
    return tmp_path


@pytest.fixture
def ctx(workspace: Path) -> RecordingContext:
    return context(workspace)


def context(workspace: Path, shard: Shard | None = None, seed: int = 5) -> RecordingContext:
    return RecordingContext(workspace, inputs={"model_path": "cache/digits"}, seed=seed, shard=shard or Shard())


def images(ctx: RecordingContext) -> dict[int, np.ndarray]:
    return {
        int(artifact.tags["sample_index"]): np.asarray(Image.open(io.BytesIO(ctx.data[artifact.id]))).astype(int)
        for artifact in ctx.artifacts
    }


def assert_same_images(first: dict[int, np.ndarray], second: dict[int, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    for index, image in first.items():
        # 1e-4 before rounding may still fall on the other side of a half.
        assert np.abs(image - second[index]).max() <= 1


def test_a_preview_hands_over_its_samples_its_model_and_what_made_them(ctx: RecordingContext) -> None:
    outputs = GeneratePreview().run(contract.GeneratePreview(sampler=FOUR_STEPS), ctx)
    assert outputs == {
        "model_path": "cache/digits",
        "phase": "preview",
        "samples": 2,
        "sampler": "DDIM",
        "steps": 4,
        "nfe": 4,
        "artifacts_path": "runs/recorded/block",
    }
    assert [artifact.tags for artifact in ctx.artifacts] == [
        {"phase": "preview", "sample_index": "0"},
        {"phase": "preview", "sample_index": "1"},
    ]
    for artifact in ctx.artifacts:
        assert (artifact.schema_type, artifact.content_type) == ("generated_sample", "image/png")
        assert (artifact.width, artifact.height) == (16, 16)


def test_every_step_of_every_sample_has_its_three_metrics(ctx: RecordingContext) -> None:
    GeneratePreview().run(contract.GeneratePreview(samples=3, batch_size=2, sampler=FOUR_STEPS), ctx)
    assert Counter(point.name for point in ctx.points) == {
        "denoise/noise_level": 12,
        "denoise/predicted_noise_mse": 12,
        "denoise/snr": 12,
    }
    keys = {(point.name, point.labels["step"], point.labels["sample_index"]) for point in ctx.points}
    assert len(keys) == 36
    levels = [p.value for p in ctx.points if p.name == "denoise/noise_level" and p.labels["sample_index"] == 0]
    assert levels[0] > 0.99
    assert levels == sorted(levels, reverse=True)
    mse = [p.value for p in ctx.points if p.name == "denoise/predicted_noise_mse"]
    assert 0.3 < mse[0] < 2  # a trained model sees almost only noise at first, and noise has variance 1


def test_a_pause_is_looked_for_at_every_step_and_progress_counts_sample_steps(ctx: RecordingContext) -> None:
    GeneratePreview().run(contract.GeneratePreview(samples=3, batch_size=2, sampler=FOUR_STEPS), ctx)
    assert ctx.pause_checks == 2 * (4 + 1)
    assert ctx.progressed == [(done, 12) for done in (2, 4, 6, 8, 9, 10, 11, 12)]


def test_sample_i_of_a_full_batch_is_seeded_apart_from_the_preview(workspace: Path) -> None:
    full, same_seed = context(workspace, seed=5), context(workspace, seed=5 + 1000)
    GenerateFull().run(contract.GenerateFull(samples=2, sampler=FOUR_STEPS), full)
    GeneratePreview().run(contract.GeneratePreview(samples=2, sampler=FOUR_STEPS), same_seed)
    assert_same_images(images(full), images(same_seed))
    assert {artifact.tags["phase"] for artifact in full.artifacts} == {"full"}
    preview = context(workspace, seed=5)
    GeneratePreview().run(contract.GeneratePreview(samples=2, sampler=FOUR_STEPS), preview)
    assert np.abs(images(preview)[0] - images(full)[0]).max() > 20


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Callable[[Sampler], dict[int, np.ndarray]]:
    """What one pod makes of five samples with a sampler, made once."""
    workspace = tmp_path_factory.mktemp("whole")
    shutil.copytree(trained, workspace / "cache" / "digits")

    @cache
    def draw(sampler: str) -> dict[int, np.ndarray]:
        ctx, wanted = context(workspace), Sampler.model_validate_json(sampler)
        GenerateFull().run(contract.GenerateFull(samples=5, batch_size=3, sampler=wanted), ctx)
        return images(ctx)

    return lambda sampler: draw(sampler.model_dump_json(by_alias=True))


@pytest.mark.parametrize("sampler", [FOUR_STEPS, Sampler(name=SamplerName.DDPM, steps=4)], ids=["DDIM", "DDPM"])
@pytest.mark.parametrize(("shards", "batch_size"), [(1, 1), (1, 5), (2, 2), (3, 4)])
def test_neither_shards_nor_batches_change_an_image(
    workspace: Path,
    whole: Callable[[Sampler], dict[int, np.ndarray]],
    shards: int,
    batch_size: int,
    sampler: Sampler,
) -> None:
    parts: dict[int, np.ndarray] = {}
    for index in range(shards):
        part = context(workspace, Shard(index, shards))
        GenerateFull().run(contract.GenerateFull(samples=5, batch_size=batch_size, sampler=sampler), part)
        assert not parts.keys() & images(part).keys()
        parts |= images(part)
    assert_same_images(whole(sampler), parts)
    assert len({image.tobytes() for image in parts.values()}) == 5  # each from a seed of its own


def test_a_model_path_of_the_block_itself_comes_first(ctx: RecordingContext) -> None:
    ctx.inputs = {"model_path": "cache/nothing"}
    params = contract.GeneratePreview(model_path="cache/digits", sampler=FOUR_STEPS)
    assert GeneratePreview().run(params, ctx)["model_path"] == "cache/digits"


def test_without_a_model_the_error_names_the_field_and_the_remedy(workspace: Path) -> None:
    ctx = RecordingContext(workspace)
    with pytest.raises(PermanentError) as caught:
        GeneratePreview().run(contract.GeneratePreview(), ctx)
    assert caught.value.code == ErrorCode.MISSING_INPUT
    assert caught.value.message.startswith("modelPath: not set")
    assert "put a downloadCheckpoint block before it" in caught.value.message


def test_a_model_outside_the_workspace_is_refused(ctx: RecordingContext) -> None:
    ctx.inputs = {"model_path": "../elsewhere"}
    with pytest.raises(PermanentError) as caught:
        GeneratePreview().run(contract.GeneratePreview(), ctx)
    assert caught.value.code == ErrorCode.PATH_OUTSIDE_WORKSPACE


def test_a_seed_offset_that_would_repeat_the_preview_is_refused(ctx: RecordingContext) -> None:
    ctx.inputs = {"model_path": "cache/digits", "phase": "preview", "samples": 8}
    with pytest.raises(PermanentError, match="seedOffset: 7 would draw images of the preview again; give at least 8"):
        GenerateFull().run(contract.GenerateFull(seed_offset=7), ctx)
    GenerateFull().run(contract.GenerateFull(seed_offset=8, samples=1, sampler=FOUR_STEPS), ctx)


def stop_at(check: int):  # type: ignore[no-untyped-def]
    def act(checks_before: int) -> None:
        if checks_before == check:
            raise Stopped

    return act


def test_a_stop_ends_the_loop_between_two_steps_and_leaves_no_thread(ctx: RecordingContext) -> None:
    ctx.on_check_pause = stop_at(3)
    with pytest.raises(Stopped):
        GeneratePreview().run(contract.GeneratePreview(samples=4, batch_size=2, sampler=FOUR_STEPS), ctx)
    assert ctx.pause_checks == 3
    assert ctx.artifacts == []
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("metrics", "encode", "save"))]


def test_running_out_of_gpu_memory_halves_the_batch_and_changes_nothing_else(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm, tight = context(workspace), context(workspace)
    params = contract.GenerateFull(samples=5, batch_size=4, sampler=FOUR_STEPS)
    GenerateFull().run(params, calm)
    original = generate.denoise

    def small_gpu(model, schedule, generators, on_step):  # type: ignore[no-untyped-def]
        if len(generators) > 2:
            on_step(0, torch.zeros(len(generators), *model.shape), torch.zeros(len(generators), *model.shape))
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return original(model, schedule, generators, on_step)

    monkeypatch.setattr(generate, "denoise", small_gpu)
    GenerateFull().run(params, tight)
    assert_same_images(images(calm), images(tight))
    done = [done for done, _ in tight.progressed]
    assert done == sorted(done)
    assert done[-1] == 20


def test_what_writing_an_image_meets_with_fails_the_block(
    ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*args: object, **kwargs: object) -> None:
        raise PermanentError(ErrorCode.DISK_FULL, "no room")

    monkeypatch.setattr(ctx, "artifact_batch", no_room)
    with pytest.raises(PermanentError, match="no room"):
        GeneratePreview().run(contract.GeneratePreview(sampler=FOUR_STEPS), ctx)
