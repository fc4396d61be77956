"""Whether the admission policy that keeps gates honest is in place. Unsure means no: then no gate opens."""

import logging
from collections.abc import Callable
from typing import Any

from diffrun_operator import errors
from diffrun_operator.client import KubeClient
from diffrun_operator.settings import Gates

logger = logging.getLogger(__name__)
Raw = dict[str, Any]


class GateGuard:
    """Looks at policy and binding, and remembers for a moment what it saw."""

    def __init__(self, client: KubeClient, settings: Gates, clock: Callable[[], float]) -> None:
        self._client, self._settings, self._clock = client, settings, clock
        self._problem: str | None = None
        self._checked_at: float | None = None

    async def guarded(self, *, fresh: bool) -> bool:
        """Whether gates may open or close; `fresh` trusts no earlier look. Raises ApiError where nobody answers."""
        if not self._settings.require_policy:
            return True
        now = self._clock()
        if fresh or self._checked_at is None or now - self._checked_at >= self._settings.recheck_seconds:
            problem = await self._look()
            if problem is not None and problem != self._problem:
                logger.error("no gate opens: %s", problem)
            elif problem is None and self._problem is not None:
                logger.info("the admission policy is in place again: gates open")
            self._problem, self._checked_at = problem, now
        return self._problem is None

    async def _look(self) -> str | None:
        policy, binding = self._settings.policy or "", self._settings.binding or ""
        try:
            return find_problem(
                await self._client.get_admission("validatingadmissionpolicies", policy),
                await self._client.get_admission("validatingadmissionpolicybindings", binding),
            )
        except errors.PermanentError as error:
            return f"the admission policy {policy} or its binding {binding} cannot be read: {error}"


def find_problem(policy: Raw, binding: Raw) -> str | None:
    """Why this pair does not protect gates; None where it does."""
    name, bound = policy["metadata"]["name"], binding["metadata"]["name"]
    if any("deletionTimestamp" in item["metadata"] for item in (policy, binding)):
        return f"the admission policy {name} or its binding {bound} is being deleted"
    if binding["spec"].get("policyName") != name:
        return f"the binding {bound} binds {binding['spec'].get('policyName')}, not the admission policy {name}"
    if "Deny" not in (binding["spec"].get("validationActions") or ()):
        return f"the binding {bound} does not deny: its validationActions need Deny"
    if policy["spec"].get("failurePolicy", "Fail") != "Fail":
        return f"the admission policy {name} lets pass what it cannot judge: its failurePolicy must be Fail"
    return None
