"""Reads a workspace's files through a small pod: works on any cluster, whatever the volume is."""

import io
import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from diffrun_contracts import names
from diffrun_devcluster.kubectl import Kubectl, KubectlError, Manifest

POD = "workspace-reader"


@dataclass(frozen=True)
class WorkspaceReader:
    """The files of one workspace claim."""

    kubectl: Kubectl
    claim: str
    image: str

    def fetch(self, path: str, into: Path) -> list[Path]:
        """Copies a folder of the workspace to this machine; returns the files, sorted."""
        self._ensure_pod()
        command = self.kubectl.command("exec", POD, "--", "tar", "-C", names.WORKSPACE_MOUNT, "-cf", "-", path)
        done = subprocess.run(command, capture_output=True, check=False, env=self.kubectl.environment())
        if done.returncode != 0:
            raise KubectlError(f"{path}: {done.stderr.decode().strip()}")
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(into, filter="data")
        return sorted(file for file in (into / path).rglob("*") if file.is_file())

    def read(self, path: str) -> str:
        """One text file."""
        self._ensure_pod()
        return self.kubectl.run("exec", POD, "--", "cat", f"{names.WORKSPACE_MOUNT}/{path}")

    def events(self, uid: str, block: str, attempt: int = 1, shard: int = 0, retry: int = 0) -> list[Manifest]:
        """The durable events of one pod, in order."""
        text = self.read(f"{names.retry_dir(uid, block, attempt, shard, retry)}/{names.EVENTS_FILE}")
        return [json.loads(line) for line in text.splitlines()]

    def _ensure_pod(self) -> None:
        if self.kubectl.find("pod", POD) is None:
            self.kubectl.apply(self._pod())
        self.kubectl.wait(f"pod/{POD}", "condition=Ready", 60)

    def _pod(self) -> Manifest:
        container: Manifest = {
            "name": "reader",
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sleep", "infinity"],
            "volumeMounts": [{"name": "workspace", "mountPath": names.WORKSPACE_MOUNT, "readOnly": True}],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        security: Manifest = {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": POD},
            "spec": {
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 0,
                "securityContext": security,
                "containers": [container],
                "volumes": [{"name": "workspace", "persistentVolumeClaim": {"claimName": self.claim}}],
            },
        }
