"""The shards' metrics in one, made by the shard that completes the run: sums and curves as JSON, all numbers as CSV."""

import json
import os
import shutil
import uuid
from pathlib import Path

from diffrun_worker.errors import PermanentError, invalid_params
from diffrun_worker.inference.aggregates import Aggregate
from diffrun_worker.inference.output import METRICS, metrics_name
from diffrun_worker.inference.tracker import METRICS_JSON, STEPS_CSV, VIDEOS_CSV
from diffrun_worker.workspace import DISK_FULL_ERRNOS, Workspace, fsync_dir


def merge_metrics(folder: Path, shards: int) -> Aggregate:
    """All shards' metrics in one; `folder` is the class's.

    Raises PermanentError `InvalidParams` naming a file that is missing or damaged.
    """
    whole: Aggregate | None = None
    for shard in range(shards):
        name = metrics_name(shard, shards, METRICS_JSON)
        try:
            one = Aggregate.from_dict(json.loads((folder / name).read_bytes()))
            if whole is None:
                whole = one
            else:
                whole.update(one)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _lost(name, shard, error) from error
    if whole is None:
        raise ValueError("a run has at least one shard")
    return whole


def merge_tables(folder: Path, shards: int) -> None:
    """Writes `metrics/steps.csv` and `metrics/videos.csv`: all shards' rows, by sample.

    They are copied through and never held in memory, and each appears whole or not at all.
    Raises PermanentError: `DiskFull`, `InvalidParams` naming a file that is missing.
    """
    for what in (STEPS_CSV, VIDEOS_CSV):
        _merge_table(folder, shards, what)


def _merge_table(folder: Path, shards: int, what: str) -> None:
    parts = [folder / metrics_name(shard, shards, what) for shard in range(shards)]
    missing = next((shard for shard, part in enumerate(parts) if not part.is_file()), None)
    if missing is not None:
        raise _lost(f"{METRICS}/{parts[missing].name}", missing, "it is missing")
    target = folder / METRICS / what
    temporary = target.with_name(f".{what}.{uuid.uuid4().hex}.tmp")  # two shards may complete the run at once
    try:
        with temporary.open("xb") as whole:
            for shard, part in enumerate(parts):
                with part.open("rb") as rows:
                    header = rows.readline()
                    if shard == 0:
                        whole.write(header)
                    shutil.copyfileobj(rows, whole)  # shards hold one range of samples each, in their own order
            whole.flush()
            os.fsync(whole.fileno())
        temporary.replace(target)
        fsync_dir(target.parent)
    except OSError as error:
        if error.errno in DISK_FULL_ERRNOS:
            needed = sum(part.stat().st_size for part in parts)
            raise Workspace(str(folder)).disk_full(f"write {METRICS}/{what}", needed) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _lost(name: str, shard: int, why: Exception | str) -> PermanentError:
    return invalid_params(f"{name} does not hold shard {shard}'s metrics ({why}); run it again")
