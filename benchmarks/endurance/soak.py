"""Hundreds of runs through one installation on the development cluster: does a process grow?

    make up images
    eval "$(make -s shell-env)"; python benchmarks/endurance/soak.py
    python benchmarks/endurance/soak.py --runs 100 --at-once 4

Each run has two blocks of a test type that computes nothing, with two pods, artifacts and metrics; runs that ended are
deleted, as a user's clean-up does. Every fiftieth of the runs the resident memory of operator, gateway and Redis is
read. Redis keeps a deleted run's events for a day; its growth is shown and has no limit here.

A process that keeps something of every run grows as they come; one that has warmed up does not. So the growth from
halfway to the end is what counts, in KiB a run. The operator remembers the UIDs of the last 10,000 objects that went,
1 KiB a run until then, and an allocator does not give everything back: 5 KiB. The gateway lists a deleted run for as
long as its files are there, and keeps what the list shows: 24 KiB.

Exit status 1 where the limit is missed or a run did not succeed, and --check was given.
"""

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from diffrun_contracts import names
from diffrun_devcluster.kubectl import Kubectl, Manifest, condition
from diffrun_devcluster.release import Images, Release, install_crds

NAME = "diffrun-soak"
MOST = {"operator": 5.0, "gateway": 24.0}
"""KiB a run that a process may grow by."""
PODS = {part: f"deployment/{NAME}-{part}" for part in MOST} | {"redis": f"statefulset/{NAME}-redis"}
LIMIT_SECONDS = 300


@dataclass(frozen=True)
class Reading:
    """Resident memory in KiB, by process, after so many runs."""

    runs: int
    memory: dict[str, int]


def a_run(number: int) -> Manifest:
    """Two blocks, one after the other."""
    work = {"type": "test.sleep", "params": {"steps": 20, "stepSeconds": 0, "artifacts": 2}}
    blocks = [{"name": "first", "custom": work}, {"name": "second", "custom": work}]
    metadata = {"name": f"soak-{number:05d}"}
    return {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata, "spec": {"blocks": blocks}}


def resident(release: Release) -> dict[str, int]:
    """What the first process of each pod holds, in KiB."""
    found = {}
    for part, pod in PODS.items():
        status = release.kubectl.run("exec", pod, "--", "cat", "/proc/1/status")
        found[part] = int(status.partition("VmRSS:")[2].split()[0])
    return found


def wave(release: Release, numbers: range) -> int:
    """Applies these runs, waits for their ends, deletes them; how many did not succeed."""
    runs = [a_run(number) for number in numbers]
    release.kubectl.create(*runs)
    failed = 0
    for run in runs:
        name = run["metadata"]["name"]
        ended = release.kubectl.watch(
            "dfr", name, lambda seen: condition(seen, "Finished").get("status") == "True", LIMIT_SECONDS, "its end"
        )
        failed += condition(ended, "Succeeded").get("status") != "True"
    release.kubectl.run("delete", "dfr", *(run["metadata"]["name"] for run in runs), "--wait=false")
    return failed


def soak(release: Release, runs: int, at_once: int) -> tuple[list[Reading], int]:
    """The readings, ten of them and one more at the start, and how many runs did not succeed."""
    readings, failed, every = [Reading(0, resident(release))], 0, max(at_once, runs // 10)
    print(f"{'runs':>6s} {'minutes':>8s} " + " ".join(f"{part:>12s}" for part in readings[0].memory))
    began = time.monotonic()
    show(readings[0], 0)
    for first in range(0, runs, at_once):
        failed += wave(release, range(first, min(first + at_once, runs)))
        done = min(first + at_once, runs)
        if done - readings[-1].runs >= every or done == runs:
            readings.append(Reading(done, resident(release)))
            show(readings[-1], (time.monotonic() - began) / 60)
    return readings, failed


def show(reading: Reading, minutes: float) -> None:
    """One line of the table."""
    memory = " ".join(f"{kib / 1024:8.1f} MiB" for kib in reading.memory.values())
    print(f"{reading.runs:6d} {minutes:8.1f} {memory}", flush=True)


def growth(readings: list[Reading], part: str) -> float:
    """KiB a run, from halfway to the end."""
    half = min(readings, key=lambda one: abs(one.runs - readings[-1].runs / 2))
    return (readings[-1].memory[part] - half.memory[part]) / (readings[-1].runs - half.runs)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--check", action="store_true", help="exit with 1 where the limit is missed")
    options = parser.parse_args()
    if "KUBECONFIG" not in os.environ:
        raise SystemExit('no cluster: `make up images`, then `eval "$(make --silent shell-env)"`')
    cluster = Kubectl(kubeconfig=Path(os.environ["KUBECONFIG"]))
    install_crds(cluster)
    release = Release(cluster, name=NAME, namespace=NAME, images=Images.load(), hub=None, pages=True)
    release.install()
    try:
        readings, failed = soak(release, options.runs, options.at_once)
    finally:
        release.uninstall()
    print(f"runs that did not succeed: {failed} of {options.runs}")
    missed = failed > 0
    for part, most in MOST.items():
        slope = growth(readings, part)
        missed |= slope > most
        print(f"{part}: {slope:+.2f} KiB a run from halfway to the end, at most {most}")
    return int(options.check and missed)


if __name__ == "__main__":
    sys.exit(main())
