"""Says what is being done, how long it usually takes and how long it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Narrator:
    """Prints at once, so that nobody stares at nothing."""

    def line(self, text: str) -> None:
        """A plain line."""
        print(text, flush=True)

    def command(self, text: str) -> None:
        """A command that the user could have typed."""
        self.line(f"$ {text}")

    def question(self, text: str) -> str:
        """Waits for an answer."""
        return input(text)

    @contextmanager
    def step(self, title: str, expect: float) -> Iterator[None]:
        """One step, with its usual time before and its real time after."""
        print(f"▸ {title} (usually {expect:.0f} s) …", flush=True)
        began = time.monotonic()
        try:
            yield
        except BaseException:
            print(f"✗ {title}: failed after {time.monotonic() - began:.1f} s", flush=True)
            raise
        print(f"✓ {title}: {time.monotonic() - began:.1f} s", flush=True)
