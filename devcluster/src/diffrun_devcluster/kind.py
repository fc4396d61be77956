"""The cluster itself: kind's configuration, creation, health and deletion."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from diffrun_devcluster.commands import run, works
from diffrun_devcluster.errors import CommandFailedError
from diffrun_devcluster.settings import CLUSTER, NODE, NODE_PORT, NODE_WORKSPACES

# A claim that finds its volume at once waits for the next look at it: 15 s by default.
_CONTROLLERS = {"concurrent-job-syncs": "30", "pvclaimbinder-sync-period": "1s"}
# The defaults let the Job controller make 3 Jobs a second; with these it makes 30.
_CLIENT_LIMITS = {"kube-api-qps": "500", "kube-api-burst": "800"}
CREATE_SECONDS = 30


@dataclass(frozen=True)
class Kind:
    """kind with its provider: `engine` is docker or podman, `env` what leads kind and the engine to it."""

    program: str
    engine: str
    env: Mapping[str, str]

    def exists(self) -> bool:
        """Whether the node's container is there, running or not."""
        return works([self.engine, "container", "inspect", NODE], env=self.env)

    def healthy(self, kubectl: str, kubeconfig: Path) -> bool:
        """Whether the API server answers that it is ready."""
        return kubeconfig.exists() and works(
            [kubectl, "--kubeconfig", kubeconfig, "--request-timeout=5s", "get", "--raw", "/readyz"], env=self.env
        )

    def create(self, image: str, config: Path, kubeconfig: Path) -> None:
        """Create the cluster; a failed one is taken away again, its last words are in the error."""
        try:
            run(
                [
                    self.program,
                    "create",
                    "cluster",
                    "--name",
                    CLUSTER,
                    "--image",
                    image,
                    "--config",
                    config,
                    "--kubeconfig",
                    kubeconfig,
                    "--wait",
                    "120s",
                    "--retain",
                ],
                env=self.env,
                timeout=600,
            )
        except CommandFailedError as failed:
            journal = self._journal()
            self.delete(kubeconfig)
            raise CommandFailedError(
                ["kind", "create", "cluster"], failed.status, f"{failed.output}\n{journal}"
            ) from failed

    def delete(self, kubeconfig: Path) -> None:
        """Delete the cluster, its container and its volume."""
        run(
            [self.program, "delete", "cluster", "--name", CLUSTER, "--kubeconfig", kubeconfig],
            env=self.env,
            timeout=180,
        )

    def prepare(self, kubectl: str, kubeconfig: Path) -> None:
        """Make the workspaces' directory and wait until pods can be made."""
        run([self.engine, "exec", NODE, "install", "-d", "-m", "1777", NODE_WORKSPACES], env=self.env)
        limit = time.monotonic() + 60
        while not works([kubectl, "--kubeconfig", kubeconfig, "get", "serviceaccount", "default"], env=self.env):
            if time.monotonic() > limit:
                raise CommandFailedError(["kubectl", "get", "serviceaccount", "default"], 1, "none after 60 s")
            time.sleep(0.3)

    def _journal(self) -> str:
        try:
            return run(
                [
                    self.engine,
                    "exec",
                    NODE,
                    "journalctl",
                    "--no-pager",
                    "-n",
                    "20",
                    "-u",
                    "kubelet",
                    "-u",
                    "containerd",
                ],
                env=self.env,
                timeout=20,
            )
        except CommandFailedError as failed:
            return failed.output


def configuration(*, port: int, store: Path | None) -> str:
    """kind's configuration; with a store of ours come our own containerd and network."""
    node: dict[str, Any] = {
        "role": "control-plane",
        "extraPortMappings": [
            {"containerPort": NODE_PORT, "hostPort": port, "listenAddress": "127.0.0.1", "protocol": "TCP"}
        ],
    }
    cluster: dict[str, Any] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": CLUSTER,
        "nodes": [node],
        "kubeadmConfigPatches": [yaml.safe_dump(_kubeadm_patch())],
    }
    if store is not None:
        node["extraMounts"] = [{"hostPath": str(store), "containerPath": "/var/lib/containerd"}]
        cluster["networking"] = {"disableDefaultCNI": True, "podSubnet": "10.244.0.0/16"}
    return str(yaml.safe_dump(cluster, sort_keys=False))


def _kubeadm_patch() -> dict[str, Any]:
    return {
        "kind": "ClusterConfiguration",
        "controllerManager": {"extraArgs": {**_CLIENT_LIMITS, **_CONTROLLERS}},
        "scheduler": {"extraArgs": dict(_CLIENT_LIMITS)},
    }


def context_of(kubectl: str) -> dict[str, str]:
    """Name and server of the current context, for CLUSTER=existing."""
    view = json.loads(run([kubectl, "config", "view", "--minify", "-o", "json"], remedy="No current context."))
    return {"context": view["current-context"], "server": view["clusters"][0]["cluster"]["server"]}
