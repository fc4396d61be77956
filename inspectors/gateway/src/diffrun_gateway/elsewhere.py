"""Runs whose files this gateway cannot read: Kubernetes mounts a claim in the claim's own namespace alone.

Whether a run's files are here is told by the files: namespaces may share one volume through claims of their own.
"""

import asyncio

from diffrun_gateway.files import Files
from diffrun_gateway.runs import Run


class Elsewhere:
    """Used from the event loop alone."""

    def __init__(self, files: Files | None, namespace: str | None) -> None:
        """`namespace`: whose claim is mounted; None where all runs write to the same directory."""
        self._files, self._namespace = files, namespace
        self._here: set[str] = set()

    async def reason(self, run: Run) -> str | None:
        """Why the files of a run that has written some are not here, and what to do; None where they are."""
        own, uid, namespace = self._namespace, run.ref.uid, run.ref.namespace
        if self._files is None or own is None or namespace == own or uid in self._here:
            return None
        if await asyncio.to_thread(self._files.pods, uid):
            self._here.add(uid)
            return None
        return (
            f"the files of namespace {namespace} are not mounted in this gateway, which has the claim of namespace "
            f"{own} alone: what Redis still keeps is shown, and no artifact. Give {namespace} a release of its own "
            f"instead of naming it in runNamespaces, or bind the claims of both namespaces to one ReadWriteMany volume "
            f"(workspace.existingClaim)"
        )
