"""Settings from the environment, and what a mistake there says."""

import json
import logging
import os
import sys

import kopf
import pytest

from diffrun_operator import app, connection, handlers, logs
from diffrun_operator.__main__ import EXIT_CONFIG, main
from diffrun_operator.environment import SettingsError, load
from diffrun_operator.resync import WatchTracker
from diffrun_operator.settings import Settings
from diffrun_operator.store import Kind

MINIMAL = {
    "DIFFRUN_WORKER__IMAGE": "worker:1",
    "DIFFRUN_WORKSPACE__CLAIM": "runs",
    "DIFFRUN_GATES__POLICY": "p",
    "DIFFRUN_GATES__BINDING": "b",
}


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in [name for name in os.environ if name.startswith("DIFFRUN_")]:
        monkeypatch.delenv(name)


def loaded(monkeypatch, **changes):
    for name, value in (MINIMAL | changes).items():
        if value is not None:
            monkeypatch.setenv(name, value)
    return load()


def test_four_variables_are_enough_and_mean_the_own_namespace_and_one_gpu(monkeypatch):
    settings = loaded(monkeypatch, DIFFRUN_RELEASE__NAMESPACE="team")
    assert settings.namespaces == ("team",)
    assert settings.worker.gpus == 1
    assert settings.workspace.location == "/workspace"


def test_lists_and_objects_are_json(monkeypatch):
    settings = loaded(
        monkeypatch,
        DIFFRUN_WATCH__NAMESPACES='["a", "b"]',
        DIFFRUN_WORKER__RESOURCES='{"requests": {"cpu": "1", "ephemeral-storage": "1Gi"}}',
        DIFFRUN_WORKER__TOLERATIONS='[{"key": "spot", "operator": "Exists", "tolerationSeconds": 3}]',
        DIFFRUN_WORKER__REDIS_SECRET='{"name": "redis", "key": "url"}',
    )
    assert settings.namespaces == ("a", "b")
    assert settings.worker.resources.requests.ephemeral_storage == "1Gi"
    assert settings.worker.tolerations[0].toleration_seconds == 3
    assert settings.worker.redis_secret.key == "url"


def test_the_password_does_not_show_in_a_printed_setting(monkeypatch):
    settings = loaded(monkeypatch, DIFFRUN_REDIS__PASSWORD="canary")
    assert "canary" not in repr(settings)
    assert settings.redis.password.get_secret_value() == "canary"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"DIFFRUN_WORKER__IMAGE": None}, "DIFFRUN_WORKER: Field required", id="no image"),
        pytest.param({"DIFFRUN_WORKER__GPUS": "-1"}, "DIFFRUN_WORKER__GPUS: Input should be greater", id="range"),
        pytest.param({"DIFFRUN_WORKER__IMGAE": "x"}, "no such setting: DIFFRUN_WORKER__IMGAE", id="misspelt"),
        pytest.param({"DIFFRUN_WROKER__IMAGE": "x"}, "no such setting: DIFFRUN_WROKER__IMAGE", id="misspelt group"),
        pytest.param(
            {"DIFFRUN_WORKSPACE__URL": "s3://x"}, "DIFFRUN_WORKSPACE: Value error, set exactly one", id="two workspaces"
        ),
        pytest.param({"DIFFRUN_GATES__POLICY": None}, "DIFFRUN_GATES: Value error, name policy", id="no policy"),
        pytest.param(
            {"DIFFRUN_WATCH__CLUSTER_WIDE": "true", "DIFFRUN_WATCH__NAMESPACES": '["a"]'},
            "DIFFRUN_WATCH: Value error, cluster_wide serves every namespace", id="two modes",
        ),
        pytest.param({"DIFFRUN_REDIS__BLOCK_SECONDS": "10"}, "must be below socket_timeout", id="timeouts"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_the_variables_name(monkeypatch, changes, words):
    with pytest.raises(SettingsError) as caught:
        loaded(monkeypatch, **changes)
    assert words in str(caught.value)


def test_service_links_of_kubernetes_are_no_mistakes(monkeypatch):
    loaded(monkeypatch, DIFFRUN_REDIS_PORT="tcp://10.0.0.1:6379", DIFFRUN_SERVICE_HOST="10.0.0.1")


def test_a_mistake_ends_the_process_with_the_configuration_exit_code(monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["diffrun_operator"])
    assert main() == EXIT_CONFIG
    assert "DIFFRUN_WORKER" in json.loads(capfd.readouterr().err.splitlines()[-1])["message"]


def test_every_setting_says_what_it_means():
    for group, field in Settings.model_fields.items():
        for name, item in field.annotation.model_fields.items():
            assert item.description, f"{group}.{name} has no docstring"


def test_kopf_watches_with_explicit_timeouts_and_posts_and_discovers_nothing(settings):
    configured = handlers.kopf_settings(settings)
    watching = configured.watching
    assert (watching.server_timeout, watching.client_timeout, watching.connect_timeout) == (300, 310, 10)
    assert configured.scanning.disabled
    assert not configured.posting.enabled


def test_jobs_and_pods_are_selected_by_the_server_and_runs_are_all_ours(settings):
    selectors = handlers.kopf_settings(settings).watching.label_selectors

    def selected(group, version, kind, plural):
        common = {"singular": kind.lower(), "shortcuts": frozenset(), "categories": frozenset()}
        resource = type("Resource", (), {"group": group, "version": version, "kind": kind, "plural": plural, **common})
        resource.subresources, resource.preferred, resource.verbs = frozenset(), True, frozenset()
        resource.namespaced = True
        return selectors.collect(resource())

    expected = ["app.kubernetes.io/managed-by=diffrun,diffrun.dev/run-uid"]
    assert selected("batch", "v1", "Job", "jobs") == expected
    assert selected("", "v1", "Pod", "pods") == expected
    assert selected("diffrun.dev", "v1alpha1", "DiffusionRun", "diffusionruns") == []


def test_the_probe_fails_for_good_when_a_watch_stays_behind():
    now = 0.0
    tracker = WatchTracker(lambda: now)
    tracker.listed(Kind.RUN, [{"metadata": {"uid": "u", "resourceVersion": "5"}}])
    now = 60.0
    assert app.probe(tracker, limit=60) == 60.0
    now = 60.5
    with pytest.raises(kopf.PermanentError, match="behind the API server for 60 s"):
        app.probe(tracker, limit=60)


def test_the_in_cluster_address_needs_no_dns(monkeypatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT_HTTPS", "6443")
    info = kopf.ConnectionInfo(server="https://kubernetes.default.svc", token="t")
    monkeypatch.setattr(kopf, "login_with_service_account", lambda **_: info)
    assert connection.connect().server == "https://[fd00::1]:6443"


def test_a_kubeconfig_that_is_named_wins_over_the_service_account(monkeypatch, tmp_path):
    path = tmp_path / "config"
    path.write_text(
        "current-context: c\n"
        "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
        "clusters: [{name: k, cluster: {server: 'http://proxy:8001'}}]\n"
        "users: [{name: u, user: {}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert connection.connect().server == "http://proxy:8001"


def test_a_log_line_is_one_json_object_with_its_extra_fields():
    record = logging.makeLogRecord(
        {"name": "x", "levelname": "INFO", "msg": "a %s", "args": ("b",), "run": "team/cats"}
    )
    line = json.loads(logs.JsonFormatter().format(record))
    assert (line["message"], line["level"], line["run"]) == ("a b", "INFO", "team/cats")
    assert line["time"].endswith("+00:00")
