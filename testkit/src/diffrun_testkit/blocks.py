"""Blocks for lifecycle scenarios: they import no torch, start in a moment, and fail the way they are told to."""

import io
import os
import signal
import time
from typing import NoReturn

from PIL import Image
from pydantic import Field

from diffrun_contracts.base import Model
from diffrun_contracts.status import Scalar
from diffrun_worker.block import BlockContext, Outputs, Point
from diffrun_worker.errors import PermanentError, TemporaryError

SIDE = 8
"""Width and height of the PNGs, in pixels."""


class Work(Model):
    """What every test block does before it ends the way it ends."""

    steps: int = Field(default=3, ge=0, le=1_000_000)
    """How many steps, each with a point of every metric."""
    step_seconds: float = Field(default=0.01, ge=0, le=3600)
    """How long a step takes."""
    artifacts: int = Field(default=0, ge=0, le=10_000)
    """How many small PNGs are written, spread over the steps."""
    metrics: tuple[str, ...] = ("test/step",)
    """Names of the metrics; the value is the step."""
    outputs: dict[str, Scalar] = Field(default_factory=dict)
    """The block's outputs."""
    output_bytes: int = Field(default=0, ge=0, le=1_000_000)
    """Adds an output `filler` of this many characters."""


class Sleep:
    """Works, then succeeds."""

    Params = Work

    def run(self, params: Work, ctx: BlockContext) -> Outputs:
        """Works."""
        work(params, ctx)
        filler = {"filler": "x" * params.output_bytes} if params.output_bytes else {}
        return {**params.outputs, **filler}


class Echo:
    """Works, then succeeds with its inputs as its outputs."""

    Params = Work

    def run(self, params: Work, ctx: BlockContext) -> Outputs:
        """Works."""
        work(params, ctx)
        return {**ctx.inputs, **params.outputs}


class Failing(Work):
    """How to fail."""

    permanent: bool = False
    """Fail with a permanent error; `times` does not count then."""
    times: int = Field(default=1, ge=0, le=100)
    """Fail this often with a temporary error, then succeed."""
    only_shard: int | None = Field(default=None, ge=0)
    """Fail in this shard; the others succeed at once."""


class Fail:
    """Works, then fails."""

    Params = Failing

    def run(self, params: Failing, ctx: BlockContext) -> Outputs:
        """Works."""
        work(params, ctx)
        if params.only_shard not in (None, ctx.shard.index):
            return params.outputs
        if params.permanent:
            raise PermanentError("TestPermanent", "told to fail for good; set permanent: false to try again")
        if ctx.retry < params.times:
            raise TemporaryError("TestTemporary", f"told to fail {params.times} times, this is try {ctx.retry + 1}")
        return params.outputs


class Killing(Work):
    """How often to be killed."""

    times: int = Field(default=1, ge=0, le=100)
    """Kill the own process this often, then succeed."""


class Kill:
    """Works, then kills its own process."""

    Params = Killing

    def run(self, params: Killing, ctx: BlockContext) -> Outputs:
        """Works."""
        work(params, ctx)
        if ctx.retry < params.times:
            kill_container()
        return params.outputs


class Hungry(Work):
    """How much to eat."""

    chunk_mebibytes: int = Field(default=16, ge=1, le=1024)
    """How much memory each bite takes."""


class OutOfMemory:
    """Works, then takes memory until it is killed."""

    Params = Hungry

    def run(self, params: Hungry, ctx: BlockContext) -> Outputs:
        """Never returns."""
        work(params, ctx)
        eaten: list[bytes] = []
        while True:
            ctx.check_pause()
            eaten.append(os.urandom(1024) * (1024 * params.chunk_mebibytes))  # written to, so that it is resident


class Hang:
    """Works, then ignores everything, SIGTERM included."""

    Params = Work

    def run(self, params: Work, ctx: BlockContext) -> Outputs:
        """Never returns."""
        work(params, ctx)
        while True:
            time.sleep(1)


def work(params: Work, ctx: BlockContext) -> None:
    """Steps with metrics, artifacts and progress; looks for pause and stop at each."""
    written = 0
    for step in range(params.steps):
        ctx.check_pause()
        time.sleep(params.step_seconds)
        ctx.metrics([Point(name, float(step), step, {"step": step}) for name in params.metrics])
        while written * params.steps < params.artifacts * (step + 1):
            write_png(ctx, written)
            written += 1
        ctx.progress(step + 1, params.steps)
    for index in range(written, params.artifacts):
        write_png(ctx, index)


def write_png(ctx: BlockContext, index: int) -> None:
    """Writes a PNG of one grey that tells the index."""
    buffer = io.BytesIO()
    Image.new("L", (SIDE, SIDE), color=index % 256).save(buffer, "PNG")
    ctx.artifact(
        buffer.getvalue(),
        schema_type="generated_sample",
        content_type="image/png",
        tags={"phase": "test", "sample_index": str(index)},
        width=SIDE,
        height=SIDE,
    )


def kill_container() -> NoReturn:
    """Ends the process as a node that fails would: at once, with nothing saved.

    A container's first process is immune to its own SIGKILL, so there it exits with that signal's code.
    """
    if os.getpid() != 1:
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(128 + signal.SIGKILL)
