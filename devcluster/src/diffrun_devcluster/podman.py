"""A podman of the project's own: its storage, networks and configuration apart from the machine's.

The settings that look odd are those of a machine with cgroup v1, without systemd and without
CAP_SYS_RESOURCE; they do no harm on others.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

from diffrun_devcluster import cache
from diffrun_devcluster.commands import run, works
from diffrun_devcluster.settings import Layout

# podman refuses a longer runroot than 50 characters, so it cannot lie in the cache.
RUN_FOLDER = Path("/run/diffrun")
# podman mounts it for network namespaces and leaves it; whoever needs it next mounts it again.
_NETWORKS = Path("/run/netns")


def home(layout: Layout) -> Path:
    """Storage, volumes and configuration of our podman."""
    return layout.cache / "podman"


def environment(layout: Layout) -> dict[str, str]:
    """What makes podman, buildah and kind use our podman; the files are written on the way."""
    folder = home(layout)
    for name in ("storage", "networks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (RUN_FOLDER / "libpod").mkdir(parents=True, exist_ok=True)
    _write(folder / "storage.conf", _storage_conf(folder / "storage", RUN_FOLDER / "storage"))
    _write(folder / "containers.conf", _containers_conf(folder))
    return {
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "KIND_EXPERIMENTAL_PROVIDER": "podman",
    }


def build_environment(storage: Path) -> dict[str, str]:
    """For buildah: a storage of its own, thrown away with the build."""
    storage.mkdir(parents=True, exist_ok=True)
    _write(storage / "storage.conf", _storage_conf(storage / "graph", storage / "run"))
    return {"CONTAINERS_CONF": "/dev/null", "CONTAINERS_STORAGE_CONF": str(storage / "storage.conf")}


def remove_everything(layout: Layout) -> None:
    """Containers, volumes, networks, helpers, mounts and firewall chains; the images stay."""
    folder = home(layout)
    if folder.exists():
        env = environment(layout)
        for command in (
            ["podman", "rm", "--all", "--force", "--volumes", "--time", "2"],
            ["podman", "volume", "prune", "--force"],
            ["podman", "network", "prune", "--force"],
        ):
            works(command, env=env, timeout=120)
        _stop_helpers(folder)
        cache.unmount_below(folder)
    cache.unmount_below(RUN_FOLDER)
    cache.discard(RUN_FOLDER)
    if _NETWORKS.is_dir() and not any(_NETWORKS.iterdir()):
        # podman mounts it onto itself, which `is_mount` does not see where /run has no file system of its own.
        cache.unmount_below(_NETWORKS)
    _drop_firewall_chains()


def _storage_conf(graph: Path, runroot: Path) -> str:
    return f'[storage]\ndriver = "overlay"\ngraphroot = "{graph}"\nrunroot = "{runroot}"\n'


def _containers_conf(folder: Path) -> str:
    on_cgroup_v2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    runtime = "" if on_cgroup_v2 else 'runtime = "runc"  # crun refuses cgroups in hybrid mode\n'
    return f"""\
[containers]
# Higher limits need CAP_SYS_RESOURCE.
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
# The default caps the whole node at 2048 processes.
pids_limit = 0
log_driver = "k8s-file"

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{RUN_FOLDER / "libpod"}"
{runtime}
[network]
network_backend = "netavark"
network_config_dir = "{folder / "networks"}"
"""


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _stop_helpers(folder: Path) -> None:
    """End what podman leaves running (conmon, aardvark-dns): processes whose command names our folders."""
    ours = (str(folder), str(RUN_FOLDER))
    for sign in (signal.SIGTERM, signal.SIGKILL):
        left = [pid for pid, command in _commands() if any(mark in command for mark in ours)]
        for pid in left:
            try:
                os.kill(pid, sign)
            except ProcessLookupError:
                continue
        if not left:
            return
        time.sleep(0.5)


def _commands() -> list[tuple[int, str]]:
    """Helpers of podman by process id, with their command lines."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if Path(words[0].decode(errors="replace")).name in {"conmon", "aardvark-dns", "netavark"}:
            found.append((int(entry.name), b" ".join(words).decode(errors="replace")))
    return found


def _drop_firewall_chains() -> None:
    """Remove netavark's chains, which it leaves behind empty, unless another podman's containers use them."""
    others = Path("/var/lib/containers/storage/overlay-containers/containers.json")
    if others.exists() and run(["podman", "ps", "--quiet"]).strip():
        return
    for table in ("nat", "filter"):
        listed = subprocess.run(["iptables-save", "-t", table], capture_output=True, text=True, check=False)
        if listed.returncode != 0:
            return
        lines = listed.stdout.splitlines()
        for line in lines:
            if line.startswith("-A ") and "NETAVARK" in line:
                subprocess.run(
                    ["iptables", "-t", table, "-D", *shlex.split(line[3:])], check=False, capture_output=True
                )
        chains = [line[1:].split()[0] for line in lines if line.startswith(":NETAVARK")]
        for action in ("-F", "-X"):
            for chain in chains:
                subprocess.run(["iptables", "-t", table, action, chain], check=False, capture_output=True)
