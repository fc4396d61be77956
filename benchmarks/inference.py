"""A batch of samples with guidance and two forces, beside one sample at a time.

    python benchmarks/inference.py
    python benchmarks/inference.py --batch 16 --steps 10 --repeats 15 --json inference.json --check
    python benchmarks/inference.py --device cuda:0 --batch 64

Same checkpoint, seeds, composition (guidance 7.5, an attraction, a repulsion) and number of samples for all; every
variant's samples are compared before anything is timed. The variants take turns within every repeat, in another order
each time, so that whatever else the machine does falls on all alike; a ratio is taken within a repeat, and its median
over the repeats is what counts. The quartiles show the spread. Loading and one warm-up round are left out.

    ours          our loop, all samples in one batch
    ours, one     our loop, a batch of one, sample after sample
    plain         written plainly: sample after sample, a forward pass a prediction, each force asking for its own
    plain shared  the same, but no class asked for twice
    forwards      the network alone, as often and as wide as ours calls it: the limit
    forwards one  the same for a batch of one, as often as there are samples
    capture       ours with frames, deltas, video and metrics written to disk, until the last file is there; several
                  batches, as a shard has them, since what waits at the end is waited for once

Exit status 1 where a limit is missed and --check was given.
"""

import argparse
import json
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffrun_contracts.params import DType
from diffrun_contracts.params.infer import CaptureConfig, ForceConfig
from diffrun_worker.inference import Generation, InferenceConfig, build_scheduler, load_checkpoint
from diffrun_worker.inference.loading import load_model_of
from diffrun_worker.inference.recorder import Recorder, ShardOfRun
from diffrun_worker.sampling.batching import batches
from diffrun_worker.sampling.loader import Model
from diffrun_worker.sampling.threads import limit_threads

CHECKPOINT = Path(__file__).parents[1] / "examples" / "digits-conditional" / "checkpoint"
SEED, SCALE, ATTRACT, REPEL = 0, 7.5, 2.0, 1.0

# (name, numerator, denominator, limit, whether the ratio must stay below it)
RATIOS = [
    ("plain / ours", "plain", "ours", 3.0, False),
    ("plain shared / ours", "plain shared", "ours", None, False),
    ("t_fwd(1) / (t_fwd(B) / B)", "forwards one", "forwards", None, False),
    ("ours, one / ours", "ours, one", "ours", None, False),
    ("ours / forwards: the loop's overhead", "ours", "forwards", None, True),
    ("capture / ours", "capture", "ours", 1.10, True),
]


@dataclass(frozen=True)
class Case:
    """What all variants draw."""

    model: Model
    generation: Generation
    config: InferenceConfig
    batch: int
    rounds: int
    """Batches of the variant `capture`."""

    def label(self, name: str) -> int:
        return self.generation.ckpt_info.class_index(name)


def make_case(options: argparse.Namespace) -> Case:
    ckpt = load_checkpoint(options.checkpoint)
    target, attracted, repelled = ckpt.classes[:3]
    stack = [
        {"name": "force_attract_class", "target_class": attracted, "weight": ATTRACT},
        {"name": "force_repel_class", "target_class": repelled, "weight": REPEL},
    ]
    config = InferenceConfig(
        character=target,
        total=options.batch * options.rounds,
        seed=SEED,
        num_inference_steps=options.steps,
        force=ForceConfig(guidance_scale=SCALE, force_stack=stack),
        capture=CaptureConfig(save_frames=True, save_deltas=True, save_video=True),
    )
    model = load_model_of(ckpt, options.device, DType(options.dtype))
    return Case(model, Generation(model, build_scheduler(ckpt), config, ckpt), config, options.batch, options.rounds)


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


def captured(case: Case) -> Tensor:
    """As a shard does it, without the charts of the whole run."""
    with tempfile.TemporaryDirectory(prefix="diffrun-benchmark-") as folder:
        recorder = Recorder(Path(folder), case.generation, case.config, str(case.model.device), ShardOfRun("benchmark"))
        with recorder:
            drawn = []
            for batch in batches(range(case.batch * case.rounds), case.batch):
                recorder.begin(batch)
                drawn.append(case.generation.draw(batch, recorder.record))
        return drawn[0]


def variants(case: Case) -> dict[str, Callable[[], Any]]:
    draw = case.generation.draw
    return {
        "ours": lambda: draw(range(case.batch)),
        "ours, one": lambda: torch.cat([draw([index]) for index in range(case.batch)]),
        "plain": lambda: plain(case, shared=False),
        "plain shared": lambda: plain(case, shared=True),
        "forwards": lambda: forwards(case, case.batch),
        "forwards one": lambda: [forwards(case, 1) for _ in range(case.batch)],
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


def measure(case: Case, runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds a batch, for every variant and repeat."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    shuffle = random.Random(0).shuffle
    for repeat in range(repeats + 1):
        shuffle(order)
        for name in order:
            started = time.perf_counter()
            runs[name]()
            if case.model.device.type == "cuda":
                torch.cuda.synchronize()
            if repeat:  # the first round warms up
                seconds = time.perf_counter() - started
                times[name].append(seconds / case.rounds if name == "capture" else seconds)
    return times


def spread(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "q1": low, "q3": high}


def report(case: Case, times: dict[str, list[float]], difference: float) -> dict[str, Any]:
    """Prints a table, and returns it."""
    summary = {name: spread(values) for name, values in times.items()}
    print(
        f"{case.batch} samples, {case.config.num_inference_steps} steps, {case.model.dtype}; samples agree to ", end=""
    )
    print(f"{difference:.1e}")
    for name, figures in summary.items():
        rate = case.batch / figures["median"]
        print(f"  {name:14s} {rate:9.2f} samples/s   {figures['median'] * 1e3:9.1f} ms", end="")
        print(f"  [{figures['q1'] * 1e3:.1f}, {figures['q3'] * 1e3:.1f}]")
    ratios = []
    for title, above, below, limit, at_most in RATIOS:
        if above not in times or below not in times:
            continue
        figures = spread([one / other for one, other in zip(times[above], times[below], strict=True)])
        middle = figures["median"]
        met = None if limit is None else (middle <= limit if at_most else middle >= limit)
        ratios.append({"name": title, **figures, "limit": limit, "at_most": at_most, "met": met})
        wanted = (
            "" if limit is None else f"  {'at most' if at_most else 'at least'} {limit}: {'met' if met else 'MISSED'}"
        )
        print(f"  {title:38s} {middle:.3f}  [{figures['q1']:.3f}, {figures['q3']:.3f}]{wanted}")
    return {"batch": case.batch, "steps": case.config.num_inference_steps, "seconds": summary, "ratios": ratios}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=4, help="batches of the variant capture")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--variants", nargs="+", help="only these, by the names above")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=[str(one) for one in DType], default="float32")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--check", action="store_true", help="fail where a limit is missed")
    options = parser.parse_args()
    if options.repeats < 3:
        parser.error("--repeats: at least 3, or the spread says nothing")
    threads = limit_threads()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    machine = torch.cuda.get_device_name(0) if options.device.startswith("cuda") else f"{threads} threads"
    print(f"{platform.machine()}, {machine}, torch {torch.__version__}, {options.repeats} repeats")
    case = make_case(options)
    runs = {name: run for name, run in variants(case).items() if not options.variants or name in options.variants}
    result = report(case, measure(case, runs, options.repeats), check_equal(case, runs))
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": machine, "torch": torch.__version__, **result}, indent=2))
    missed = [ratio for ratio in result["ratios"] if ratio["met"] is False]
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
