"""Running programs: one place that knows how their failures become errors."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from diffrun_devcluster.errors import CommandFailedError, MissingToolError


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: IO[bytes] | None = None,
    timeout: float | None = None,
    remedy: str = "",
) -> str:
    """Run a program and return what it printed; raise CommandFailedError with the end of it otherwise."""
    arguments = [str(part) for part in command]
    try:
        done = subprocess.run(
            arguments,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=stdin if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as missing:
        raise MissingToolError(f"`{arguments[0]}` is not installed.", remedy or "Install it: make setup") from missing
    except subprocess.TimeoutExpired as late:
        raise CommandFailedError(arguments, 124, f"no end after {timeout} s", remedy) from late
    if done.returncode != 0:
        output = (done.stdout + b"\n" + done.stderr).decode(errors="replace")
        raise CommandFailedError(arguments, done.returncode, output, remedy)
    return done.stdout.decode(errors="replace")


def works(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, timeout: float = 30) -> bool:
    """Whether a program is there, ends in time and ends well."""
    try:
        run(command, env=env, timeout=timeout)
    except (CommandFailedError, MissingToolError):
        return False
    return True
