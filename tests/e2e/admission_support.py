"""An installation's rules without its operator: the CRD, the chart's RBAC and its admission policy, as rendered.

The operator's part is played by impersonating its service account, so a test can put a run into any state.
"""

import itertools
import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from diffrun_devcluster.kubectl import Kubectl
from diffrun_devcluster.release import install_crds

ROOT = Path(__file__).parents[2]
NOW = "2026-01-02T03:04:05Z"
DIGEST = "sha256:" + "1" * 64

Result = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Rules:
    """One release's rules, in a namespace of their own."""

    kubectl: Kubectl
    release: str
    namespace: str
    policy: str
    """The name of the policy and of its binding."""

    @property
    def operator(self) -> str:
        return f"system:serviceaccount:{self.namespace}:{self.release}-operator"

    def approver(self, user: str) -> str:
        """Binds the chart's approver role to a user; its name."""
        self.kubectl.run("create", "rolebinding", user, f"--clusterrole={self.release}-approver", f"--user={user}")
        return user

    def run(self, name: str, status: dict[str, Any] | None = None, **spec: Any) -> str:
        """Creates a run, with a status as the operator would write it."""
        self.kubectl.apply(manifest(name, **spec))
        if status is not None:
            done = self.patch_status(name, status, self.operator)
            assert done.returncode == 0, done.stderr
        return name

    def patch_status(self, name: str, status: Any, user: str | None = None) -> Result:
        """Patches the status as somebody, by default as the cluster's administrator."""
        who = self.kubectl if user is None else self.kubectl.impersonating(user)
        patch = json.dumps({"status": status})
        return who.try_run("patch", "dfr", name, "--subresource=status", "--type=merge", "-p", patch)

    def patch_spec(self, name: str, spec: Any, user: str | None = None) -> Result:
        who = self.kubectl if user is None else self.kubectl.impersonating(user)
        return who.try_run("patch", "dfr", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def decide(self, name: str, user: str, **fields: str) -> Result:
        """Decides the gate `preview` as the README shows it."""
        decision = {"decision": "Approved", "decidedBy": user, **fields}
        return self.patch_status(name, {"gates": {"preview": decision}}, user)

    def gate(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.kubectl.get("dfr", name)["status"]["gates"]["preview"]
        return found


def manifest(name: str, **spec: Any) -> dict[str, Any]:
    """A run of two blocks with a gate between them, and a custom block with free parameters."""
    blocks = [
        {"name": "preview", "generatePreview": {"samples": 2}, "gate": {"prompt": "Good?"}},
        {"name": "full", "generateFull": {"samples": 4}},
        {"name": "own", "custom": {"type": "test.sleep", "params": {"deep": {"list": [1, 2]}}}},
    ]
    return {
        "apiVersion": "diffrun.dev/v1alpha1",
        "kind": "DiffusionRun",
        "metadata": {"name": name},
        "spec": {"blocks": blocks, **spec},
    }


def waiting(**gate: Any) -> dict[str, Any]:
    """The status of a run whose gate waits."""
    return {
        "observedGeneration": 1,
        "startTime": NOW,
        "currentBlock": "preview",
        "done": "1/3",
        "progress": "2/2",
        "blocks": [
            {"name": "preview", "state": "Succeeded", "reason": "Completed", "attempt": 1, "outputs": {"samples": 2}},
            {"name": "full", "reason": "WaitingForGate"},
            {"name": "own"},
        ],
        "gates": {"preview": {"state": "Waiting", "openedAt": NOW, "previewDigest": DIGEST, **gate}},
        "conditions": [
            {
                "type": "GatePending",
                "status": "True",
                "reason": "GatePending",
                "lastTransitionTime": NOW,
                "observedGeneration": 1,
            }
        ],
    }


def ensure_crd(cluster: Kubectl) -> None:
    """Applies the CRD and waits until it is served; a no-op where it is."""
    install_crds(cluster)


@contextmanager
def rules(cluster: Kubectl, release: str = "rules") -> Iterator[Rules]:
    """A namespace with a release's RBAC and policy, both in force; all of it is deleted afterwards."""
    ensure_crd(cluster)
    namespace = f"rules-{uuid.uuid4().hex[:8]}"
    release = f"{release}-{namespace[-8:]}"
    cluster.run("create", "namespace", namespace)
    rendered = render(release, namespace)
    here = Rules(cluster.within(namespace), release, namespace, policy_in(rendered))
    try:
        here.kubectl.run("apply", "-f", "-", stdin=rendered)
        # kubectl patch reads the subresource first, which the operator itself never does.
        here.kubectl.run("create", "role", "reader", "--verb=get", "--resource=diffusionruns.diffrun.dev/status")
        here.kubectl.run("create", "rolebinding", "reader", "--role=reader", f"--user={here.operator}")
        _until_in_force(here)
        yield here
    finally:
        here.kubectl.run("delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=rendered)
        cluster.run("delete", "namespace", namespace, "--wait=false")


def render(release: str, namespace: str) -> str:
    """The chart's RBAC and admission policy."""
    chart = str(ROOT / "charts" / "diffrun")
    values = str(ROOT / "charts" / "diffrun" / "ci" / "kind-values.yaml")
    return subprocess.run(
        ["helm", "template", release, chart, "--namespace", namespace, "--kube-version", "1.34.0", "--values", values,
         "--show-only", "templates/rbac.yaml", "--show-only", "templates/admission.yaml"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip


def policy_in(rendered: str) -> str:
    """The name of the one policy among rendered objects."""
    objects = [each for each in yaml.safe_load_all(rendered) if each]
    (name,) = [each["metadata"]["name"] for each in objects if each["kind"] == "ValidatingAdmissionPolicy"]
    return str(name)


def _until_in_force(here: Rules, limit: float = 60.0) -> None:
    """The API server takes up a new policy within moments: tries a forgery until it is refused."""
    here.run("probe")
    deadline = time.monotonic() + limit
    tries = itertools.count(1)  # each must change something: a patch that does not is never refused
    while here.patch_status("probe", {"observedGeneration": next(tries)}).returncode == 0:
        if time.monotonic() > deadline:
            raise AssertionError(f"the policy {here.policy} was not in force after {limit:.0f} s")
    here.kubectl.run("delete", "dfr", "probe")
