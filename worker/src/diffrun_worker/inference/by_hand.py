"""An inference without a run: the block's own work, with a terminal where a pod has its journal."""

from pathlib import Path

from diffrun_worker.block import Shard
from diffrun_worker.blocks.infer import ShardInference
from diffrun_worker.blocks.preparation import configure_torch
from diffrun_worker.commands.folder import FolderContext
from diffrun_worker.commands.local import gpus_of
from diffrun_worker.device import pick_device, require_device
from diffrun_worker.errors import invalid_params
from diffrun_worker.inference.config import InferenceConfig
from diffrun_worker.inference.dashboard import make_display
from diffrun_worker.inference.display import Display
from diffrun_worker.inference.loading import load_checkpoint, load_model_of, scheduler_for
from diffrun_worker.inference.loop import Generation
from diffrun_worker.inference.recorder import Finished, Recorder, ShardOfRun
from diffrun_worker.inference.user_code import UserCode
from diffrun_worker.sampling.batching import run_batches, shard_indexes
from diffrun_worker.sampling.images import ImageWriter


def draw_by_hand(config: InferenceConfig, shard: Shard, *, run_id: str, allow_user_code: bool = False) -> Finished:
    """Draws a shard's samples into `config.output_dir`, shown on the terminal.

    Computes on `config.env.device`, by default on a GPU where there is one.
    Raises PermanentError: what `load_checkpoint`, `load_model_of`, `Generation` and `Recorder` raise,
    `InvalidParams` for an `output_dir` that is no folder, `GpuNotAvailable`, `CudaOutOfMemory`, `NonFiniteSample`;
    Stopped after Ctrl-C or SIGTERM.
    """
    checkpoint, device = config.checkpoint_path or config.model_path, _device(config.env.device)
    if checkpoint is None:
        raise invalid_params("checkpoint_path: the folder of a class-conditional model")
    configure_torch(device)
    ckpt = load_checkpoint(checkpoint)
    code = UserCode(allowed=True) if allow_user_code else UserCode.from_environment(Path.cwd())
    model = load_model_of(ckpt, device, config.dtype)
    generation = Generation(model, scheduler_for(ckpt, config), config, ckpt, user_code=code)
    output = _output(config.output_dir)
    indexes = shard_indexes(config.total, shard.index, shard.count)
    display = make_display(len(indexes), f"{config.character}, {len(generation.timesteps)} steps", device)
    recorder = Recorder(
        output,
        generation,
        config,
        device,
        ShardOfRun(run_id, shard.index, shard.count),
        publish_points=display.points,
        on_sample=display.sample,
    )
    ctx = _Hand(output, device, display)
    # Samples are in the output tree already; the writer is what refuses one that is not finite.
    with display, ImageWriter(lambda _images: None) as writer, recorder:
        run_batches(indexes, config.batch_size, ShardInference(generation, ctx, writer, indexes, [recorder]).draw)
    return recorder.finish()


def _output(asked: str) -> Path:
    """The folder for the files, made. Raises PermanentError `InvalidParams`."""
    folder = Path(asked)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise invalid_params(f"output_dir: {folder} cannot be made ({error.strerror}); name another folder") from error
    return folder


def _device(asked: str | None) -> str:
    """The device of a run by hand. Raises PermanentError: `InvalidParams`, `GpuNotAvailable`."""
    device = asked or pick_device(gpus_of("auto"))
    if device.startswith("cuda"):
        pick_device(1)
    require_device(asked, device, "")
    return device


class _Hand(FolderContext):
    """A context whose progress is shown on the terminal."""

    def __init__(self, output: Path, device: str, display: Display) -> None:
        super().__init__(output, output, device)
        self._display = display

    def progress(self, done: int, total: int) -> None:
        """Shows it."""
        self._display.progress(done, total)
