"""What the machine has to offer before anything is built, and how it gets what Debian's packages give."""

from __future__ import annotations

import os
import platform
import shutil
import socket
from pathlib import Path

from diffrun_devcluster.commands import run
from diffrun_devcluster.errors import MissingToolError, NotRootError, PortTakenError, UnsupportedError
from diffrun_devcluster.progress import Progress

# A file that proves the package, and the package.
_FOR_THE_CLUSTER = {
    "podman": "podman",
    "/usr/lib/podman/netavark": "netavark",
    "/usr/lib/podman/aardvark-dns": "aardvark-dns",
    "conmon": "conmon",
    "runc": "runc",
    "crun": "crun",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "iptables": "iptables",
    "/etc/containers/policy.json": "golang-github-containers-common",
    "/etc/ssl/certs/ca-certificates.crt": "ca-certificates",
}
_FOR_THE_TESTS = {"redis-server": "redis-server", "chromium": "chromium"}


def check_packages_world() -> None:
    """Raise unless the cluster can be built from packages here."""
    system, machine = platform.system(), platform.machine()
    if system != "Linux" or machine != "x86_64":
        raise UnsupportedError(
            f"Without a Docker that can pull kindest/node the cluster is built from packages, "
            f"which works on Linux on x86_64, not on {system} on {machine}.",
            "Start Docker with a registry in reach, or use a cluster that you have: CLUSTER=existing.",
        )
    if os.geteuid() != 0:
        raise NotRootError("Building and running the cluster from packages")
    # kind mounts it into the node; on a machine without modules an empty one does.
    Path("/lib/modules").mkdir(exist_ok=True)


def install_for_the_cluster(progress: Progress) -> None:
    """Install what running podman and building images takes."""
    _install(_FOR_THE_CLUSTER, progress)


def install_for_the_tests(progress: Progress) -> None:
    """Install what the integration tests take beside Python's packages."""
    _install(_FOR_THE_TESTS, progress)


def check_port(port: int) -> None:
    """Raise PortTakenError if the cluster could not listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as taken:
            raise PortTakenError(port) from taken


def missing_packages(wanted: dict[str, str]) -> list[str]:
    """The packages whose proof is not there."""
    return [package for proof, package in wanted.items() if not _there(proof)]


def _there(proof: str) -> bool:
    return Path(proof).exists() if proof.startswith("/") else shutil.which(proof) is not None


def _install(wanted: dict[str, str], progress: Progress) -> None:
    missing = missing_packages(wanted)
    if not missing:
        return
    names = " ".join(missing)
    if shutil.which("apt-get") is None:
        raise MissingToolError(f"Not installed: {names} (Debian's names).", "Install them with this system's packages.")
    if os.geteuid() != 0:
        raise MissingToolError(f"Not installed: {names}.", f"As root: apt-get install --no-install-recommends {names}")
    # RUNLEVEL=1 keeps packages from starting services of their own.
    env = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    with progress.step(f"Install {names}", 40):
        run(["apt-get", "update", "-qq"], env=env)
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], env=env)
