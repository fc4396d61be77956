"""The versions, names and places of the development cluster: every constant another part may need."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from diffrun_devcluster.errors import UnsupportedError

CLUSTER = "diffrun"
NODE = f"{CLUSTER}-control-plane"
NAMESPACE_OF_IMAGES = "k8s.io"

# A directory of the node, mode 1777, for static hostPath volumes: the built-in provisioner's
# directories are root's alone, so that pods without root could not write there.
NODE_WORKSPACES = "/var/lib/diffrun/workspaces"
NODE_PORT = 30080

KUBERNETES = "v1.34.4"
DEBIAN_SUITE = "bookworm"
# The newest 1.34 that kind publishes under a name which does not move.
PULLED_NODE_IMAGE = "kindest/node:v1.34.0"
# What kubeadm of this Kubernetes asks for.
COREDNS_IMAGE = "registry.k8s.io/coredns/coredns:v1.12.1"
ETCD_IMAGE = "registry.k8s.io/etcd:3.6.5-0"
PAUSE_IMAGE = "registry.k8s.io/pause:3.10.1"


@dataclass(frozen=True)
class Layout:
    """Where things lie: what is built once (`cache`) and what one cluster owns (`state`)."""

    repo: Path
    cache: Path
    existing: bool = False

    @property
    def state(self) -> Path:
        """All files of the running cluster; `down` removes it. On the cache's file system, for hard links."""
        return self.cache / ("existing" if self.existing else "cluster")

    @property
    def temporary(self) -> Path:
        """Unfinished builds; emptied at the next start."""
        return self.cache / "tmp"

    @property
    def kubeconfig(self) -> Path:
        """The cluster's own kubeconfig; the user's is never touched."""
        return self.state / "kubeconfig"

    @property
    def images(self) -> Path:
        """JSON: image name to the reference that the cluster knows."""
        return self.state / "images.json"

    @property
    def recipes(self) -> Path:
        """Go modules and the node's files."""
        return self.repo / "devcluster"


def layout(environ: Mapping[str, str] = os.environ) -> Layout:
    """The layout of this checkout and this user."""
    base = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME", "/root")) / ".cache")
    cluster = environ.get("CLUSTER") or "kind"
    if cluster not in {"kind", "existing"}:
        raise UnsupportedError(f"CLUSTER={cluster} is unknown.", "CLUSTER is kind (the default) or existing.")
    return Layout(
        repo=Path(__file__).resolve().parents[3],
        cache=Path(base).resolve() / "diffrun",
        existing=cluster == "existing",
    )


def host_port(environ: Mapping[str, str] = os.environ) -> int:
    """The port of 127.0.0.1 that leads to NODE_PORT."""
    text = environ.get("DIFFRUN_PORT") or str(NODE_PORT)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise UnsupportedError(f"DIFFRUN_PORT={text} is no port.", "Give a number from 1 to 65535.")
    return int(text)


def key_of(parts: Iterable[str | Path]) -> str:
    """A content key: of strings as they are, of files and folders by relative name and content."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(b"s" + part.encode() + b"\0")
            continue
        for file in files_below(part):
            name = str(file.relative_to(part)) if part.is_dir() else file.name
            digest.update(b"f" + name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def files_below(path: Path) -> list[Path]:
    """The files at or below a path in a stable order, without what tools leave behind."""
    if path.is_file():
        return [path]
    return sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and not file.name.endswith(".pyc")
    )
