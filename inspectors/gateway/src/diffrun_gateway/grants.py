"""The kubectl lines by which an administrator gives the rights that a viewer misses: made here, run by nobody here."""

import re
import shlex
from enum import Enum

from diffrun_contracts import names

_RUNS = f"{names.PLURAL}.{names.GROUP}"
UNTOLD = "<namespace>"
"""Stands for a namespace whose name the viewer is not told."""


class Right(Enum):
    """What the pages need: a word, the verbs and the resource."""

    VIEW = "view", "get,list,watch", _RUNS
    APPROVE = "approve", "get,patch", f"{_RUNS}/status"
    EDIT = "edit", "get,patch", _RUNS


def grant(right: Right, user: str, namespace: str, approver_role: str = "") -> str:
    """`approver_role`: the ClusterRole that the chart makes for those who decide gates, where it does."""
    word, verbs, resource = right.value
    # An RBAC name takes what a path segment may be, so that two users never share one.
    name = f"diffrun-{word}-{re.sub(r'[/%]', '-', user)}"
    if right is Right.APPROVE and approver_role:
        return _create("rolebinding", name, namespace, f"--clusterrole={approver_role}", f"--user={user}")
    role = _create("role", name, namespace, f"--verb={verbs}", f"--resource={resource}")
    return f"{role} &&\n{_create('rolebinding', name, namespace, f'--role={name}', f'--user={user}')}"


def _create(kind: str, name: str, namespace: str, *options: str) -> str:
    return shlex.join(["kubectl", "create", kind, name, "-n", namespace, *options])
