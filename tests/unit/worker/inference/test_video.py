"""Videos: what ffmpeg makes of raw frames, and what is said where it cannot."""

import stat
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from diffrun_worker.errors import PermanentError
from diffrun_worker.inference.video import MIN_SIDE, Geometry, VideoEncoder, find_ffmpeg


@pytest.fixture(autouse=True)
def forget_ffmpeg() -> None:
    find_ffmpeg.cache_clear()


def decode(path: Path, side: int) -> NDArray[np.uint8]:
    """The frames of a square video, uint8 [T, side, side, 3]."""
    command = [find_ffmpeg(), "-loglevel", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, side, side, 3)


def frames_of(values: NDArray[np.uint8], height: int, width: int, channels: int) -> NDArray[np.uint8]:
    """[N, T] grey values as plain frames [N, T, H, W, C]."""
    return np.ascontiguousarray(
        np.broadcast_to(values[:, :, None, None, None], (*values.shape, height, width, channels))
    ).astype(np.uint8)


@pytest.mark.parametrize(
    ("height", "width", "scale"),
    [(16, 16, 4), (28, 28, 3), (32, 32, 2), (64, 64, 1), (64, 256, 1), (256, 256, 1), (257, 256, 2), (7, 7, 10)],
)
def test_small_and_odd_images_are_enlarged_to_a_size_that_plays(height: int, width: int, scale: int) -> None:
    geometry = Geometry(height, width, 1)

    assert geometry.scale == scale
    assert height * scale % 2 == width * scale % 2 == 0
    assert min(height, width) * scale >= MIN_SIDE


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "rgb"])
def test_each_sample_of_a_batch_gets_a_video_of_its_own_frames(tmp_path: Path, channels: int) -> None:
    values = np.array([[0, 60, 120], [200, 220, 255]], np.uint8)
    encoder = VideoEncoder(tmp_path, Geometry(16, 16, channels), fps=30)

    encoder.encode(frames_of(values, 16, 16, channels), ["v000.mp4", "v001.mp4"])

    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["v000.mp4", "v001.mp4"]
    for row, name in enumerate(["v000.mp4", "v001.mp4"]):
        video = decode(tmp_path / name, 64)
        assert video.shape == (3, 64, 64, 3)
        np.testing.assert_allclose(video.mean(axis=(1, 2, 3)), values[row], atol=3)


def test_pixels_are_repeated_and_not_smoothed(tmp_path: Path) -> None:
    checkers = (np.indices((16, 16)).sum(axis=0) % 2 * 255).astype(np.uint8)
    frames = np.ascontiguousarray(np.broadcast_to(checkers[None, None, :, :, None], (1, 2, 16, 16, 1)))

    VideoEncoder(tmp_path, Geometry(16, 16, 1), fps=10).encode(frames, ["v000.mp4"])

    last = decode(tmp_path / "v000.mp4", 64)[-1, :, :, 0]
    np.testing.assert_allclose(last, np.kron(checkers, np.ones((4, 4))), atol=25)


def test_a_video_is_h264_in_yuv420p_at_the_asked_frame_rate(tmp_path: Path) -> None:
    values = np.zeros((1, 5), np.uint8)
    VideoEncoder(tmp_path, Geometry(28, 28, 1), fps=7).encode(frames_of(values, 28, 28, 1), ["v.mp4"])

    probe = subprocess.run([find_ffmpeg(), "-i", str(tmp_path / "v.mp4")], capture_output=True, text=True, check=False)
    assert "Video: h264" in probe.stderr
    assert "yuv420p" in probe.stderr
    assert "84x84" in probe.stderr
    assert "7 fps" in probe.stderr
    assert "Duration: 00:00:00.71" in probe.stderr  # 5 frames of 1/7 s


def test_a_single_frame_makes_a_video(tmp_path: Path) -> None:
    values = np.array([[10], [200], [90]], np.uint8)
    VideoEncoder(tmp_path, Geometry(8, 8, 1), fps=240).encode(frames_of(values, 8, 8, 1), ["a.mp4", "b.mp4", "c.mp4"])

    assert [len(decode(tmp_path / name, 64)) for name in ("a.mp4", "b.mp4", "c.mp4")] == [1, 1, 1]


def test_an_ffmpeg_that_is_not_there_is_named_with_the_remedies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "nowhere"))

    with pytest.raises(PermanentError, match=r"FfmpegMissing.*nowhere.*IMAGEIO_FFMPEG_EXE.*--no-video"):
        VideoEncoder(tmp_path, Geometry(8, 8, 1), fps=30)


def fake_ffmpeg(tmp_path: Path, script: str) -> Path:
    path = tmp_path / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_an_ffmpeg_without_the_h264_encoder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(fake_ffmpeg(tmp_path, "echo ' V..... mpeg4 MPEG-4 part 2'")))

    with pytest.raises(PermanentError, match="without libx264"):
        VideoEncoder(tmp_path, Geometry(8, 8, 1), fps=30)


HALFWAY = """
case "$*" in *-encoders*) echo ' V..... libx264 H.264'; exit 0;; esac
for last; do :; done
printf half > "$(dirname "$last")/000000000.mp4"
echo '{words}' >&2
exit 1
"""


@pytest.mark.parametrize(
    ("words", "error"),
    [("Conversion failed!", "VideoFailed.*Conversion failed"), ("No space left on device", "DiskFull: no room")],
    ids=["broken", "disk full"],
)
def test_an_ffmpeg_that_fails_halfway_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, error: str
) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(fake_ffmpeg(tmp_path, HALFWAY.format(words=words))))
    folder = tmp_path / "videos"
    encoder = VideoEncoder(folder, Geometry(8, 8, 1), fps=30)

    with pytest.raises(PermanentError, match=error):
        encoder.encode(np.zeros((2, 3, 8, 8, 1), np.uint8), ["v000.mp4", "v001.mp4"])

    assert list(folder.iterdir()) == []


def test_an_ffmpeg_that_makes_too_few_videos_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = HALFWAY.format(words="").replace("exit 1", "cat > /dev/null; exit 0")
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(fake_ffmpeg(tmp_path, script)))
    encoder = VideoEncoder(tmp_path / "videos", Geometry(8, 8, 1), fps=30)

    with pytest.raises(PermanentError, match="1 files for 2 videos"):
        encoder.encode(np.zeros((2, 3, 8, 8, 1), np.uint8), ["v000.mp4", "v001.mp4"])

    assert list((tmp_path / "videos").iterdir()) == []


def test_leftovers_of_a_killed_encoder_do_not_become_videos(tmp_path: Path) -> None:
    (tmp_path / ".encoding").mkdir()
    (tmp_path / ".encoding" / "000000007.mp4").write_bytes(b"torn")

    VideoEncoder(tmp_path, Geometry(8, 8, 1), fps=30).encode(np.zeros((1, 3, 8, 8, 1), np.uint8), ["v000.mp4"])

    assert [entry.name for entry in tmp_path.iterdir()] == ["v000.mp4"]
