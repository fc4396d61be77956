"""The gateway of an installation on this machine."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from diffrun_devcluster.release import Release


@contextmanager
def forwarded(release: Release) -> Iterator[str]:
    """The gateway's URL on this machine, for as long as the context lasts."""
    command = release.kubectl.command("port-forward", f"service/{release.name}-gateway", ":80")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=release.kubectl.environment())
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "Forwarding from 127.0.0.1:" in line, line
        yield "http://127.0.0.1:" + line.split("127.0.0.1:")[1].split(" ")[0]
    finally:
        process.kill()
        process.communicate()
