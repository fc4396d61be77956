"""`diffrun-worker infer` and `convert`: whole runs of both, and what ends them."""

import json
import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DModel

from diffrun_contracts import names
from diffrun_worker import cli
from diffrun_worker.inference import plots


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No charts, no variables of whatever started the tests, and signals as they were."""
    monkeypatch.setattr(plots, "render_all", lambda *_: iter(()))
    for name in ("JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_ID", "SLURM_PROCID", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def infer(checkpoint: Path, output: Path, *arguments: str) -> int:
    places = ["--checkpoint", str(checkpoint), "--output-dir", str(output), "--device", "cpu"]
    little = ["--total-videos", "3", "--num-inference-steps", "2", "--no-video"]
    return cli.main(["infer", "--character", "B", "--seed", "5", *places, *little, *arguments])


def test_a_run_by_hand_leaves_the_documented_tree(
    tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert infer(tiny_checkpoint, tmp_path / "out", "--save-latents") == 0

    folder = tmp_path / "out" / "B"
    assert {path.name for path in folder.iterdir()} == {
        "deltas", "frames", "index.json", "latents", "metadata.json", "metrics", "parts",
    }  # fmt: skip
    assert len(list((folder / "frames").iterdir())) == 3 * 2
    assert len(json.loads((folder / "index.json").read_text())["samples"]) == 3
    assert "3 of 3 samples" in capsys.readouterr().out


def test_processes_by_hand_make_what_one_makes(tmp_path: Path, tiny_checkpoint: Path) -> None:
    infer(tiny_checkpoint, tmp_path / "one")
    for rank in ("1", "0"):
        assert infer(tiny_checkpoint, tmp_path / "two", "--rank", rank, "--world-size", "2") == 0

    def frames(output: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (tmp_path / output / "B" / "frames").iterdir()}

    assert frames("two") == frames("one")
    index = json.loads((tmp_path / "two" / "B" / "index.json").read_text())
    assert index["complete"] is True
    assert len(index["samples"]) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--character", "Z"], ["character", "'Z'", "A, B, C"]),
        (["--preset", "vanish"], ["vanish", "crystallize"]),
        (["--drift", "drift_away"], ["drift_away", "drift_clamp"]),
        (["--force-stack", '[{"name": "force_away"}]'], ["force_away", "force_attract_class"]),
        (["--rank", "3", "--world-size", "3"], ["--rank", "0 to 2"]),
        (["--checkpoint", "nowhere"], ["nowhere"]),
    ],
    ids=["class", "preset", "drift", "force", "rank", "checkpoint"],
)
def test_what_is_wrong_is_named_with_what_would_be_right_and_ends_with_the_users_exit_code(
    tmp_path: Path, tiny_checkpoint: Path, arguments: list[str], words: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        code = infer(tiny_checkpoint, tmp_path / "out", *arguments)

    assert code == names.EXIT_PERMANENT
    for word in words:
        assert word in caplog.text
    assert not (tmp_path / "out" / "B" / "index.json").exists()


def test_an_output_directory_that_cannot_be_made_is_named(
    tmp_path: Path, tiny_checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.ERROR):
        assert infer(tiny_checkpoint, tmp_path / "file" / "out") == names.EXIT_PERMANENT
    assert f"output_dir: {tmp_path / 'file' / 'out'} cannot be made (Not a directory); name another" in caplog.text


USER_FORCE = """
import torch

def force(model_output, **kwargs):
    return torch.zeros_like(model_output)
"""


def test_a_users_file_runs_only_where_it_is_allowed(
    tmp_path: Path, tiny_checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mine.py").write_text(USER_FORCE)
    stack = json.dumps([{"name": "force_user_custom", "fn": f"{tmp_path / 'mine.py'}:force"}])

    with caplog.at_level(logging.ERROR):
        assert infer(tiny_checkpoint, tmp_path / "out", "--force-stack", stack) == names.EXIT_PERMANENT
    assert "--allow-user-code" in caplog.text
    assert infer(tiny_checkpoint, tmp_path / "out", "--force-stack", stack, "--allow-user-code") == 0


def test_the_command_line_starts_without_torch() -> None:
    import subprocess
    import sys

    code = "import sys, diffrun_worker.cli; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def saved(folder: Path, tiny_checkpoint: Path) -> tuple[Path, UNet2DModel]:
    """The tiny checkpoint's weights in a `.pt`, and its network."""
    unet = UNet2DModel.from_pretrained(tiny_checkpoint)
    path = folder / "model.pt"
    torch.save({"model": unet.state_dict(), "classes": ["A", "B", "C"], "epoch": 3}, path)
    return path, unet


def test_a_converted_file_is_a_checkpoint_that_infer_takes(tmp_path: Path, tiny_checkpoint: Path) -> None:
    path, unet = saved(tmp_path, tiny_checkpoint)

    code = cli.main(
        ["convert", str(path), "--output", str(tmp_path / "made"), "--config", str(tiny_checkpoint / "config.json")]
    )

    assert code == 0
    made = UNet2DModel.from_pretrained(tmp_path / "made")
    for name, tensor in unet.state_dict().items():
        assert torch.equal(made.state_dict()[name], tensor)
    assert infer(tmp_path / "made", tmp_path / "out", "--total-videos", "1") == 0


def test_a_pod_converts_nothing(
    tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, _ = saved(tmp_path, tiny_checkpoint)
    monkeypatch.setattr(names, "POD_INFO_DIR", str(tmp_path))

    with caplog.at_level(logging.ERROR):
        assert cli.main(["convert", str(path), "--output", str(tmp_path / "made")]) == names.EXIT_PERMANENT
    assert "no pickles" in caplog.text
    assert not (tmp_path / "made").exists()
