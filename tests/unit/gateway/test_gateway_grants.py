"""The lines that give a right: exact, no wider than what is missing, and safe to paste."""

import shlex

import pytest

from diffrun_gateway.grants import UNTOLD, Right, grant


def test_deciding_is_given_by_the_charts_own_role() -> None:
    assert grant(Right.APPROVE, "alice", "demo", "diffrun-approver") == (
        "kubectl create rolebinding diffrun-approve-alice -n demo --clusterrole=diffrun-approver --user=alice"
    )


@pytest.mark.parametrize(
    ("right", "verbs", "resource"),
    [
        (Right.VIEW, "get,list,watch", "diffusionruns.diffrun.dev"),
        (Right.APPROVE, "get,patch", "diffusionruns.diffrun.dev/status"),
        (Right.EDIT, "get,patch", "diffusionruns.diffrun.dev"),
    ],
)
def test_where_no_role_is_at_hand_one_is_made_with_that_right_alone(right: Right, verbs: str, resource: str) -> None:
    name = f"diffrun-{right.value[0]}-alice"
    assert grant(right, "alice", "demo").split(" &&\n") == [
        f"kubectl create role {name} -n demo --verb={verbs} --resource={resource}",
        f"kubectl create rolebinding {name} -n demo --role={name} --user=alice",
    ]


def test_a_users_name_is_one_word_of_the_shell_and_one_name_of_a_role() -> None:
    user = "https://id.example.org#o'hara $(id)"
    words = shlex.split(grant(Right.APPROVE, user, "demo", "r"))
    assert words[-1] == f"--user={user}"
    assert words[3] == "diffrun-approve-https:--id.example.org#o'hara $(id)"


def test_a_namespace_that_is_not_told_is_left_to_whoever_runs_the_line() -> None:
    assert f"-n '{UNTOLD}'" in grant(Right.VIEW, "alice", UNTOLD)
