"""Capture: which files a sample's way leaves, and that they never hold up or hide anything."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from diffrun_contracts.params.infer import CaptureConfig, FrameFormat, LatentFormat, VideoConfig
from diffrun_worker.errors import PermanentError
from diffrun_worker.inference import capture as capture_module
from diffrun_worker.inference import reels as module
from diffrun_worker.inference.capture import Capture
from diffrun_worker.inference.output import Names
from diffrun_worker.inference.result import FrameData
from diffrun_worker.inference.tensors import LATENT_KEY, LATENT_SUFFIX
from diffrun_worker.inference.video import VideoEncoder
from diffrun_worker.side import Lane

SHAPE = (1, 4, 4)
STEPS = 3
TIMESTEPS = (999, 666, 333)


def states(indexes: Sequence[int]) -> Tensor:
    """[STEPS + 1, N, C, H, W] in [-1, 1]: a way of each sample's own."""
    ways = []
    for index in indexes:
        generator = torch.Generator().manual_seed(index)
        ways.append(torch.rand((STEPS + 1, *SHAPE), generator=generator) * 2 - 1)
    return torch.stack(ways, dim=1)


def record(capture: Capture, indexes: Sequence[int], steps: int = STEPS) -> None:
    way = states(indexes)
    for step in range(steps):
        capture.record(
            FrameData(
                indexes=indexes,
                t=TIMESTEPS[step],
                t_index=step,
                total_steps=STEPS,
                previous=way[step],
                latent=way[step + 1],
                model_output=torch.zeros_like(way[0]),
                class_idx=0,
                null_class=1,
            )
        )


def make(folder: Path, total: int = 5, **kept: object) -> Capture:
    everything: dict[str, object] = {"save_latents": True, "save_video": False}
    config = CaptureConfig.model_validate(everything | kept)
    names = Names(total, STEPS, 1000, config.frame_format, LATENT_SUFFIX[config.latent_format])
    return Capture(folder, names, config, VideoConfig(), SHAPE)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_every_step_of_every_sample_leaves_its_files(tmp_path: Path) -> None:
    with make(tmp_path, save_video=True) as capture:
        record(capture, [0, 1])
        record(capture, [2])

    assert files(tmp_path) == sorted(
        [f"videos/v00{i}.mp4" for i in range(3)]
        + [f"frames/v00{i}_f000{step}.png" for i in range(3) for step in range(STEPS)]
        + [f"deltas/v00{i}_d000{step}.npy" for i in range(3) for step in range(1, STEPS)]
        + [f"latents/v00{i}_t0{t}.npy" for i in range(3) for t in TIMESTEPS]
    )


def test_frames_hold_the_state_after_each_step(tmp_path: Path) -> None:
    with make(tmp_path) as capture:
        record(capture, [3, 4])

    way = states([3, 4])
    expected = ((way[2, 1, 0] / 2 + 0.5) * 255).round().numpy().astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "frames" / "v004_f0001.png")), expected)


def test_the_first_latent_and_all_deltas_add_up_to_the_last_latent(tmp_path: Path) -> None:
    with make(tmp_path) as capture:
        record(capture, [0])

    latents = [np.load(tmp_path / "latents" / f"v000_t0{t}.npy") for t in TIMESTEPS]
    deltas = [np.load(tmp_path / "deltas" / f"v000_d000{step}.npy") for step in (1, 2)]
    assert latents[0].shape == SHAPE
    np.testing.assert_allclose(latents[0] + sum(deltas), latents[-1], atol=1e-6)
    np.testing.assert_array_equal(latents[-1], states([0])[-1, 0].numpy())


def test_pt_latents_are_safetensors_that_torch_users_load_without_a_pickle(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    with make(tmp_path, latent_format=LatentFormat.PT) as capture:
        record(capture, [0])

    loaded = load_file(tmp_path / "latents" / "v000_t0333.safetensors")
    assert torch.equal(loaded[LATENT_KEY], states([0])[-1, 0])


def test_jpg_frames_are_jpegs_of_the_same_picture(tmp_path: Path) -> None:
    with make(tmp_path, frame_format=FrameFormat.JPG) as capture:
        record(capture, [0])

    image = Image.open(tmp_path / "frames" / "v000_f0002.jpg")
    expected = (states([0])[-1, 0, 0] / 2 + 0.5) * 255
    assert image.format == "JPEG"
    np.testing.assert_allclose(np.asarray(image), expected.numpy(), atol=12)


@pytest.mark.parametrize("kept", ["save_frames", "save_deltas", "save_latents", "save_video"])
def test_only_what_is_asked_for_is_kept(tmp_path: Path, kept: str) -> None:
    nothing = dict.fromkeys(("save_frames", "save_deltas", "save_latents", "save_video"), False)
    with make(tmp_path, **(nothing | {kept: True})) as capture:
        record(capture, [0])

    assert {path.name for path in tmp_path.iterdir()} == {f"{kept.removeprefix('save_').removesuffix('s')}s"}


def test_nothing_is_written_where_nothing_is_asked_for(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("save_frames", "save_deltas", "save_latents", "save_video"), False)
    with make(tmp_path, **nothing) as capture:
        record(capture, [0])

    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_begins_again_in_halves_leaves_the_same_files(tmp_path: Path) -> None:
    with make(tmp_path / "whole", save_video=True) as capture:
        record(capture, [0, 1])
    with make(tmp_path / "halves", save_video=True) as capture:
        record(capture, [0, 1], steps=2)
        record(capture, [0])
        record(capture, [1])

    assert files(tmp_path / "halves") == files(tmp_path / "whole")
    for name in files(tmp_path / "whole"):
        if not name.startswith("videos"):
            assert (tmp_path / "halves" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.parametrize(("bound", "handed_over"), [(1, STEPS), (2**20, 1)], ids=["large steps", "small steps"])
def test_small_steps_are_handed_over_together_and_large_ones_as_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: int, handed_over: int
) -> None:
    monkeypatch.setattr(capture_module, "GATHER_BYTES", bound)
    put, jobs = Lane.put, []

    def noting(lane: Lane, job: Callable[[], None], size: int) -> None:
        jobs.append(size)
        put(lane, job, size)

    monkeypatch.setattr(Lane, "put", noting)
    with make(tmp_path) as capture:
        record(capture, [0, 1])
    assert len(jobs) == handed_over
    assert len(list((tmp_path / "frames").iterdir())) == 2 * STEPS


def test_steps_of_a_batch_that_was_left_are_written_all_the_same(tmp_path: Path) -> None:
    with make(tmp_path) as capture:
        record(capture, [0], steps=2)
    assert len(list((tmp_path / "frames").iterdir())) == 2


def test_whoever_asked_hears_of_videos_once_they_are_there(tmp_path: Path) -> None:
    heard: list[tuple[list[int], bool]] = []

    def on_videos(indexes: Sequence[int]) -> None:
        heard.append((list(indexes), all((tmp_path / "videos" / f"v00{i}.mp4").is_file() for i in indexes)))

    config = CaptureConfig(save_frames=False, save_deltas=False)
    with Capture(tmp_path, Names(5, STEPS), config, VideoConfig(), SHAPE, on_videos=on_videos) as capture:
        record(capture, [0, 1])
        record(capture, [2])

    assert [index for indexes, _ in heard for index in indexes] == [0, 1, 2]
    assert all(there for _, there in heard)


def test_a_full_disk_is_told_in_the_loop_and_on_leaving_and_leaves_no_half_file(tmp_path: Path) -> None:
    frame = tmp_path / "frames" / "v000_f0000.png"
    frame.parent.mkdir()
    frame.symlink_to("/dev/full")
    with pytest.raises(PermanentError, match=r"DiskFull.*v000_f0000\.png"), make(tmp_path) as capture:
        record(capture, [0])
    assert not frame.is_symlink()


def test_a_failed_video_ends_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = threading.Event()

    def fail(*_: object) -> None:
        failed.set()
        raise PermanentError("VideoFailed", "no")

    monkeypatch.setattr(VideoEncoder, "encode", fail)
    reached = []

    def loop() -> None:
        with make(tmp_path, save_video=True) as capture:
            record(capture, [0])
            failed.wait(10)
            for index in range(1, 1000):
                reached.append(index)
                record(capture, [index])

    with pytest.raises(PermanentError, match="VideoFailed"):
        loop()
    assert reached[-1] < 999


def test_a_batch_too_large_to_hold_its_video_is_refused_with_the_remedies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BATCH_BYTES", 2 * STEPS * 16)

    with make(tmp_path, save_video=True) as capture:
        record(capture, [0, 1])
    with pytest.raises(PermanentError, match=r"batchSize.*lower batchSize"), make(tmp_path, save_video=True) as capture:
        record(capture, [0, 1, 2])


def test_after_an_exception_nothing_more_is_written(tmp_path: Path) -> None:
    def loop() -> None:
        with make(tmp_path, save_video=True) as capture:
            record(capture, [0], steps=2)
            raise KeyError("the loop's own")

    with pytest.raises(KeyError, match="the loop's own"):
        loop()
    assert not (tmp_path / "videos" / "v000.mp4").exists()
