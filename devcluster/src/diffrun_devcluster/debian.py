"""Root file systems from Debian packages: the node's, and the base of the project's images.

The base stands in for python:3.11-slim-bookworm where that cannot be pulled.
"""

from __future__ import annotations

import os
from pathlib import Path

from diffrun_devcluster import cache
from diffrun_devcluster.commands import run
from diffrun_devcluster.progress import Progress
from diffrun_devcluster.settings import DEBIAN_SUITE, Layout, key_of

NODE_PACKAGES = (
    "systemd,systemd-sysv,containerd,runc,containernetworking-plugins,conntrack,iptables,nftables,iproute2,"
    "ethtool,util-linux,mount,kmod,procps,jq,curl,ca-certificates,e2fsprogs,socat,pigz,findutils,catatonit"
)
BASE_PACKAGES = "ca-certificates,libgomp1,python3,python3-venv,tzdata"
_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")


def node_rootfs(layout: Layout, progress: Progress) -> Path:
    """A tar of the node's root file system."""
    return _rootfs(layout, "node", NODE_PACKAGES, progress)


def base_rootfs(layout: Layout, progress: Progress) -> Path:
    """A tar of the base of the project's images."""
    return _rootfs(layout, "base", BASE_PACKAGES, progress)


def _rootfs(layout: Layout, purpose: str, packages: str, progress: Progress) -> Path:
    def build(folder: Path) -> None:
        mirror = os.environ.get("DIFFRUN_DEBIAN_MIRROR")
        with progress.step(f"Debian packages of the {purpose} image", 60):
            run(
                [
                    "mmdebstrap",
                    "--variant=minbase",
                    f"--include={packages}",
                    '--aptopt=Acquire::Retries "3"',
                    *[f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT],
                    DEBIAN_SUITE,
                    folder / "rootfs.tar",
                    *([mirror] if mirror else []),
                ],
                remedy="DIFFRUN_DEBIAN_MIRROR names another mirror.",
            )

    name = f"{purpose}-{key_of([DEBIAN_SUITE, packages, *_LEFT_OUT])}"
    return cache.entry(layout, name, build) / "rootfs.tar"
