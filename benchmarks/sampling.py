"""Our denoising loop beside the bare UNet and beside diffusers' DDIMPipeline.

    python benchmarks/sampling.py                       # the small digits model and the real size of ddpm-cat-256
    python benchmarks/sampling.py --models digits --repeats 15 --json digits.json
    python benchmarks/sampling.py --models cat256 --device cuda:0 --dtype bfloat16 --batch 8 --steps 50

Same weights, seeds, dtype, batch and steps for all. The variants take turns within every repeat, in another
order each time, so that whatever else the machine does falls on all alike; a ratio is taken within a repeat,
and its median over the repeats is what counts. The quartiles show the spread. Loading and one warm-up round
are left out. `--clock cpu` counts the process's CPU seconds instead of the wall's: for a machine that is busy
with other things, and blind to waiting.

    forwards      the UNet alone, as often as the loop calls it: the limit
    loop          our loop, nothing measured
    loop+metrics  with the three metrics, through a pod's own journal to events.jsonl
    block         with metrics, PNGs written durably, progress and pause checks: what a pod does
    naive         metrics the obvious way: `.item()` at every step, on the loop's thread
    echo          our loop over a UNet that costs nothing: the overhead itself, also on a busy machine
    echo+metrics  the same with the metrics
    pipeline      DDIMPipeline over our UNet: its memory format, its convolutions
    as typed      DDIMPipeline with its UNet as from_pretrained loads it, images to PIL

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
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel

from diffrun_contracts.params import DType, Sampler
from diffrun_contracts.task import BlockTask, RunRef
from diffrun_worker.block import Shard
from diffrun_worker.blocks.generate import ShardSampler
from diffrun_worker.context import WorkerContext
from diffrun_worker.control import Control
from diffrun_worker.journal import Journal
from diffrun_worker.sampling.batching import batches
from diffrun_worker.sampling.images import ImageWriter, Indexed, sample_file
from diffrun_worker.sampling.loader import Model, best_memory_format, load_model
from diffrun_worker.sampling.loop import denoise, generators_for, starting_noise
from diffrun_worker.sampling.metrics import BatchMetrics, MetricPublisher
from diffrun_worker.sampling.schedules import Schedule
from diffrun_worker.sampling.threads import limit_threads
from diffrun_worker.sampling.winograd import use_winograd
from diffrun_worker.workspace import Workspace

DIGITS = Path(__file__).parents[1] / "examples" / "digits" / "checkpoint"

CAT256 = {
    "sample_size": 256,
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": (128, 128, 256, 256, 512, 512),
    "layers_per_block": 2,
    "down_block_types": ("DownBlock2D",) * 4 + ("AttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "AttnUpBlock2D") + ("UpBlock2D",) * 4,
    "attention_head_dim": None,
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "norm_eps": 1e-6,
}
LINEAR = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear", "clip_sample": True}

# (name, numerator, denominator, limit, whether the ratio must stay below it)
RATIOS = {
    "digits": [
        ("loop overhead", "loop", "forwards", 1.05, True),
        ("metrics on/off", "loop+metrics", "loop", 1.03, True),
        ("pipeline, tuned alike / block", "pipeline", "block", 1.0, False),
        ("pipeline as typed / block", "as typed", "block", None, False),
        ("naive metrics / ours", "naive", "loop+metrics", None, False),
    ],
    "cat256": [
        ("loop overhead", "loop", "forwards", 1.02, True),
        ("metrics on/off", "loop+metrics", "loop", 1.01, True),
        ("pipeline, tuned alike / block", "pipeline", "block", 1.0, False),
        ("pipeline as typed / block", "as typed", "block", 1.2, False),
        ("naive metrics / ours", "naive", "loop+metrics", None, False),
    ],
}


CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True)
class Case:
    """One model, and how it is run."""

    name: str
    model: Model
    plain_unet: Any
    """The same weights as `from_pretrained` leaves them."""
    batch: int
    steps: int
    rounds: int
    """Batches in one timing: a short batch alone would measure the clock."""


def digits(options: argparse.Namespace) -> Case:
    """The committed checkpoint, 16×16."""
    dtype = DType(options.dtype)
    plain = UNet2DModel.from_pretrained(
        str(DIGITS), use_safetensors=True, local_files_only=True, torch_dtype=getattr(torch, dtype)
    )
    model = load_model(DIGITS, options.device, dtype)
    return Case("digits", model, plain.eval().to(options.device), options.batch or 8, options.steps or 10, 3)


def cat256(options: argparse.Namespace) -> Case:
    """google/ddpm-cat-256's network at its real size, with random weights: time does not depend on them."""
    torch.manual_seed(0)
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    plain = UNet2DModel(**CAT256).to(device, dtype).eval().requires_grad_(False)
    memory_format = best_memory_format(CAT256, device, dtype)
    ours = UNet2DModel(**CAT256)
    ours.load_state_dict(plain.state_dict())
    ours.to(device, dtype, memory_format=memory_format).eval().requires_grad_(False)
    if device.type == "cpu" and memory_format is torch.channels_last:
        use_winograd(ours)  # as the loader does
    model = Model(ours, LINEAR, (3, 256, 256), dtype, device, memory_format)
    return Case("cat256", model, plain, options.batch or 1, options.steps or 2, 1)


class Echo:
    """A UNet that costs nothing: what is left is ours."""

    def __call__(self, sample: torch.Tensor, *_args: object, **_options: object) -> tuple[torch.Tensor]:
        """Returns what it gets."""
        return (sample,)


def variants(case: Case, stack: ExitStack) -> dict[str, Callable[[], object]]:
    """What is compared, each run doing `case.rounds` batches, as a shard does them."""
    model, seeds = case.model, list(range(case.batch))
    schedule = Schedule(model.scheduler_config, Sampler(steps=case.steps))
    ctx = pod_context(stack, str(model.device))
    total = range(case.batch)

    def save(images: Sequence[Indexed]) -> None:
        ctx.artifact_batch([sample_file(image, index, phase="full") for index, image in images])

    def with_metrics(model: Model) -> None:
        with MetricPublisher(schedule, ctx.metrics) as publisher:
            for _ in range(case.rounds):
                metrics = BatchMetrics(publisher, schedule, total, model.device)
                denoise(model, schedule, generators_for(seeds), metrics.record)

    def block() -> None:
        everything = range(case.rounds * case.batch)
        with MetricPublisher(schedule, ctx.metrics) as publisher, ImageWriter(save) as writer:
            shard = ShardSampler(model, schedule, ctx, publisher, writer, everything, 0)
            for batch in batches(everything, case.batch):
                shard.draw(batch)

    def naive() -> None:
        def on_step(call: int, _model_input: torch.Tensor, output: torch.Tensor) -> None:
            for index in total:
                value = float((output[index] ** 2).mean().item())
                ctx.metric("denoise/noise_level", schedule.noise_levels[call], step=call, sample_index=index)
                ctx.metric("denoise/predicted_noise_mse", value, step=call, sample_index=index)
                ctx.metric("denoise/snr", schedule.snrs[call], step=call, sample_index=index)

        denoise(model, schedule, generators_for(seeds), on_step)

    def again(run: Callable[[], object]) -> Callable[[], None]:
        def rounds() -> None:
            for _ in range(case.rounds):
                run()

        return rounds

    echo = replace(model, unet=Echo())
    tuned, typed = pipeline(model.unet, case), pipeline(case.plain_unet, case)
    steps = case.steps
    return {
        "forwards": again(forwards(case, schedule)),
        "loop": again(lambda: denoise(model, schedule, generators_for(seeds))),
        "loop+metrics": lambda: with_metrics(model),
        "echo": again(lambda: denoise(echo, schedule, generators_for(seeds))),
        "echo+metrics": lambda: with_metrics(echo),
        "block": block,
        "naive": again(naive),
        "pipeline": again(
            lambda: tuned(case.batch, generators_for(seeds), num_inference_steps=steps, output_type="np")
        ),
        "as typed": again(lambda: typed(case.batch, generators_for(seeds), num_inference_steps=steps)),
    }


def forwards(case: Case, schedule: Schedule) -> Callable[[], object]:
    """The UNet alone, on one input."""
    model = case.model
    noise = starting_noise(model, generators_for(range(case.batch)))
    noise = noise.to(model.device, memory_format=model.memory_format)
    staged = schedule.timesteps.to(model.device)

    @torch.inference_mode()
    def run() -> None:
        for call in range(schedule.calls):
            model.unet(noise, staged[call], return_dict=False)

    return run


def pipeline(unet: Any, case: Case) -> Any:
    """diffusers' own."""
    made = DDIMPipeline(unet, DDIMScheduler.from_config(dict(case.model.scheduler_config)))
    made.set_progress_bar_config(disable=True)
    return made


def pod_context(stack: ExitStack, device: str) -> WorkerContext:
    """What a block has in a pod: a workspace on disk, a journal that writes events.jsonl."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="diffrun-benchmark-"))
    workspace = Workspace(folder)
    task = BlockTask(run=RunRef(namespace="local", name="benchmark", uid="0" * 8), block="full", type="generateFull")
    journal = Journal(workspace, task, pod="benchmark")
    stack.callback(journal.close)
    return WorkerContext(
        inputs={},
        seed=0,
        shard=Shard(),
        retry=0,
        device=device,
        workspace=workspace,
        journal=journal,
        control=Control(journal.event, None),
        pod="benchmark",
    )


def measure(case: Case, repeats: int, only: set[str] | None, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds a batch, for every variant and repeat."""
    cuda = case.model.device.type == "cuda"
    with ExitStack() as stack:
        runs = {name: run for name, run in variants(case, stack).items() if only is None or name in only}
        times: dict[str, list[float]] = {name: [] for name in runs}
        order = list(runs)
        shuffle = random.Random(0).shuffle
        for repeat in range(repeats + 1):
            shuffle(order)
            for name in order:
                started = clock()
                runs[name]()
                if cuda:
                    torch.cuda.synchronize()
                if repeat:  # the first round warms up
                    times[name].append((clock() - started) / case.rounds)
    return times


def spread(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "q1": low, "q3": high}


def report(case: Case, times: dict[str, list[float]]) -> dict[str, Any]:
    """Prints a table, and returns it."""
    summary = {name: spread(values) for name, values in times.items()}
    ratios = []
    print(f"\n{case.name}: batch {case.batch}, {case.steps} steps, {case.model.dtype}, {case.model.memory_format}")
    for name, figures in summary.items():
        print(
            f"  {name:14s} {figures['median'] * 1e3:10.1f} ms  [{figures['q1'] * 1e3:.1f}, {figures['q3'] * 1e3:.1f}]"
        )
    if {"echo", "echo+metrics", "forwards"} <= times.keys():
        echo, measured, unet = (summary[name]["median"] for name in ("echo", "echo+metrics", "forwards"))
        print(f"  overhead itself: loop {echo / unet:.2%} of the forwards, metrics {(measured - echo) / unet:.2%}")
    for title, above, below, limit, at_most in RATIOS[case.name]:
        if above not in times or below not in times:
            continue
        figures = spread([one / other for one, other in zip(times[above], times[below], strict=True)])
        middle = figures["median"]
        met = None if limit is None else (middle <= limit if at_most else middle >= limit)
        ratios.append({"name": title, **figures, "limit": limit, "at_most": at_most, "met": met})
        wanted = (
            "" if limit is None else f"  {'at most' if at_most else 'at least'} {limit}: {'met' if met else 'MISSED'}"
        )
        print(f"  {title:32s} {middle:.4f}  [{figures['q1']:.4f}, {figures['q3']:.4f}]{wanted}")
    return {"model": case.name, "batch": case.batch, "steps": case.steps, "seconds": summary, "ratios": ratios}


def formats(case: Case, repeats: int, clock: Callable[[], float]) -> dict[str, Any]:
    """One forward in either memory format, convolutions done directly: what `best_memory_format` rests on."""
    results: dict[str, list[float]] = {"contiguous": [], "channels_last": []}
    schedule = Schedule(LINEAR, Sampler(steps=1))
    unet, pair = case.plain_unet, {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    for repeat in range(repeats + 1):
        for name, memory_format in pair.items():
            model = replace(case.model, unet=unet.to(memory_format=memory_format), memory_format=memory_format)
            run = forwards(replace(case, model=model), schedule)
            run()  # the first call after a change of format prepares the weights
            started = clock()
            for _ in range(case.rounds):
                run()
            if repeat:
                results[name].append((clock() - started) / case.rounds)
    figures = spread([one / other for one, other in zip(results["contiguous"], results["channels_last"], strict=True)])
    print(f"\n{case.name}: batch {case.batch}, contiguous / channels_last = {figures['median']:.3f}", end="")
    print(f"  [{figures['q1']:.3f}, {figures['q3']:.3f}]")
    return {"model": case.name, "batch": case.batch, "contiguous_over_channels_last": figures}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=["digits", "cat256"], default=["digits", "cat256"])
    parser.add_argument("--variants", nargs="+", help="only these, by the names above")
    parser.add_argument("--formats", action="store_true", help="compare memory formats instead")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--batch", type=int, help="8 for digits, 1 for cat256")
    parser.add_argument("--steps", type=int, help="10 for digits, 2 for cat256")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=[str(one) for one in DType], default="float32")
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--check", action="store_true", help="fail where a limit is missed")
    options = parser.parse_args()
    if options.repeats < 5:
        parser.error("--repeats: at least 5, or the spread says nothing")

    threads = limit_threads()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    machine = torch.cuda.get_device_name(0) if options.device.startswith("cuda") else f"{threads} threads"
    print(
        f"{platform.machine()}, {machine}, torch {torch.__version__}, {options.repeats} repeats, {options.clock} clock"
    )
    results = []
    for name in options.models:
        case = {"digits": digits, "cat256": cat256}[name](options)
        if options.formats:
            results.append(formats(case, options.repeats, CLOCKS[options.clock]))
        else:
            only = set(options.variants) if options.variants else None
            results.append(report(case, measure(case, options.repeats, only, CLOCKS[options.clock])))
    if options.json is not None:
        options.json.write_text(
            json.dumps({"machine": machine, "torch": torch.__version__, "results": results}, indent=2)
        )
    missed = [ratio for result in results for ratio in result.get("ratios", []) if ratio["met"] is False]
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
