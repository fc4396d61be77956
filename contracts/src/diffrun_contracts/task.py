"""What a worker is asked to do, and what it says when it is done.

Pods that train together (`train.workers` > 1) are the pods of one Indexed Job, and find in their environment what
torchrun would set: MASTER_ADDR (pod 0, by the name that a headless Service gives it before it is ready), MASTER_PORT,
WORLD_SIZE, RANK (the completion index) and LOCAL_RANK (0: one process a pod). With one worker none of these is set.

* Rank 0 speaks for all: later blocks read its outputs, the preview's digest is that of its artifacts, and progress is
  summed over whoever reports it. The other ranks write their own events and no progress.
* None of the pods is replaced alone. When one fails its Job fails, the others get SIGTERM, and all of them start again
  as the next attempt, under another Job's name, so that nobody meets a rendezvous of the past. They resume from the
  block's checkpoints, which belong to no attempt. A rank that loses its peers therefore ends with a temporary failure;
  the one that failed first is the one whose words are told.
* A pause reaches each pod at its own time: a pod that holds while another waits for it in a collective call must not
  make that call time out, so the ranks agree on holding before any of them does.
"""

from typing import Any

from pydantic import Field

from diffrun_contracts.base import Model
from diffrun_contracts.status import Scalar


class RunRef(Model):
    """Which run."""

    namespace: str
    """The run's namespace; `local` without a cluster."""
    name: str
    """The run's name."""
    uid: str
    """The run's UID: what tells a run from its namesake."""


class Dependency(Model):
    """A block whose outputs this one gets as inputs."""

    block: str
    """The block's name."""
    attempt: int = Field(ge=1)
    """The attempt that succeeded."""


class BlockTask(Model):
    """One block, as it is handed to each of its pods."""

    run: RunRef
    """The run that the block belongs to."""
    block: str
    """The block's name."""
    type: str
    """The block type: an entry point of the group `diffrun.blocks`."""
    params: dict[str, Any] = Field(default_factory=dict)
    """The type's parameters, as in the spec."""
    attempt: int = Field(default=1, ge=1)
    """Which attempt of the block this is."""
    shards: int = Field(default=1, ge=1)
    """How many pods share the work: the block's shards, or the workers that train together.

    Of the latter the block's own `shards` is 1 and this is `train.workers`: `ctx.shard.index` is the rank and
    `ctx.shard.count` the world's size. See `diffrun_contracts.task` for what such pods can rely on.
    """
    seed: int = Field(default=0, ge=0)
    """The run's seed."""
    dependencies: tuple[Dependency, ...] = ()
    """Where the inputs come from; the later one wins where two have an output of the same name."""


class ErrorInfo(Model):
    """Why a block failed."""

    code: str
    """A stable word, for example `ChecksumMismatch`."""
    message: str
    """What is wrong and what to do about it."""
    retryable: bool
    """Whether the same task may succeed if it is tried again."""


class BlockResult(Model):
    """`result.json` of a shard, and (shortened to 4 KiB) its termination message."""

    outputs: dict[str, Scalar] = Field(default_factory=dict)
    """What later blocks read as their inputs."""
    artifacts_digest: str | None = None
    """`sha256:` over the shard's artifacts' own digests, in the order of their ids."""
    artifacts: int = 0
    """How many artifacts the shard wrote."""
    dropped_metrics: int = 0
    """Metric points that Redis did not get; `events.jsonl` has them all."""
    error: ErrorInfo | None = None
    """Set where the block failed."""
