"""Which way to a cluster this machine has: a pulled kind node, one built from packages, or a cluster that is there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum

from diffrun_devcluster.commands import works
from diffrun_devcluster.errors import UnsupportedError
from diffrun_devcluster.settings import PULLED_NODE_IMAGE, Layout

_PROBE_SECONDS = 20.0


class Provider(StrEnum):
    """Who runs the node, and where its image comes from."""

    DOCKER = "docker"  # kindest/node, pulled
    PODMAN = "podman"  # kindest/node, pulled by the machine's podman
    PACKAGES = "packages"  # our own node image in a podman of our own
    EXISTING = "existing"  # the current context of the user's kubeconfig


def choose(layout: Layout, environ: Mapping[str, str] = os.environ) -> Provider:
    """What runs already stays; then what the user says; then what works."""
    if layout.existing:
        return Provider.EXISTING
    recorded = layout.state / "provider"
    if recorded.exists():
        return Provider(recorded.read_text().strip())
    said = environ.get("DIFFRUN_PROVIDER")
    if said:
        allowed = [provider.value for provider in Provider if provider is not Provider.EXISTING]
        if said not in allowed:
            raise UnsupportedError(f"DIFFRUN_PROVIDER={said} is unknown.", f"It is one of: {', '.join(allowed)}.")
        return Provider(said)
    for provider in (Provider.DOCKER, Provider.PODMAN):
        if _can_pull(provider.value):
            return provider
    return Provider.PACKAGES


def record(layout: Layout, provider: Provider) -> None:
    """Remember who runs the cluster, for the commands after `up`."""
    layout.state.mkdir(parents=True, exist_ok=True)
    (layout.state / "provider").write_text(f"{provider}\n")


def _can_pull(engine: str) -> bool:
    if not works([engine, "info"], timeout=_PROBE_SECONDS):
        return False
    if works([engine, "image", "inspect", PULLED_NODE_IMAGE], timeout=_PROBE_SECONDS):
        return True
    return works([engine, "manifest", "inspect", f"docker.io/{PULLED_NODE_IMAGE}"], timeout=_PROBE_SECONDS)
