"""kubectl as a library: what the demo and the end-to-end tests do, a user could type."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

Manifest = dict[str, Any]


class KubectlError(Exception):
    """kubectl has failed; the message is what it printed."""


class NotInTimeError(Exception):
    """A condition did not come true; the message says which, and what was seen last."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl with a fixed configuration, namespace and identity."""

    kubeconfig: Path | None = None
    namespace: str | None = None
    user: str | None = None
    env: dict[str, str] = field(default_factory=dict)

    def within(self, namespace: str) -> "Kubectl":
        """The same, in another namespace."""
        return replace(self, namespace=namespace)

    def impersonating(self, user: str) -> "Kubectl":
        """The same, as another user."""
        return replace(self, user=user)

    def environment(self) -> dict[str, str]:
        """The environment for kubectl, and for helm beside it."""
        return {**os.environ, **self.env, **({"KUBECONFIG": str(self.kubeconfig)} if self.kubeconfig else {})}

    def command(self, *args: str) -> list[str]:
        """The command line for these arguments."""
        scope = ["--namespace", self.namespace] if self.namespace else []
        identity = ["--as", self.user] if self.user else []
        return ["kubectl", *scope, *identity, *args]

    def try_run(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs kubectl and leaves the judgement of its exit code to the caller."""
        return subprocess.run(
            self.command(*args), input=stdin, capture_output=True, text=True, check=False, env=self.environment()
        )

    def run(self, *args: str, stdin: str | None = None) -> str:
        """Runs kubectl and returns what it prints; raises KubectlError with its own words."""
        done = self.try_run(*args, stdin=stdin)
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(args)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def get(self, *args: str) -> Manifest:
        """One object, or a List."""
        loaded: Manifest = json.loads(self.run("get", *args, "--output", "json"))
        return loaded

    def find(self, kind: str, name: str) -> Manifest | None:
        """One object, None where there is none of that name."""
        text = self.run("get", kind, name, "--ignore-not-found", "--output", "json")
        return json.loads(text) if text.strip() else None

    def items(self, kind: str, selector: str = "") -> list[Manifest]:
        """All objects of a kind, by label selector."""
        found: list[Manifest] = self.get(kind, *(["--selector", selector] if selector else []))["items"]
        return found

    def apply(self, *manifests: Manifest) -> None:
        """Applies objects."""
        self.run("apply", "--filename", "-", stdin=as_list(manifests))

    def create(self, *manifests: Manifest) -> None:
        """Creates objects that must not be there yet."""
        self.run("create", "--filename", "-", stdin=as_list(manifests))

    def wait(self, what: str, condition: str, timeout: float) -> None:
        """`kubectl wait`: on a condition, a jsonpath or `delete`."""
        self.run("wait", what, f"--for={condition}", f"--timeout={int(timeout)}s")

    def watch(self, kind: str, name: str, met: Callable[[Manifest], bool], timeout: float, what: str) -> Manifest:
        """Follows one object until `met`, by a watch and not by polling; returns it as it was then."""
        # Not by its name: kubectl then leaves out the first event of its watch as a repetition of what it has
        # printed, and with it a change between the two.
        one = ("--field-selector", f"metadata.name={name}")
        last: Manifest = {}
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            with self._stream(
                "get", kind, *one, "--watch", "--output", "json", f"--request-timeout={left:.1f}s"
            ) as seen:
                for last in seen:
                    if met(last):
                        return last
            time.sleep(0.2)  # the API server has closed the watch
        shown = json.dumps(last.get("status", last), indent=1)
        raise NotInTimeError(f"{kind}/{name}: not within {timeout:.0f} s: {what}; last seen:\n{shown}")

    @contextmanager
    def _stream(self, *args: str) -> Iterator[Iterator[Manifest]]:
        process = subprocess.Popen(
            self.command(*args), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self.environment()
        )
        try:
            yield _objects(process)
        finally:
            process.kill()
            process.communicate()


def _objects(process: "subprocess.Popen[str]") -> Iterator[Manifest]:
    """The JSON objects of a watch, as they come: each ends with a brace in the first column."""
    assert process.stdout is not None  # noqa: S101 - it was opened with a pipe
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.rstrip("\n") == "}":
            yield json.loads("".join(lines))
            lines = []


def as_list(manifests: Sequence[Manifest]) -> str:
    """Several objects as one JSON document for `kubectl --filename -`."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})


def eventually(met: Callable[[], Any], timeout: float, what: str) -> Any:
    """Asks until the answer is truthy and returns it; for what no watch can tell."""
    deadline = time.monotonic() + timeout
    answer: Any = None
    while time.monotonic() < deadline:
        answer = met()
        if answer:
            return answer
        time.sleep(0.25)
    raise NotInTimeError(f"not within {timeout:.0f} s: {what}; last answer: {answer!r}")


def condition(run: Manifest, kind: str) -> Manifest:
    """A condition of an object, empty where it has none of that type."""
    for entry in run.get("status", {}).get("conditions") or []:  # a new CRD has a null there
        if entry["type"] == kind:
            found: Manifest = entry
            return found
    return {}
