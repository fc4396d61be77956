"""Steps on the terminal: what runs, for how long, and how long it is expected to take."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

HEARTBEAT_SECONDS = 30.0


class Progress:
    """Prints one line as a step starts, signs of life while it runs, and one with its time at the end."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._live = self._out.isatty()

    @contextmanager
    def step(self, title: str, expected: float = 0) -> Iterator[None]:
        """Frame one step; `expected` is in seconds on 2 cores."""
        about = f" (about {duration(expected)})" if expected >= 1 else ""
        self._say(f"→ {title}{about}")
        started = time.monotonic()
        done = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(title, about, started, done), daemon=True)
        ticker.start()
        mark = "✗"
        try:
            yield
            mark = "✓"
        finally:
            done.set()
            ticker.join()
            clear = "\r\x1b[K" if self._live else ""
            self._say(f"{clear}{mark} {title}  {duration(time.monotonic() - started)}")

    def note(self, text: str) -> None:
        """Print a line that is no step."""
        self._say(f"  {text}")

    def _tick(self, title: str, about: str, started: float, done: threading.Event) -> None:
        while not done.wait(1.0 if self._live else HEARTBEAT_SECONDS):
            elapsed = duration(time.monotonic() - started)
            if self._live:
                print(f"\r\x1b[K… {title}  {elapsed}{about}", end="", file=self._out, flush=True)
            else:
                self._say(f"… {title}  {elapsed}{about}")

    def _say(self, line: str) -> None:
        print(line, file=self._out, flush=True)


def duration(seconds: float) -> str:
    """Seconds as people read them: 0.4 s, 12 s, 3 min 20 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
