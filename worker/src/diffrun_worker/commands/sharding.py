"""Which of several processes this is, when nobody's operator says so: by hand, in a pod, in a SLURM array."""

from collections.abc import Mapping

from diffrun_contracts import names
from diffrun_worker.block import Shard
from diffrun_worker.errors import invalid_params

_ARRAY_ID, _ARRAY_COUNT = "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"
_ARRAY_MIN, _ARRAY_STEP = "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP"
_TASK_ID, _TASKS = "SLURM_PROCID", "SLURM_NTASKS"


def find_shard(distributed: bool, rank: int | None, world_size: int | None, environment: Mapping[str, str]) -> Shard:
    """The process's place: `--rank` and `--world-size` where they are given, the environment for the rest.

    Without any of the three options there is one process, whatever the environment says. With them the environment is
    asked in this order: an Indexed Job's JOB_COMPLETION_INDEX (which names no count: WORLD_SIZE or --world-size must),
    a SLURM array's task, a SLURM job's task, torchrun's RANK and WORLD_SIZE. Tasks of a SLURM job within an array
    count through.

    Raises PermanentError `InvalidParams` where the two are not known, or `rank` is not below `world_size`.
    """
    if not distributed and rank is None and world_size is None:
        return Shard()
    found_rank, found_size = _from_environment(environment)
    rank = found_rank if rank is None else rank
    world_size = found_size if world_size is None else world_size
    if world_size is None:
        raise invalid_params(
            "--world-size: the number of processes is not known; give it, or run in a SLURM array "
            f"({_ARRAY_COUNT}) or with WORLD_SIZE set"
        )
    if world_size < 1:
        raise invalid_params(f"--world-size: at least 1 is needed; got {world_size}")
    if rank is None:
        raise invalid_params(
            f"--rank: the number of this process is not known; give one from 0 to {world_size - 1}, or run in an "
            f"Indexed Job ({names.ENV_SHARD}) or a SLURM array ({_ARRAY_ID})"
        )
    if not 0 <= rank < world_size:
        raise invalid_params(
            f"--rank: {rank} is none of {world_size} processes (--world-size); valid are 0 to {world_size - 1}"
        )
    return Shard(rank, world_size)


def _from_environment(environment: Mapping[str, str]) -> tuple[int | None, int | None]:
    if environment.get(names.ENV_SHARD):
        return _number(environment, names.ENV_SHARD), _number(environment, names.ENV_WORLD_SIZE)
    task, tasks = _number(environment, _TASK_ID), _number(environment, _TASKS)
    array, count = _array(environment)
    if array is not None:
        if count is not None and task is not None and tasks is not None and tasks > 1:
            return array * tasks + task, count * tasks
        return array, count
    if task is not None:
        return task, tasks
    return _number(environment, names.ENV_RANK), _number(environment, names.ENV_WORLD_SIZE)


def _array(environment: Mapping[str, str]) -> tuple[int | None, int | None]:
    """A SLURM array's task from 0 on: `--array=1-10:3` counts 1, 4, 7, 10."""
    task = _number(environment, _ARRAY_ID)
    if task is None:
        return None, None
    first, step = _number(environment, _ARRAY_MIN) or 0, _number(environment, _ARRAY_STEP) or 1
    return (task - first) // step, _number(environment, _ARRAY_COUNT)


def _number(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name)
    if not text:
        return None
    if not text.isdecimal():
        raise invalid_params(f"{name} is {text!r} in the environment; a number from 0 on is needed")
    return int(text)
