"""Our denoising loop beside the bare UNet and beside diffusers' DDIMPipeline.

    python benchmarks/sampling.py                       # the small digits model and the real size of ddpm-cat-256
    python benchmarks/sampling.py --models digits --repeats 15 --json digits.json
    python benchmarks/sampling.py --models cat256 --device cuda:0 --dtype bfloat16 --batch 8 --steps 50

Same weights, seeds, dtype, batch and steps for all. How they are timed and compared: `harness/comparison.py`.
Loading and one warm-up round are left out.

    forwards      the UNet alone, as often as the loop calls it: the limit
    loop          our loop, nothing measured
    loop+metrics  with the three metrics, through a pod's own journal to events.jsonl
    block         with metrics, PNGs written durably, progress and pause checks: what a pod does
    naive         metrics the obvious way: `.item()` at every step, on the loop's thread
    echo          our loop over a UNet that costs nothing: the overhead itself, also on a busy machine
    echo+metrics  the same with the metrics
    pipeline      DDIMPipeline tuned alike: our memory format, threads and dtype
    our unet      DDIMPipeline over our UNet, its convolutions included
    as typed      DDIMPipeline with its UNet as from_pretrained loads it, images to PIL
    given back    the block, freed memory going back to the kernel as glibc does it; only if it is named, beside the
                  block alone: whatever comes after it takes its memory anew. All others keep it, the pipeline as well

Exit status 1 where a limit is missed and --check was given.
"""

import argparse
import copy
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel
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

from diffrun_contracts.params import DType, Sampler
from diffrun_contracts.task import BlockTask, RunRef
from diffrun_worker.block import Shard
from diffrun_worker.blocks.generate import ShardSampler
from diffrun_worker.blocks.preparation import configure_torch
from diffrun_worker.context import WorkerContext
from diffrun_worker.control import Control
from diffrun_worker.journal import Journal
from diffrun_worker.sampling.batching import batches
from diffrun_worker.sampling.heap import give_freed_memory_back, keep_freed_memory
from diffrun_worker.sampling.images import ImageWriter, Indexed, sample_file
from diffrun_worker.sampling.loader import Model, best_memory_format, load_model
from diffrun_worker.sampling.loop import denoise, generators_for, starting_noise
from diffrun_worker.sampling.metrics import BatchMetrics, MetricPublisher
from diffrun_worker.sampling.schedules import Schedule
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

ONLY_IF_NAMED = "given back"

RATIOS = {
    "digits": [
        Ratio("loop overhead", "loop", "forwards", at_most=1.05),
        Ratio("metrics on/off", "loop+metrics", "loop", at_most=1.03),
        Ratio("pipeline, tuned alike / block", "pipeline", "block", at_least=1.0),
        Ratio("pipeline over our UNet / block", "our unet", "block"),
        Ratio("pipeline as typed / block", "as typed", "block"),
        Ratio("naive metrics / ours", "naive", "loop+metrics"),
        Ratio("freed memory given back / kept", "given back", "block"),
    ],
    "cat256": [
        Ratio("loop overhead", "loop", "forwards", at_most=1.02),
        Ratio("metrics on/off", "loop+metrics", "loop", at_most=1.01),
        Ratio("pipeline, tuned alike / block", "pipeline", "block", at_least=1.0),
        Ratio("pipeline over our UNet / block", "our unet", "block"),
        Ratio("pipeline as typed / block", "as typed", "block", at_least=1.2),
        Ratio("naive metrics / ours", "naive", "loop+metrics"),
        Ratio("freed memory given back / kept", "given back", "block"),
    ],
}


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
    return Case("digits", model, plain.eval().to(options.device), options.batch or 8, options.steps or 10, 12)


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

    def given_back() -> None:
        give_freed_memory_back()
        block()
        keep_freed_memory()

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
    tuned_unet = copy.deepcopy(case.plain_unet).to(memory_format=model.memory_format)
    steps = case.steps

    def piped(unet: Any, output_type: str) -> Callable[[], None]:
        made = pipeline(unet, case)
        return again(
            lambda: made(case.batch, generators_for(seeds), num_inference_steps=steps, output_type=output_type)
        )

    return {
        "forwards": again(forwards(case, schedule)),
        "loop": again(lambda: denoise(model, schedule, generators_for(seeds))),
        "loop+metrics": lambda: with_metrics(model),
        "echo": again(lambda: denoise(echo, schedule, generators_for(seeds))),
        "echo+metrics": lambda: with_metrics(echo),
        "block": block,
        "naive": again(naive),
        "pipeline": piped(tuned_unet, "np"),
        "our unet": piped(model.unet, "np"),
        "as typed": piped(case.plain_unet, "pil"),
        "given back": given_back,
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


def measure(case: Case, options: argparse.Namespace) -> Times:
    """Seconds a batch, for every variant and repeat."""
    with ExitStack() as stack:
        every = variants(case, stack)
        runs = {name: every[name] for name in every if name in (options.variants or every.keys() - {ONLY_IF_NAMED})}
        return interleaved(runs, options.repeats, clock=CLOCKS[options.clock], units=lambda _name: case.rounds)


def report(case: Case, times: Times) -> dict[str, Any]:
    """Prints a table, and returns it."""
    print(f"\n{case.name}: batch {case.batch}, {case.steps} steps, {case.model.dtype}, {case.model.memory_format}")
    summary = {name: Spread.of(values) for name, values in times.items()}
    for name, seconds in summary.items():
        print(f"  {name:14s} {seconds.scaled(1e3):10.1f} ms")
    if {"echo", "echo+metrics", "forwards"} <= times.keys():
        echo, measured, unet = (summary[name].median for name in ("echo", "echo+metrics", "forwards"))
        print(f"  overhead itself: loop {echo / unet:.2%} of the forwards, metrics {(measured - echo) / unet:.2%}")
    ratios = compared(times, RATIOS[case.name])
    return {"model": case.name, "batch": case.batch, "steps": case.steps, "seconds": spreads(times), "ratios": ratios}


def formats(case: Case, options: argparse.Namespace) -> dict[str, Any]:
    """One forward in either memory format, convolutions done directly: what `best_memory_format` rests on."""
    schedule = Schedule(LINEAR, Sampler(steps=1))

    def prepared(memory_format: torch.memory_format) -> Callable[[], object]:
        unet = copy.deepcopy(case.plain_unet).to(memory_format=memory_format)
        run = forwards(replace(case, model=replace(case.model, unet=unet, memory_format=memory_format)), schedule)
        return lambda: [run() for _ in range(case.rounds)]

    runs = {"contiguous": prepared(torch.contiguous_format), "channels_last": prepared(torch.channels_last)}
    print(f"\n{case.name}: batch {case.batch}")
    times = interleaved(runs, options.repeats, clock=CLOCKS[options.clock], units=lambda _name: case.rounds)
    ratios = compared(times, [Ratio("contiguous / channels_last", "contiguous", "channels_last")])
    return {"model": case.name, "batch": case.batch, "seconds": spreads(times), "ratios": ratios}


def main() -> int:
    """The command line."""
    parser = options_of(__doc__)
    parser.add_argument("--models", nargs="+", choices=["digits", "cat256"], default=["digits", "cat256"])
    parser.add_argument("--formats", action="store_true", help="compare memory formats instead")
    parser.add_argument("--batch", type=int, help="8 for digits, 1 for cat256")
    parser.add_argument("--steps", type=int, help="10 for digits, 2 for cat256")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=[str(one) for one in DType], default="float32")
    options = parser.parse_args()

    configure_torch(options.device)
    machine = machine_of(options.device)
    print(f"{machine}, {options.repeats} repeats, {options.clock} clock")
    results = []
    for name in options.models:
        case = {"digits": digits, "cat256": cat256}[name](options)
        results.append(formats(case, options) if options.formats else report(case, measure(case, options)))
    return finish(options, machine, results)


if __name__ == "__main__":
    sys.exit(main())
