"""`run.json`: the final object of a run beside its artifacts, so that its pages outlive it."""

import logging

import orjson

from diffrun_contracts import names
from diffrun_gateway.files import Files, NotThere, State
from diffrun_gateway.runs import Run, from_object

logger = logging.getLogger(__name__)

MAX_BYTES = 4 << 20
"""etcd holds no larger object."""


class Archive:
    """Its methods wait for the disk: call them from a thread."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._read: dict[str, State] = {}
        self._unwritable = False

    def write(self, run: Run) -> bool:
        """Keeps the object; whether that was possible. A run without files has nothing to show and is not kept."""
        if run.raw is None:
            return False
        try:
            self._files.write(run.ref.uid, names.RUN_FILE, orjson.dumps(run.raw, option=orjson.OPT_INDENT_2))
        except NotThere:
            return False
        except OSError as error:
            if not self._unwritable:
                self._unwritable = True
                logger.warning(
                    "cannot keep runs' final states: %s; let the gateway write to the workspace", error.strerror
                )
            return False
        return True

    def has_files(self, uid: str) -> bool:
        """Whether the run left anything."""
        return bool(self._files.pods(uid)) or self._files.state(uid, _path(uid)) is not None

    def changed(self) -> list[Run]:
        """The runs whose `run.json` is new or has changed since the last call."""
        found = []
        for uid in self._files.runs():
            state = self._files.state(uid, _path(uid))
            if state is None or self._read.get(uid) == state:
                continue
            self._read[uid] = state
            run = self._load(uid)
            if run is not None:
                found.append(run)
        return found

    def _load(self, uid: str) -> Run | None:
        try:
            raw = orjson.loads(self._files.read(uid, _path(uid), MAX_BYTES))
            run = from_object(raw)
        except NotThere:
            return None
        except (orjson.JSONDecodeError, ValueError, AttributeError) as error:
            logger.warning("%s is no run: %s", _path(uid), error)
            return None
        if run.ref.uid != uid:
            logger.warning("%s tells of another run, %s", _path(uid), run.ref.uid)
            return None
        return run


def _path(uid: str) -> str:
    return f"{names.run_dir(uid)}/{names.RUN_FILE}"
