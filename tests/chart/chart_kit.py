"""Renders the chart, for the tests of what it renders. Needs helm."""

import subprocess
from typing import Any

import yaml
from generate import CHART

KIND = CHART / "ci" / "kind-values.yaml"
DIGEST = "sha256:" + "a" * 64
Object = dict[str, Any]


def helm(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["helm", *args], capture_output=True, text=True, check=False)


def template(*args: str, namespace: str = "team") -> subprocess.CompletedProcess[str]:
    return helm("template", "mine", str(CHART), "--namespace", namespace, "--kube-version", "1.34.0", *args)


def settings(*pairs: str) -> list[str]:
    return [word for pair in pairs for word in ("--set", pair)]


def rendered(*pairs: str, namespace: str = "team") -> list[Object]:
    done = template(*settings(*pairs), namespace=namespace)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def find(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = [each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def environment(objects: list[Object]) -> dict[str, Any]:
    pod = find(objects, "Deployment", "mine-operator")["spec"]["template"]["spec"]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in pod["containers"][0]["env"]}
