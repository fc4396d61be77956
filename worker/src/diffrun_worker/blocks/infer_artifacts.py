"""What the pages show of an inference: each sample's video, a few frames of the first samples, the run's charts.

The files themselves lie in the block's output tree; an artifact is what of them is announced.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath

from diffrun_contracts.params.infer import FrameFormat, InferenceConfig
from diffrun_worker.block import BlockContext, NewFile
from diffrun_worker.inference.loop import Generation
from diffrun_worker.inference.output import DASHBOARD
from diffrun_worker.inference.recorder import Finished, Recorder, ShardOfRun
from diffrun_worker.inference.video import Geometry
from diffrun_worker.sampling.images import PNG

VIDEO = "denoising_video"
FRAME = "denoising_frame"
PLOT = "inference_plot"
DASHBOARD_TYPE = "inference_dashboard"
MP4 = "video/mp4"
JPEG = "image/jpeg"

OUTPUT = "output"
"""The output tree's folder in the block's own."""
FRAME_SAMPLES = 4
"""The run's first samples, whose frames are announced."""
FRAMES_EACH = 6
"""Frames of each, evenly spread, the last among them."""


def recorder_for(ctx: BlockContext, generation: Generation, config: InferenceConfig, device: str) -> Recorder:
    """What records this pod's shard, and announces its videos as they come.

    Raises PermanentError: what `Recorder` raises.
    """
    directory = PurePosixPath(ctx.directory)
    of_run = ShardOfRun(directory.parent.name, ctx.shard.index, ctx.shard.count)  # a run's folder is named by its UID

    def on_videos(indexes: Sequence[int]) -> None:
        videos = ((index, recorder.folder / recorder.names.video(index)) for index in indexes)
        ctx.artifact_batch([NewFile(path.read_bytes(), VIDEO, MP4, _tags(config, i), *size) for i, path in videos])

    channels, height, width = generation.ckpt_info.shape
    geometry = Geometry(height, width, channels)
    size = (geometry.video_width, geometry.video_height)
    output = ctx.workspace.place(str(directory / OUTPUT))
    recorder = Recorder(
        output, generation, config, device, of_run,
        publish_points=ctx.metrics, on_videos=on_videos, workspace=ctx.workspace,
    )  # fmt: skip
    return recorder


def announce_frames(
    ctx: BlockContext, recorder: Recorder, generation: Generation, config: InferenceConfig, indexes: range
) -> None:
    """Frames of the run's first samples, as far as they are among this shard's `indexes` and frames are kept."""
    if not config.capture.save_frames:
        return
    timesteps = generation.timesteps
    _, height, width = generation.ckpt_info.shape
    content_type = PNG if config.capture.frame_format is FrameFormat.PNG else JPEG
    files = []
    for index in indexes:
        if index >= FRAME_SAMPLES:
            break
        for step in spread(len(timesteps), FRAMES_EACH):
            data = (recorder.folder / recorder.names.frame(index, step)).read_bytes()
            tags = {**_tags(config, index), "step": str(step), "timestep": str(timesteps[step])}
            files.append(NewFile(data, FRAME, content_type, tags, width, height))
    if files:
        ctx.artifact_batch(files)


def announce_charts(ctx: BlockContext, finished: Finished, config: InferenceConfig) -> None:
    """The dashboard and the charts of the whole run, where this shard has completed it."""
    tags = {"phase": "infer", "character": config.character}
    files = []
    for name, png in finished.charts.items():
        schema_type = DASHBOARD_TYPE if name == DASHBOARD else PLOT
        files.append(NewFile(png, schema_type, PNG, {**tags, "plot": name}))
    if files:
        ctx.artifact_batch(files)


def spread(count: int, most: int) -> list[int]:
    """At most `most` of the numbers 0…count − 1, evenly spread, the first and the last among them, ascending."""
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]


def _tags(config: InferenceConfig, index: int) -> dict[str, str]:
    return {"phase": "infer", "character": config.character, "sample_index": str(index)}
