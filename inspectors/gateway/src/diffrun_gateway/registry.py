"""All runs that are known, wherever they are known from, and who wants to hear of changes."""

import asyncio
import logging
from collections.abc import Callable

from diffrun_gateway.runs import Run

logger = logging.getLogger(__name__)

Listener = Callable[[str, Run | None], None]
"""Gets the UID and the run, or None where it is gone."""


class Registry:
    """Used from the event loop alone."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.problems: dict[str, str] = {}
        """What is missing and why, by where it is missing from."""
        self.ready = asyncio.Event()
        """Set once everything has been listed for the first time."""
        self.listeners: set[Listener] = set()

    def put(self, run: Run) -> None:
        """Takes the newest state of a run. What is live wins over what is archived."""
        known = self.runs.get(run.ref.uid)
        if known == run or (known is not None and run.archived and not known.archived):
            return
        self.runs[run.ref.uid] = run
        self._tell(run.ref.uid, run)

    def put_if_newer(self, run: Run) -> None:
        """Takes the answer to a request, unless the watch has overtaken it: with more, or with the run's end."""
        known = self.runs.get(run.ref.uid)
        if known is None or known.version is None or run.version is None or run.version < known.version:
            return  # what is archived has no version
        self.put(run)

    def archive(self, run: Run) -> None:
        """The object is gone, its files are not."""
        self.runs[run.ref.uid] = run
        self._tell(run.ref.uid, run)

    def remove(self, uid: str) -> None:
        """The run is gone with everything that it left."""
        if self.runs.pop(uid, None) is not None:
            self._tell(uid, None)

    def named(self, namespace: str, name: str) -> Run | None:
        """The run of that name: the one in the cluster, or else the newest."""
        found = [run for run in self.runs.values() if (run.ref.namespace, run.ref.name) == (namespace, name)]
        return max(found, key=lambda r: (not r.archived, r.created.timestamp() if r.created else 0.0), default=None)

    def _tell(self, uid: str, run: Run | None) -> None:
        """One run that a listener cannot take must not end the source, which is the process' end."""
        for listener in tuple(self.listeners):
            try:
                listener(uid, run)
            except Exception:
                logger.exception("a change of a run could not be passed on", extra={"fields": {"run": uid}})
