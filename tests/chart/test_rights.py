"""Names and rights: what guards a release bears its name, and every account may do what it needs. Needs helm."""

import re

import pytest
from chart_kit import environment, find, rendered
from generate import CHART, SCHEMA_ANNOTATION

from diffrun_contracts import names


def test_the_operator_may_do_what_it_needs_and_no_more() -> None:
    rules = find(rendered(), "Role", "mine-operator")["rules"]
    granted = {
        (group, resource): set(rule["verbs"])
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert granted == {
        ("diffrun.dev", "diffusionruns"): {"get", "list", "watch"},
        ("diffrun.dev", "diffusionruns/status"): {"patch"},
        ("batch", "jobs"): {"get", "list", "watch", "create", "delete"},
        ("", "pods"): {"list", "watch", "patch"},
        ("", "services"): {"get", "create"},
        ("networking.k8s.io", "networkpolicies"): {"get", "create"},
        ("events.k8s.io", "events"): {"create"},
    }


def test_the_workers_account_has_no_right_and_no_token() -> None:
    objects = rendered()
    assert find(objects, "ServiceAccount", "mine-worker")["automountServiceAccountToken"] is False
    subjects = [
        subject["name"] for each in objects if each["kind"].endswith("Binding") for subject in each.get("subjects", [])
    ]
    assert set(subjects) == {"mine-operator", "mine-gateway"}


def test_the_policy_exempts_the_account_that_the_operator_runs_as() -> None:
    objects = rendered()
    account = find(objects, "Deployment", "mine-operator")["spec"]["template"]["spec"]["serviceAccountName"]
    policy = find(objects, "ValidatingAdmissionPolicy", "gates.mine.team.diffrun.dev")
    (condition,) = policy["spec"]["matchConditions"]
    assert f"!= 'system:serviceaccount:team:{account}'" in condition["expression"]
    assert environment(objects)["DIFFRUN_GATES__POLICY"] == policy["metadata"]["name"]


def test_releases_of_one_name_in_two_namespaces_share_nothing_that_belongs_to_no_namespace() -> None:
    kinds = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ClusterRoleBinding")
    ours, theirs = (
        {(each["kind"], each["metadata"]["name"]) for each in rendered(namespace=namespace) if each["kind"] in kinds}
        for namespace in ("team", "other")
    )
    assert {kind for kind, _ in ours} == set(kinds)
    assert not ours & theirs


def test_the_operator_asks_for_the_policy_and_the_binding_by_the_names_that_they_bear() -> None:
    objects = rendered()
    (policy,) = [each for each in objects if each["kind"] == "ValidatingAdmissionPolicy"]
    (binding,) = [each for each in objects if each["kind"] == "ValidatingAdmissionPolicyBinding"]
    name = policy["metadata"]["name"]
    asked = environment(objects)
    assert asked["DIFFRUN_GATES__POLICY"] == binding["spec"]["policyName"] == name
    assert asked["DIFFRUN_GATES__BINDING"] == binding["metadata"]["name"]
    (rule,) = find(objects, "ClusterRole", "mine.team.policy-reader")["rules"]
    assert set(rule["resourceNames"]) == {name, binding["metadata"]["name"]}


KNOWN = {names.GROUP, f"{names.PLURAL}.{names.GROUP}", SCHEMA_ANNOTATION, names.LABEL_EGRESS}
BY_HAND = [
    path
    for folder in ("templates", "files")
    for path in sorted((CHART / folder).iterdir())
    if path.name not in ("crd.yaml", "admission.yaml")
]


@pytest.mark.parametrize("path", BY_HAND, ids=lambda path: path.name)
def test_the_chart_speaks_of_the_api_in_the_words_of_contracts(path) -> None:
    text = path.read_text().replace("}}.", "}} ")  # what follows an action is a word of its own
    assert set(re.findall(r"[\w.-]*\b" + re.escape(names.GROUP) + r"[\w/-]*", text)) <= KNOWN


def test_the_networks_fence_is_around_the_pods_that_the_operator_makes() -> None:
    everyone = find(rendered(), "NetworkPolicy", "mine-worker")["spec"]["podSelector"]["matchLabels"]
    assert everyone == {names.LABEL_MANAGED_BY: names.MANAGED_BY}


def test_redis_users_are_kept_to_the_keys_that_events_have() -> None:
    (*_, users) = (CHART / "files" / "users.acl").read_text().partition("user operator")
    patterns = set(re.findall(r"~(\S+)\*", users))
    assert patterns
    for key in (names.events_key("u"), names.STREAM_RUNS):
        assert all(key.startswith(pattern) for pattern in patterns)
