"""What a scenario does with its runs: start, follow, decide, look."""

import json
import subprocess
from collections.abc import Callable

from diffrun_contracts import names
from diffrun_contracts.reasons import EventReason
from diffrun_devcluster.kubectl import Kubectl, Manifest, condition, eventually

LIMIT = 180.0


class Runs:
    """Makes runs, follows them, and deletes them when the test is over."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl
        self.made: list[str] = []

    def start(self, manifest: Manifest) -> str:
        """Applies a run and returns its name."""
        self.kubectl.apply(manifest)
        name: str = manifest["metadata"]["name"]
        self.made.append(name)
        return name

    def get(self, name: str) -> Manifest:
        return self.kubectl.get("dfr", name)

    def patch_spec(self, name: str, **spec: object) -> None:
        """What a user does to a run with `kubectl patch`."""
        self.kubectl.run("patch", "dfr", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def until(self, name: str, what: str, met: Callable[[Manifest], bool], timeout: float = LIMIT) -> Manifest:
        """Follows a run until its object is as wanted."""
        return self.kubectl.watch("dfr", name, met, timeout, what)

    def until_condition(
        self, name: str, kind: str, reason: str = "", timeout: float = LIMIT, status: str = "True"
    ) -> Manifest:
        """Follows a run until a condition has a status (and a reason)."""

        def met(run: Manifest) -> bool:
            found = condition(run, kind)
            return found.get("status") == status and reason in ("", found["reason"])

        return self.until(name, f"{kind}={status} {reason}", met, timeout)

    def finished(self, name: str, timeout: float = LIMIT) -> Manifest:
        """Follows a run to its end."""
        return self.until_condition(name, "Finished", timeout=timeout)

    def until_block(self, name: str, block: str, state: str, timeout: float = LIMIT, reason: str = "") -> Manifest:
        """Follows a run until a block is in a state (for a reason)."""

        def met(run: Manifest) -> bool:
            line = ledger(run).get(block, {})
            return line.get("state") == state and reason in ("", line.get("reason"))

        return self.until(name, f"block {block} {state} {reason}", met, timeout)

    def until_posted(self, name: str, *reasons: EventReason, timeout: float = 30) -> dict[str, Manifest]:
        """Waits until Kubernetes Events with these reasons regard the run, as `kubectl describe` shows them."""
        regarding = f"involvedObject.kind={names.KIND},involvedObject.uid={self.get(name)['metadata']['uid']}"

        def posted() -> dict[str, Manifest] | None:
            found = {
                each["reason"]: each for each in self.kubectl.get("events", "--field-selector", regarding)["items"]
            }
            return found if found.keys() >= set(reasons) else None

        told: dict[str, Manifest] = eventually(posted, timeout, f"Events {', '.join(reasons)} of run {name}")
        return told

    def jobs(self, name: str) -> list[Manifest]:
        return self.kubectl.items("jobs", f"{names.LABEL_RUN}={name}")

    def pods(self, name: str) -> list[Manifest]:
        return self.kubectl.items("pods", f"{names.LABEL_RUN}={name}")

    def evict(self, pod: str) -> None:
        """What `kubectl drain` does to a pod."""
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
        path = f"/api/v1/namespaces/{self.kubectl.namespace}/pods/{pod}/eviction"
        self.kubectl.run("create", "--raw", path, "--filename", "-", stdin=json.dumps(eviction))

    def decide(self, name: str, gate: str, decision: str, user: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Patches a gate's decision, as the README shows it, as one user."""
        body = {"status": {"gates": {gate: {"decision": decision, "decidedBy": user, **more}}}}
        return self.kubectl.impersonating(user).try_run(
            "patch", "dfr", name, "--subresource=status", "--type=merge", "-p", json.dumps(body)
        )


def ledger(run: Manifest) -> dict[str, Manifest]:
    """The status' blocks by name."""
    return {line["name"]: line for line in run.get("status", {}).get("blocks", [])}


def states(run: Manifest) -> dict[str, str]:
    """The blocks' states by name."""
    return {name: line["state"] for name, line in ledger(run).items()}
