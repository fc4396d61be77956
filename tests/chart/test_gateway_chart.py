"""What Helm renders of the gateway: it looks at runs, asks who somebody is, and is open only where that is said."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from generate import CHART

from diffrun_gateway import settings as gateway_settings

Object = dict[str, Any]


def template(*pairs: str, chart: Path = CHART) -> subprocess.CompletedProcess[str]:
    words = [word for pair in pairs for word in ("--set", pair)]
    command = ["helm", "template", "mine", str(chart), "--namespace", "team", "--kube-version", "1.34.0", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def notes(directory: Path, *pairs: str) -> str:
    """What an installation prints; `helm template` leaves it out, so a ConfigMap of a copy of the chart holds it."""
    chart = directory / "chart"
    shutil.copytree(CHART, chart)
    text = (chart / "templates" / "NOTES.txt").read_text()
    (chart / "templates" / "_notes.tpl").write_text('{{- define "notes" }}' + text + "{{ end }}")
    (chart / "templates" / "notes.yaml").write_text(
        '{apiVersion: v1, kind: ConfigMap, metadata: {name: notes}, data: {notes: {{ include "notes" . | toJson }}}}'
    )
    done = template(*pairs, chart=chart)
    assert done.returncode == 0, done.stderr
    objects = [each for each in yaml.safe_load_all(done.stdout) if each]
    return next(str(each["data"]["notes"]) for each in objects if each["metadata"]["name"] == "notes")


def rendered(*pairs: str) -> list[Object]:
    done = template(*pairs)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each and "gateway" in each["metadata"]["name"]]


def environment(objects: list[Object]) -> dict[str, Any]:
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    return {each["name"]: each.get("value", "from elsewhere") for each in container["env"]}


def pod(objects: list[Object]) -> Any:
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    return deployment["spec"]["template"]["spec"]


WAYS = {
    "defaults": [],
    "cluster-wide": ["clusterWide=true", "workspace.url=s3://bucket/runs"],
    "more namespaces": ["runNamespaces={a,b}"],
    "another Redis": ["redis.enabled=false", "redis.external.secretName=events"],
    "a Redis without passwords": ["redis.enabled=false", "redis.external.url=redis://there:6379/0"],
    "without sign-in": ["gateway.auth.enabled=false"],
    "behind a proxy": ["gateway.prefix=/diffrun", "gateway.hosts={runs.example.org,*.lab.example}"],
}


def test_the_pages_know_the_role_that_is_made_for_approvers_by_its_name() -> None:
    name = "DIFFRUN_GATEWAY_AUTH__APPROVER_ROLE"
    assert environment(rendered())[name] == "mine-approver"
    assert name not in environment(rendered("approver.create=false"))


@pytest.mark.parametrize("way", WAYS)
def test_the_gateway_takes_every_setting_that_the_chart_gives_it(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = environment(rendered(*WAYS[way]))
    for name, value in variables.items():
        monkeypatch.setenv(name, "redis://x" if value == "from elsewhere" else value)
    loaded = gateway_settings.load(variables)
    assert loaded.runs.source == "kubernetes"
    assert loaded.auth.mode == ("none" if way == "without sign-in" else "kubernetes")
    assert "mine-gateway.team.svc" in loaded.serve.hosts


def test_a_workspace_by_url_reaches_the_gateway_with_its_keys_and_without_a_volume() -> None:
    pairs = ["clusterWide=true", "workspace.url=s3://bucket/runs", "workspace.secretName=store"]
    objects = rendered(*pairs)
    assert environment(objects)["DIFFRUN_GATEWAY_WORKSPACE_URL"] == "s3://bucket/runs"
    assert "DIFFRUN_GATEWAY_WORKSPACE" not in environment(objects)
    assert [each["name"] for each in pod(objects)["volumes"]] == ["tmp"]
    assert pod(objects)["containers"][0]["envFrom"] == [{"secretRef": {"name": "store"}}]
    own = rendered(*pairs, "gateway.workspaceSecretName=store-reader")
    assert pod(own)["containers"][0]["envFrom"] == [{"secretRef": {"name": "store-reader"}}]


def test_a_mounted_workspace_gives_the_gateway_no_secret_of_the_workers() -> None:
    assert "envFrom" not in pod(rendered("workspace.secretName=keys"))["containers"][0]


def test_the_gateway_may_look_and_ask_and_nothing_else() -> None:
    rules = [rule for each in rendered("runNamespaces={other}") for rule in each.get("rules", [])]
    verbs = {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
    looks = {("diffusionruns", verb) for verb in ("get", "list", "watch")}
    assert verbs == looks | {("tokenreviews", "create"), ("subjectaccessreviews", "create")}


def test_without_sign_in_nobody_is_reviewed() -> None:
    rules = [rule for each in rendered("gateway.auth.enabled=false") for rule in each.get("rules", [])]
    assert {resource for rule in rules for resource in rule["resources"]} == {"diffusionruns"}


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        pytest.param(
            ["gateway.auth.enabled=false", "gateway.service.type=LoadBalancer"],
            "gateway.auth.enabled: false lets everybody look who reaches the Service",
            id="59 a public gateway without sign-in",
        ),
        pytest.param(
            ["gateway.auth.enabled=false", "gateway.hosts={runs.example.org}"],
            "gateway.hosts: names from outside the cluster need sign-in",
            id="a public name without sign-in",
        ),
        pytest.param(["gateway.replicas=2"], "at '/gateway/replicas': maximum: got 2, want 1", id="57 two replicas"),
        pytest.param(["gateway.prefix=diffrun"], "at '/gateway/prefix'", id="a prefix without its slash"),
        pytest.param(["gateway.atuh.enabled=false"], "additional properties 'atuh' not allowed", id="a misspelt key"),
    ],
)
def test_bad_values_are_refused_in_words(pairs: list[str], words: str) -> None:
    done = template(*pairs)
    assert done.returncode != 0
    assert words in done.stderr


@pytest.mark.parametrize(
    ("pairs", "others"),
    [
        pytest.param([], "", id="one namespace"),
        pytest.param(["runNamespaces={a,b}"], "a, b", id="claims of their own"),
        pytest.param(["runNamespaces={a,team}", "workspace.existingClaim=runs"], "a", id="a claim in each"),
        pytest.param(
            ["runNamespaces={a}", "singleNode=true", "workspace.hostPath=/runs"], "", id="one directory for all"
        ),
        pytest.param(
            ["runNamespaces={a}", "workspace.url=s3://b/x", "networkPolicies.workerEgress[0].ports[0].port=443"],
            "",
            id="a store for all",
        ),
    ],
)
def test_a_gateway_that_may_lack_files_of_other_namespaces_knows_it_and_the_notes_say_it(
    pairs: list[str], others: str, tmp_path: Path
) -> None:
    namespace = environment(rendered(*pairs)).get("DIFFRUN_GATEWAY_WORKSPACE_NAMESPACE")
    assert namespace == ("team" if others else None)
    assert (f"Of runs in {others} they show what Redis keeps" in notes(tmp_path, *pairs)) is bool(others)


def test_it_can_be_left_out() -> None:
    assert rendered("gateway.enabled=false") == []
