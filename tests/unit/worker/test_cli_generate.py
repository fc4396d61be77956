"""The command `generate` draws what the block draws, into one folder."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from diffrun_contracts.params import GenerateFull, Sampler, SamplerName
from diffrun_contracts.params.train import ModelName
from diffrun_worker import cli
from diffrun_worker.blocks.generate import generate
from diffrun_worker.diffusion.process import GaussianDiffusion
from diffrun_worker.models import build_model
from diffrun_worker.models.store import save_model
from diffrun_worker.testing import RecordingContext

UNET: dict[str, Any] = {
    "block_out_channels": [4, 8],
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "down_block_types": ["DownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "UpBlock2D"],
    "add_attention": False,
}


@pytest.fixture(autouse=True)
def signals_restored() -> Any:
    import signal

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that a training has left, of ten training timesteps."""
    folder = tmp_path / "checkpoints" / "model"
    network = build_model(ModelName.UNET2D, config=UNET, channels=1, image_size=8)
    save_model(folder, network, GaussianDiffusion(10, "linear", 1e-3, 0.5).scheduler_config())
    return folder


def pixels(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).tobytes()


def test_images_are_those_of_the_block_with_the_same_seeds(model: Path, tmp_path: Path) -> None:
    output = tmp_path / "samples"
    code = cli.main([
        "generate", "--checkpoint", str(model), "--num", "3", "--ddim-steps", "4", "--seed", "7",
        "--batch-size", "2", "--device", "cpu", "--output", str(output),
    ])  # fmt: skip
    assert code == 0
    ctx = RecordingContext(tmp_path)
    sampler = Sampler(name=SamplerName.DDIM, steps=4)
    params = GenerateFull(samples=3, batch_size=3, sampler=sampler, model_path="checkpoints/model")
    generate(params, ctx, phase="full", first_seed=7)
    expected = [pixels(ctx.data[artifact.id]) for artifact in ctx.artifacts]
    assert [path.name for path in sorted(output.iterdir())] == ["000000.png", "000001.png", "000002.png"]
    assert [pixels(path.read_bytes()) for path in sorted(output.iterdir())] == expected


def test_ddpm_takes_every_training_step(model: Path, tmp_path: Path) -> None:
    assert cli.main([
        "generate", "--checkpoint", str(model.parent), "--num", "1", "--sampler", "ddpm",
        "--device", "cpu", "--output", str(tmp_path / "samples"),
    ]) == 0  # fmt: skip
    ctx = RecordingContext(tmp_path)
    params = GenerateFull(samples=1, sampler=Sampler(name=SamplerName.DDPM, steps=10), model_path="checkpoints/model")
    generate(params, ctx, phase="full", first_seed=0)
    assert pixels((tmp_path / "samples/000000.png").read_bytes()) == pixels(ctx.data["artifact-0"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--checkpoint", "nowhere"], "ModelNotFound: --checkpoint: nowhere holds no model"),
        (["--ddim-steps", "11"], "sampler.steps: DDIM takes 1 to 10 steps with this model; got 11"),
        (["--num", "0"], "samples: Input should be greater than or equal to 1 (got 0)"),
    ],
    ids=["no model", "too many steps", "no images"],
)
def test_what_cannot_be_drawn_is_told(
    model: Path, tmp_path: Path, arguments: list[str], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    common = ["--checkpoint", str(model), "--device", "cpu", "--output", str(tmp_path / "samples")]
    assert cli.main(["generate", *common, *arguments]) == 64
    assert message in caplog.text
