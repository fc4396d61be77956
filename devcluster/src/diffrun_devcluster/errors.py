"""Everything that can be wrong with a machine or a build, as types that carry their remedy.

DevClusterError
├── UnsupportedError     such a system cannot run the cluster
├── NotRootError         the step needs root
├── MissingToolError     a program is not installed
├── NoDiskError          too little space
├── PortTakenError       somebody listens where the cluster has to
├── NoClusterError       a step needs a cluster that is not up
└── CommandFailedError   a program ended with an error
"""

from __future__ import annotations

from pathlib import Path


class DevClusterError(Exception):
    """One line of what is wrong, and what to do about it."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}\n  {self.remedy}" if self.remedy else self.problem


class UnsupportedError(DevClusterError):
    """The cluster cannot run on such a system."""


class NotRootError(DevClusterError):
    """The step needs root and has it not."""

    def __init__(self, step: str) -> None:
        super().__init__(
            f"{step} needs root, and this process runs as another user.",
            "Run it with sudo, install a Docker that can pull kindest/node, "
            "or use a cluster that you have: CLUSTER=existing.",
        )


class MissingToolError(DevClusterError):
    """A program is not installed."""


class NoDiskError(DevClusterError):
    """Too little space on the file system of the cache."""

    def __init__(self, where: Path, needed: int, there: int) -> None:
        gib = 1 << 30
        super().__init__(
            f"{where} has {there / gib:.1f} GiB free, and {needed / gib:.0f} GiB are needed.",
            "Free some space there, or set XDG_CACHE_HOME to a folder on a larger file system.",
        )


class PortTakenError(DevClusterError):
    """Somebody listens where the cluster has to."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"Port {port} of 127.0.0.1 is taken by another process.",
            f"Stop it (`ss -ltnp sport = :{port}` names it), or choose another: DIFFRUN_PORT=30180.",
        )


class NoClusterError(DevClusterError):
    """A step needs a cluster that is not up."""

    def __init__(self) -> None:
        super().__init__("The development cluster is not up.", "Start it: make up")


class CommandFailedError(DevClusterError):
    """A program ended with an error; the end of its output is part of the message."""

    def __init__(self, command: list[str], status: int, output: str, remedy: str = "") -> None:
        tail = "\n".join(f"  | {line}" for line in output.strip().splitlines()[-30:])
        super().__init__(f"`{' '.join(command)}` ended with status {status}:\n{tail}", remedy)
        self.status = status
        self.output = output
