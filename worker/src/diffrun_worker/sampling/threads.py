"""How many threads torch may use: as many as the pod has cores, not as many as the node has."""

import math
import os
from pathlib import Path

import torch

CGROUP = Path("/sys/fs/cgroup")


def quota(cgroup: Path = CGROUP) -> float | None:
    """The CPU limit in cores of this process's cgroup (version 2, then version 1); None without one."""
    try:
        amount, period = (cgroup / "cpu.max").read_text().split()
    except FileNotFoundError:
        try:
            amount = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except FileNotFoundError:
            return None
    if amount in ("max", "-1"):
        return None
    return int(amount) / int(period)


def available_cores(cgroup: Path = CGROUP) -> int:
    """Cores that this process may really use: its affinity, cut to its CPU limit. At least 1."""
    cores = len(os.sched_getaffinity(0))
    limit = quota(cgroup)
    return cores if limit is None else max(1, min(cores, math.ceil(limit)))


def limit_threads(cgroup: Path = CGROUP) -> int:
    """Lowers torch's threads to the available cores and returns their number. OMP_NUM_THREADS is left to rule.

    More threads than the limit allows wait for each other while the kernel throttles them.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(torch.get_num_threads(), available_cores(cgroup)))
    return torch.get_num_threads()
