"""`diffrun-worker infer`: class-conditional samples without a cluster, into the same output tree.

The guidance scale is 7.5; with a preset it is 0 unless it is given, since a preset brings its own attraction.
"""

import argparse
import json
import os
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from diffrun_contracts.params import DType, SamplerName
from diffrun_contracts.params.infer import FrameFormat, LatentFormat
from diffrun_worker.block import Shard
from diffrun_worker.commands import Subparsers
from diffrun_worker.commands.sharding import find_shard
from diffrun_worker.errors import BlockError, Stopped, invalid_params
from diffrun_worker.runner import failed

if TYPE_CHECKING:  # the package imports torch
    from diffrun_worker.inference.config import InferenceConfig

_SAMPLERS = {"ddim": SamplerName.DDIM, "ddpm": SamplerName.DDPM}
_DEVICES = {"auto": None, "cpu": "cpu", "cuda": "cuda:0"}
_JOB_IDS = ("SLURM_ARRAY_JOB_ID", "SLURM_JOB_ID")


def add(subparsers: Subparsers) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "infer", help="draw samples of a class: guidance, forces, drifts, with videos and metrics"
    )
    parser.add_argument("--checkpoint", required=True, metavar="PATH", help="a model's folder, or a folder of such")
    parser.add_argument("--character", required=True, metavar="CHAR", help="the target class")
    _add_generation(parser)
    _add_output(parser)
    _add_forces(parser)
    _add_distribution(parser)
    parser.set_defaults(command=run)


def _add_generation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("generation")
    group.add_argument("--total-videos", type=int, default=100, metavar="N", help="samples (100)")
    group.add_argument("--num-inference-steps", type=int, default=50, metavar="N", help="denoising steps (50)")
    group.add_argument("--guidance-scale", type=float, metavar="F", help="of guidance (7.5; with --preset 0)")
    group.add_argument("--seed", type=int, metavar="N", help="sample i is seeded N + i (random)")
    group.add_argument("--sampler", choices=sorted(_SAMPLERS), default="ddim", help="the scheduler (ddim)")
    group.add_argument("--batch-size", type=int, default=16, metavar="N", help="samples at once (16); no image changes")
    group.add_argument("--dtype", choices=[str(one) for one in DType], default="float32", help="of the network")
    group.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto: a GPU if there is one")


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("--output-dir", default="output", metavar="PATH", help="output directory (output)")
    group.add_argument("--save-latents", action="store_true", help="save the state of every step")
    group.add_argument("--save-video", action="store_true", default=True, help="encode MP4 videos (the default)")
    group.add_argument("--no-video", action="store_false", dest="save_video", help="encode no videos")
    group.add_argument("--no-frames", action="store_false", dest="save_frames", help="save no image of every step")
    group.add_argument("--no-deltas", action="store_false", dest="save_deltas", help="save no differences of steps")
    group.add_argument("--fps", type=int, default=30, metavar="N", help="the videos' frames a second (30)")
    group.add_argument(
        "--latent-format",
        choices=[str(one) for one in LatentFormat],
        default="npy",
        help="of saved latents: npy, or pt for safetensors that torch users load without a pickle (npy)",
    )
    group.add_argument(
        "--frame-format",
        choices=[str(one) for one in FrameFormat],
        default="png",
        help="of saved frames: png without loss, or jpg, which is smaller (png)",
    )


def _add_forces(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("forces and drift")
    group.add_argument("--preset", metavar="NAME", help="a preset force stack")
    group.add_argument("--preset-args", metavar="JSON", help="its arguments, an object")
    group.add_argument("--force-stack", metavar="JSON", help="forces, a list of objects with name and parameters")
    group.add_argument("--drift", metavar="NAME", help="a drift")
    group.add_argument("--drift-scale", type=float, metavar="F", help="its magnitude (1.0)")
    group.add_argument("--allow-user-code", action="store_true", help="let force_user_custom and its like run a file")


def _add_distribution(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("distribution")
    group.add_argument("--distributed", action="store_true", help="take rank and world size from pod or SLURM array")
    group.add_argument("--rank", type=int, metavar="N", help="which process this is, from 0")
    group.add_argument("--world-size", type=int, metavar="N", help="how many processes share the samples")


def run(options: argparse.Namespace) -> int:
    """Draws this process's samples and returns the exit code."""
    try:
        shard = find_shard(options.distributed, options.rank, options.world_size, os.environ)
        config = configuration(options, shard)
        from diffrun_worker.inference.by_hand import draw_by_hand  # torch is imported once it is needed

        finished = draw_by_hand(
            config,
            shard,
            run_id=run_id_of(config.to_dict(), shard, os.environ),
            allow_user_code=options.allow_user_code,
        )
    except BlockError as error:
        return failed(error).exit_code
    except Stopped as stopped:
        return stopped.exit_code
    samples = finished.merged.metadata["samples"]
    print(f"done: {samples['done']} of {samples['total']} samples in {finished.folder}")
    return 0


def configuration(options: argparse.Namespace, shard: Shard) -> "InferenceConfig":
    """The configuration that the options mean, with a seed.

    Raises PermanentError `InvalidParams` naming the option, or the configuration's own field.
    """
    from diffrun_worker.inference.config import InferenceConfig, with_seed

    if options.seed is None and shard.count > 1:
        raise invalid_params(f"--seed: {shard.count} processes share this run; give all of them the same seed")
    if options.drift_scale is not None and options.drift is None:
        raise invalid_params(
            "--drift-scale: changes nothing without --drift; name one, for example --drift drift_default"
        )
    if options.preset_args is not None and options.preset is None:
        raise invalid_params("--preset-args: belong to no preset; name one by --preset")
    return with_seed(InferenceConfig.from_dict(_values(options)), shard.count)


def _values(options: argparse.Namespace) -> dict[str, Any]:
    force: dict[str, Any] = {"force_stack": _json(options.force_stack, "--force-stack", list, [])}
    if options.guidance_scale is not None:
        force["guidance_scale"] = options.guidance_scale
    values: dict[str, Any] = {
        "checkpoint_path": options.checkpoint,
        "character": options.character,
        "output_dir": options.output_dir,
        "total": options.total_videos,
        "batch_size": options.batch_size,
        "dtype": options.dtype,
        "sampler": {"name": _SAMPLERS[options.sampler], "steps": options.num_inference_steps},
        "seed": options.seed,
        "preset": options.preset,
        "preset_args": _json(options.preset_args, "--preset-args", dict, {}),
        "force": force,
        "capture": {
            "save_latents": options.save_latents,
            "save_frames": options.save_frames,
            "save_deltas": options.save_deltas,
            "save_video": options.save_video,
            "latent_format": options.latent_format,
            "frame_format": options.frame_format,
        },
        "video": {"fps": options.fps},
        "env": {"device": _DEVICES[options.device]},
    }
    if options.drift is not None:
        scale = {} if options.drift_scale is None else {"scale": options.drift_scale}
        values["drift"] = {"enabled": True, "function_name": options.drift, **scale}
    return values


def _json(text: str | None, option: str, kind: type, default: Any) -> Any:
    if text is None:
        return default
    wanted = "an object" if kind is dict else "a list of objects"
    example = '{"pos_class": "k"}' if kind is dict else '[{"name": "force_attract_class", "target_class": "A"}]'
    try:
        value = json.loads(text)
    except ValueError as error:
        raise invalid_params(f"{option}: not JSON ({error}); give {wanted}, for example '{example}'") from error
    if not isinstance(value, kind):
        raise invalid_params(f"{option}: {wanted} is needed, for example '{example}'; got {text}")
    return value


def run_id_of(config: Mapping[str, Any], shard: Shard, environment: Mapping[str, str]) -> str:
    """A run's name: drawn for one process; for several what they have in common, configuration and job, in a hash."""
    if shard.count == 1:
        return str(uuid.uuid4())
    job = next((environment[name] for name in _JOB_IDS if environment.get(name)), "")
    common = json.dumps([config, shard.count, job], sort_keys=True, default=str)
    return str(uuid.uuid5(uuid.NAMESPACE_URL, common))
