"""Variants of one piece of work, timed in turns, and the ratios between them.

The variants take turns within every repeat, in another order each time, so that whatever else the machine does falls
on all alike; a ratio is taken within a repeat, and its median over the repeats is what counts. The quartiles show the
spread.
"""

import argparse
import json
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

LEAST_REPEATS = 5
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}

Times = dict[str, list[float]]
"""Seconds of every variant, a value a repeat."""


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    q1: float
    q3: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(middle, low, high)

    def scaled(self, factor: float) -> "Spread":
        return Spread(self.median * factor, self.q1 * factor, self.q3 * factor)

    def __format__(self, spec: str) -> str:
        low, high = (format(value, spec).strip() for value in (self.q1, self.q3))
        return f"{self.median:{spec}}  [{low}, {high}]"


@dataclass(frozen=True)
class Ratio:
    """How two variants' times are compared, and what is asked of it."""

    title: str
    above: str
    below: str
    at_most: float | None = None
    at_least: float | None = None

    def verdict(self, middle: float) -> bool | None:
        """Whether the limit is met; None where there is none."""
        if self.at_most is not None:
            return middle <= self.at_most
        return None if self.at_least is None else middle >= self.at_least

    def wanted(self, middle: float) -> str:
        """The limit and the verdict, as a table's last column."""
        if (met := self.verdict(middle)) is None:
            return ""
        limit = f"at most {self.at_most}" if self.at_most is not None else f"at least {self.at_least}"
        return f"  {limit}: {'met' if met else 'MISSED'}"


def interleaved(
    runs: Mapping[str, Callable[[], object]],
    repeats: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
    units: Callable[[str], int] = lambda _name: 1,
) -> Times:
    """Seconds a unit of work for every variant and repeat; `units` says how many a variant's run does at once.

    One more round comes first and is not counted: it warms up.
    """
    times: Times = {name: [] for name in runs}
    order, shuffle = list(runs), random.Random(0).shuffle
    for repeat in range(repeats + 1):
        shuffle(order)
        for name in order:
            started = clock()
            runs[name]()
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            if repeat:
                times[name].append((clock() - started) / units(name))
    return times


def compared(times: Times, ratios: Sequence[Ratio]) -> list[dict[str, Any]]:
    """Prints the ratios whose variants were both run, each with its limit, and returns them."""
    width, results = max(len(ratio.title) for ratio in ratios), []
    for ratio in ratios:
        if not {ratio.above, ratio.below} <= times.keys():
            continue
        spread = Spread.of([one / other for one, other in zip(times[ratio.above], times[ratio.below], strict=True)])
        print(f"  {ratio.title:{width}s}  {spread:.3f}{ratio.wanted(spread.median)}")
        results.append(asdict(ratio) | asdict(spread) | {"met": ratio.verdict(spread.median)})
    return results


def spreads(times: Times) -> dict[str, dict[str, float]]:
    """The times as JSON has them."""
    return {name: asdict(Spread.of(values)) for name, values in times.items()}


def options_of(description: str) -> argparse.ArgumentParser:
    """The options that all comparisons have; a benchmark adds its own."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--repeats", type=_repeats, default=7)
    parser.add_argument("--variants", nargs="+", help="only these, by the names that the script's head explains")
    parser.add_argument(
        "--clock", choices=sorted(CLOCKS), default="wall", help="cpu is for a busy machine, blind to waiting"
    )
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a limit is missed")
    return parser


def machine_of(device: str) -> str:
    """What the figures are of, for the head of a table."""
    name = torch.cuda.get_device_name(0) if device.startswith("cuda") else f"{torch.get_num_threads()} threads"
    return f"{platform.machine()}, {name}, torch {torch.__version__}"


def finish(options: argparse.Namespace, machine: str, results: Sequence[dict[str, Any]]) -> int:
    """Writes the figures where they were asked for; the exit status."""
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": machine, "results": results}, indent=2))
    missed = [ratio["title"] for result in results for ratio in result["ratios"] if ratio["met"] is False]
    if options.check and missed:
        print(f"missed: {', '.join(missed)}", file=sys.stderr)
        return 1
    return 0


def _repeats(text: str) -> int:
    if (repeats := int(text)) < LEAST_REPEATS:
        raise argparse.ArgumentTypeError(f"at least {LEAST_REPEATS}, or the spread says nothing")
    return repeats
