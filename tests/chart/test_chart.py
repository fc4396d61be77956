"""What Helm renders: it meets the restricted Pod Security Standard, and each part gets what it needs. Needs helm."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from chart_kit import DIGEST, KIND, Object, environment, find, helm, rendered, settings, template
from generate import CHART, MANIFESTS, install_manifest

from diffrun_contracts import names
from diffrun_devcluster.release import volume_values


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    for each in objects:
        if each["kind"] == "Pod":
            yield each["metadata"]["name"], each["spec"]
        elif "template" in each.get("spec", {}):
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


EXISTING = ["--values", str(KIND), *settings(*(f"{key}={value}" for key, value in volume_values(True).items()))]
WAYS: dict[str, list[str]] = {
    "defaults": [],
    "kind": ["--values", str(KIND)],
    "an existing cluster": EXISTING,
    "plain install": ["--values", str(MANIFESTS / "install-values.yaml")],
    "cluster-wide": settings("clusterWide=true", "workspace.url=s3://bucket/runs"),
    "more namespaces": settings("runNamespaces={team-a,team-b}"),
    "another Redis": settings("redis.enabled=false", "redis.external.secretName=events"),
    "digests": settings(
        "strictImages=true",
        *(f"{part}.image.digest={DIGEST}" for part in ("operator", "worker", "redis", "gateway")),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_chart_lints(way: str) -> None:
    done = helm("lint", "--strict", str(CHART), "--kube-version", "1.34.0", *WAYS[way])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("way", WAYS)
def test_every_pod_meets_the_restricted_standard(way: str) -> None:
    done = template(*WAYS[way])
    assert done.returncode == 0, done.stderr
    found = list(pods(list(yaml.safe_load_all(done.stdout))))
    assert {name for name, _ in found} >= {"mine-operator", "mine-test"}
    for name, pod in found:
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not pod.get("hostNetwork"), name
        for volume in pod.get("volumes", []):
            assert set(volume) & {"emptyDir", "configMap", "secret", "persistentVolumeClaim"}, name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert {"requests", "limits"} <= set(container["resources"]), name


def test_one_operator_is_recreated_never_rolled() -> None:
    spec = find(rendered(), "Deployment", "mine-operator")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_each_run_namespace_gets_what_its_runs_need() -> None:
    objects = rendered("runNamespaces={other}")
    for namespace in ("team", "other"):
        kinds = {each["kind"] for each in objects if each["metadata"].get("namespace") == namespace}
        assert {"ServiceAccount", "Secret", "PersistentVolumeClaim", "Role", "RoleBinding", "NetworkPolicy"} <= kinds
    foreign = [each for each in objects if each["kind"] == "Secret" and each["metadata"]["namespace"] == "other"]
    assert [(each["metadata"]["name"], set(each["stringData"])) for each in foreign] == [("mine-worker-redis", {"url"})]
    policy = find(objects, "ValidatingAdmissionPolicy", "gates.mine.team.diffrun.dev")
    (match,) = policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert match["values"] == ["team", "other"]
    assert environment(objects)["DIFFRUN_WATCH__NAMESPACES"] == '["team","other"]'


@pytest.mark.parametrize("namespace", ["y", "on", "123", "null"])
def test_a_namespace_that_yaml_would_take_for_something_else_stays_a_name(namespace: str) -> None:
    objects = rendered(namespace=namespace)
    assert {each["metadata"].get("namespace", namespace) for each in objects} == {namespace}
    policy = find(objects, "ValidatingAdmissionPolicy", f"gates.mine.{namespace}.diffrun.dev")
    (match,) = policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert match["values"] == [namespace]


def test_serving_every_namespace_selects_none() -> None:
    objects = rendered("clusterWide=true", "workspace.url=s3://bucket/runs")
    policy = find(objects, "ValidatingAdmissionPolicy", "gates.mine.team.diffrun.dev")
    assert "namespaceSelector" not in policy["spec"]["matchConstraints"]
    assert environment(objects)["DIFFRUN_WATCH__CLUSTER_WIDE"] == "true"
    assert not [each for each in objects if each["kind"] in ("Role", "PersistentVolumeClaim")]


def test_passwords_are_generated_and_agree_wherever_they_stand() -> None:
    objects = rendered()
    secret = find(objects, "Secret", "mine-redis")["stringData"]
    words = {secret[f"password-{user}"] for user in ("operator", "worker", "reader")}
    assert len(words) == 3
    assert all(len(word) == 32 for word in words)
    assert find(objects, "Secret", "mine-worker-redis")["stringData"]["url"] == secret["url-worker"]
    assert not any(word in secret["users.acl"] for word in words)
    assert find(rendered(), "Secret", "mine-redis")["stringData"]["password-worker"] not in words


def test_each_claim_on_a_directory_of_the_node_names_the_one_volume_that_is_kept_for_it() -> None:
    directories = ("singleNode=true", "workspace.hostPath=/data", "redis.persistence.hostPath=/data")
    objects = rendered(*directories, "runNamespaces={other}")
    claims = {
        each["spec"]["volumeName"]: (each["metadata"]["namespace"], each["metadata"]["name"])
        for each in objects
        if each["kind"] == "PersistentVolumeClaim"
    }
    volumes = {
        each["metadata"]["name"]: (each["spec"]["claimRef"]["namespace"], each["spec"]["claimRef"]["name"])
        for each in objects
        if each["kind"] == "PersistentVolume"
    }
    assert claims == volumes
    assert sorted(claims.values()) == [("other", "mine-workspace"), ("team", "mine-redis"), ("team", "mine-workspace")]


def test_the_workspace_outlives_the_release() -> None:
    for pairs in ((), ("singleNode=true", "workspace.hostPath=/data")):
        claim = find(rendered(*pairs), "PersistentVolumeClaim", "mine-workspace")
        assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_only_what_fetches_something_reaches_beyond_redis_and_dns() -> None:
    objects = rendered()
    everyone = find(objects, "NetworkPolicy", "mine-worker")["spec"]
    assert everyone["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in everyone
    assert [port["port"] for rule in everyone["egress"] for port in rule["ports"]] == [53, 53, 6379]
    fetching = find(objects, "NetworkPolicy", "mine-worker-hub")["spec"]
    assert fetching["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/managed-by": "diffrun",
        names.LABEL_EGRESS: names.EGRESS_HUB,
    }


@pytest.mark.parametrize(
    ("pairs", "fenced"),
    [
        ((), "true"),
        (("networkPolicies.enabled=false",), "false"),
        (("clusterWide=true", "workspace.url=s3://bucket/runs"), "false"),
    ],
    ids=["defaults", "no policies", "cluster-wide"],
)
def test_the_operator_opens_a_fence_only_where_the_chart_puts_one_up(pairs: tuple[str, ...], fenced: str) -> None:
    """A policy that selects pods denies them all else: where no other policy lets them out, it would lock them in."""
    objects = rendered(*pairs)
    workers = [
        each
        for each in objects
        if each["kind"] == "NetworkPolicy" and each["metadata"]["name"].startswith("mine-worker")
    ]
    assert environment(objects)["DIFFRUN_WORKER__FENCED"] == fenced == str(bool(workers)).lower()


def test_a_runs_own_code_is_refused_unless_the_installation_allows_it() -> None:
    assert environment(rendered())["DIFFRUN_WORKER__ALLOW_USER_CODE"] == "false"
    assert environment(rendered("worker.allowUserCode=true"))["DIFFRUN_WORKER__ALLOW_USER_CODE"] == "true"


def test_the_operators_settings_take_what_the_chart_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    from diffrun_operator.environment import load

    for way in WAYS.values():
        done = template(*way)
        variables = environment(list(yaml.safe_load_all(done.stdout)))
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value if isinstance(value, str) else "from-elsewhere")
            settings = load()
        assert settings.gates.policy == "gates.mine.team.diffrun.dev"


def test_the_plain_install_is_what_the_chart_renders() -> None:
    assert (MANIFESTS / "install.yaml").read_text() == install_manifest(), "run python -m tools.generate"


def test_helm_knows_nothing_of_the_ci_values() -> None:
    """They name the development cluster and have no place in a packaged chart."""
    assert "ci/" in (Path(CHART) / ".helmignore").read_text().splitlines()


def test_an_existing_cluster_is_asked_for_claims_of_its_default_class_that_one_node_may_mount() -> None:
    done = template(*EXISTING)
    assert done.returncode == 0, done.stderr
    objects = [document for document in yaml.safe_load_all(done.stdout) if document]
    assert "PersistentVolume" not in {each["kind"] for each in objects}
    (template_of_redis,) = find(objects, "StatefulSet", "mine-redis")["spec"]["volumeClaimTemplates"]
    for claim in (find(objects, "PersistentVolumeClaim", "mine-workspace"), template_of_redis):
        assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
        assert not {"storageClassName", "volumeName"} & set(claim["spec"])
