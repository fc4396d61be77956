"""A batch of samples with guidance and two forces, beside one sample at a time.

    python benchmarks/inference.py
    python benchmarks/inference.py --batch 16 --steps 10 --repeats 15 --json inference.json --check
    python benchmarks/inference.py --device cuda:0 --batch 64
    python benchmarks/inference.py --flat 10 100 1000

Same checkpoint, seeds, composition (guidance 7.5, an attraction, a repulsion) and number of samples for all; every
variant's samples are compared before anything is timed. How they are timed and compared: `harness/comparison.py`.
Loading and one warm-up round are left out.

    ours          our loop, all samples in one batch
    ours, one     our loop, a batch of one, sample after sample
    plain         written plainly: sample after sample, a forward pass a prediction, each force asking for its own
    plain shared  the same, but no class asked for twice
    forwards      the network alone, as often and as wide as ours calls it: the limit
    forwards one  the same for a batch of one, as often as there are samples
    shard         ours, several batches one after the other
    capture       the same with frames, deltas, video and metrics written to disk, until the last file is there: what
                  waits at the end is waited for once a shard

A file system may take long to make files where many were deleted a moment ago (ext4 leaves their inodes alone for one
to five minutes, and looks at each of them for every new file), which no shard meets. So all that is captured stays
until the end, in a folder of its own below --scratch, and the time that one file takes to make is printed.

`--flat` draws as many samples with everything captured, each number in a process of its own, and prints the rate and
the most memory that the process held: neither may depend on the number.

Exit status 1 where a limit is missed and --check was given.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from harness.comparison import (
    CLOCKS,
    Ratio,
    Spread,
    Times,
    compared,
    finish,
    interleaved,
    machine_of,
    options_of,
    spreads,
)
from torch import Tensor

from diffrun_contracts.params import DType
from diffrun_worker.blocks.preparation import configure_torch
from diffrun_worker.inference import (
    CaptureConfig,
    ForceConfig,
    Generation,
    InferenceConfig,
    build_scheduler,
    load_checkpoint,
)
from diffrun_worker.inference.loading import load_model_of
from diffrun_worker.inference.recorder import Recorder, ShardOfRun
from diffrun_worker.sampling.batching import batches
from diffrun_worker.sampling.loader import Model

CHECKPOINT = Path(__file__).parents[1] / "examples" / "digits-conditional" / "checkpoint"
SEED, SCALE, ATTRACT, REPEL = 0, 7.5, 2.0, 1.0

RATIOS = [
    Ratio("plain / ours", "plain", "ours", at_least=3.0),
    Ratio("plain shared / ours", "plain shared", "ours"),
    Ratio("t_fwd(1) / (t_fwd(B) / B)", "forwards one", "forwards"),
    Ratio("ours, one / ours", "ours, one", "ours"),
    Ratio("ours / forwards: the loop's overhead", "ours", "forwards"),
    Ratio("capture / shard", "capture", "shard", at_most=1.10),
]


@dataclass(frozen=True)
class Case:
    """What all variants draw."""

    model: Model
    generation: Generation
    config: InferenceConfig
    batch: int
    total: int
    """Samples of the variants `shard` and `capture`, a few batches of them."""
    scratch: Path
    """Where captures are kept until the end."""

    def label(self, name: str) -> int:
        return self.generation.ckpt_info.class_index(name)


def make_case(options: argparse.Namespace, total: int, scratch: Path) -> Case:
    ckpt = load_checkpoint(options.checkpoint)
    target, attracted, repelled = ckpt.classes[:3]
    stack = [
        {"name": "force_attract_class", "target_class": attracted, "weight": ATTRACT},
        {"name": "force_repel_class", "target_class": repelled, "weight": REPEL},
    ]
    config = InferenceConfig(
        character=target,
        total=total,
        seed=SEED,
        num_inference_steps=options.steps,
        force=ForceConfig(guidance_scale=SCALE, force_stack=stack),
        capture=CaptureConfig(save_frames=True, save_deltas=True, save_video=True),
    )
    model = load_model_of(ckpt, options.device, DType(options.dtype))
    return Case(model, Generation(model, build_scheduler(ckpt), config, ckpt), config, options.batch, total, scratch)


@torch.no_grad()
def plain_sample(case: Case, seed: int, shared: bool) -> Tensor:
    """One sample the way one writes it down first: [1, C, H, W]."""
    unet, device, info = case.model.unet, case.model.device, case.generation.ckpt_info
    target, attracted, repelled = (case.label(name) for name in info.classes[:3])
    scheduler = build_scheduler(info)
    scheduler.set_timesteps(case.config.num_inference_steps)
    x = torch.randn(1, *info.shape, generator=torch.Generator().manual_seed(seed), dtype=case.model.dtype).to(device)

    def predict(t: Tensor, c: int) -> Tensor:
        return unet(x, t, class_labels=torch.tensor([c], device=device)).sample

    for t in scheduler.timesteps:
        null = predict(t, info.null_class)
        noise = null + SCALE * (predict(t, target) - null)
        force = ATTRACT * (predict(t, attracted) - (null if shared else predict(t, info.null_class)))
        force = force - REPEL * (predict(t, repelled) - (null if shared else predict(t, info.null_class)))
        x = scheduler.step(noise + force, t, x).prev_sample
    return x


def plain(case: Case, shared: bool) -> Tensor:
    return torch.cat([plain_sample(case, SEED + index, shared) for index in range(case.batch)])


@torch.no_grad()
def forwards(case: Case, samples: int) -> None:
    """The network alone: the four classes of each sample in one pass, for each step."""
    model = case.model
    x = torch.randn(4 * samples, *model.shape, dtype=model.dtype)
    x = x.to(model.device, memory_format=model.memory_format)
    labels = torch.arange(4, device=model.device).repeat_interleave(samples)
    for t in case.generation.schedule.timesteps.to(model.device):
        model.unet(x, t, class_labels=labels, return_dict=False)


def shard(case: Case) -> Tensor:
    """Batch after batch, nothing kept."""
    drawn = [case.generation.draw(batch) for batch in batches(range(case.total), case.batch)]
    return drawn[0]


def captured(case: Case) -> Tensor:
    """As a shard does it, without the charts of the whole run."""
    folder = Path(tempfile.mkdtemp(dir=case.scratch))
    with Recorder(folder, case.generation, case.config, str(case.model.device), ShardOfRun("benchmark")) as recorder:
        drawn = []
        for batch in batches(range(case.total), case.batch):
            recorder.begin(batch)
            drawn.append(case.generation.draw(batch, recorder.record))
    return drawn[0]


def file_cost(folder: Path, files: int = 200) -> float:
    """Seconds that one small file takes to make."""
    started = time.perf_counter()
    for number in range(files):
        (folder / f"probe-{number}").write_bytes(b"x" * 1024)
    return (time.perf_counter() - started) / files


def variants(case: Case) -> dict[str, Callable[[], Any]]:
    draw = case.generation.draw
    return {
        "ours": lambda: draw(range(case.batch)),
        "ours, one": lambda: torch.cat([draw([index]) for index in range(case.batch)]),
        "plain": lambda: plain(case, shared=False),
        "plain shared": lambda: plain(case, shared=True),
        "forwards": lambda: forwards(case, case.batch),
        "forwards one": lambda: [forwards(case, 1) for _ in range(case.batch)],
        "shard": lambda: shard(case),
        "capture": lambda: captured(case),
    }


def check_equal(case: Case, runs: dict[str, Callable[[], Any]]) -> float:
    """The largest difference between any two variants' samples; more than rounding ends the benchmark."""
    samples = {name: run() for name, run in runs.items() if not name.startswith("forwards")}
    first = next(iter(samples.values()))
    largest = max(float((first - other).abs().max()) for other in samples.values())
    if largest > (0.3 if case.model.dtype in (torch.bfloat16, torch.float16) else 1e-2):
        raise SystemExit(f"the variants draw different samples: {largest:g}")
    return largest


def report(case: Case, times: Times, difference: float) -> dict[str, Any]:
    """Prints a table, and returns it."""
    steps = case.config.num_inference_steps
    print(f"{case.batch} samples, {steps} steps, {case.model.dtype}; samples agree to {difference:.1e}")
    for name, values in times.items():
        seconds = Spread.of(values)
        print(f"  {name:14s} {case.batch / seconds.median:9.2f} samples/s  {seconds.scaled(1e3):9.1f} ms")
    return {"batch": case.batch, "steps": steps, "seconds": spreads(times), "ratios": compared(times, RATIOS)}


def flat(options: argparse.Namespace, scratch: Path) -> int:
    """The rate and the memory of a shard, for each number of samples."""
    print("samples   samples/s   most memory")
    for count in options.flat:
        arguments = ["--batch", str(options.batch), "--steps", str(options.steps), "--device", options.device]
        command = [sys.executable, __file__, "--capture", str(count), "--checkpoint", str(options.checkpoint)]
        command += ["--scratch", str(scratch)]
        told = subprocess.run([*command, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout
        seconds, kibibytes = told.split()
        print(f"{count:7d}   {count / float(seconds):9.1f}   {int(kibibytes) / 1024:7.0f} MiB")
    return 0


def capture_alone(options: argparse.Namespace, scratch: Path) -> int:
    """Draws so many samples with everything captured; prints the seconds and the process's peak in KiB."""
    case = make_case(options, options.capture, scratch)
    case.generation.draw(range(min(case.batch, case.total)))
    started = time.perf_counter()
    captured(case)
    print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return 0


def main() -> int:
    """The command line."""
    parser = options_of(__doc__)
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=4, help="batches of a shard")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=[str(one) for one in DType], default="float32")
    parser.add_argument("--flat", type=int, nargs="+", metavar="SAMPLES", help="the rate and memory for each number")
    parser.add_argument("--capture", type=int, help=argparse.SUPPRESS)  # one of --flat's processes
    parser.add_argument("--scratch", type=Path, help="the disk to capture to; the system's temporary folder by default")
    options = parser.parse_args()
    configure_torch(options.device)
    machine = machine_of(options.device)
    if options.capture:
        return capture_alone(options, options.scratch)
    print(f"{machine}, {options.repeats} repeats, {options.clock} clock")
    with tempfile.TemporaryDirectory(prefix="diffrun-benchmark-", dir=options.scratch) as folder:
        return measure(options, machine, Path(folder))


def measure(options: argparse.Namespace, machine: str, scratch: Path) -> int:
    """What was asked for; the exit status."""
    print(f"one small file takes {file_cost(scratch) * 1e6:.0f} µs to make")
    if options.flat:
        return flat(options, scratch)
    case = make_case(options, options.batch * options.rounds, scratch)
    runs = {name: run for name, run in variants(case).items() if name in (options.variants or [name])}
    difference = check_equal(case, runs)
    batches_of = {"shard": options.rounds, "capture": options.rounds}
    times = interleaved(runs, options.repeats, clock=CLOCKS[options.clock], units=lambda name: batches_of.get(name, 1))
    return finish(options, machine, [report(case, times, difference)])


if __name__ == "__main__":
    sys.exit(main())
