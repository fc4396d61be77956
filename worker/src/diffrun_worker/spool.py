"""`events.jsonl` on this machine: appended to by the journal, read back by the publisher, put away by the segments."""

import os
from functools import partial
from pathlib import Path

from diffrun_worker.publisher import Entry
from diffrun_worker.workspace import fsync_dir


class Spool:
    """A file of lines; closed when everybody is done with it."""

    def __init__(self, path: Path) -> None:
        """A pod that died here before left its lines, the last one perhaps torn."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self.offset = os.fstat(self._file).st_size
        """Where the next line begins."""
        self._durable = True
        if self.offset and os.pread(self._file, 1, self.offset - 1) != b"\n":
            self.offset += os.write(self._file, b"\n")
        fsync_dir(path.parent)

    def append(self, lines: list[tuple[bytes, int]], *, durable: bool) -> list[Entry]:
        """Writes lines with their number of points, fsyncs if all so far must last, and says where they are."""
        view = memoryview(b"".join(line + b"\n" for line, _ in lines))
        while view:
            self._durable = False
            view = view[os.write(self._file, view) :]
        if durable and not self._durable:
            os.fsync(self._file)
            self._durable = True
        entries = []
        for line, points in lines:
            entries.append(Entry(len(line), points, partial(self.read, len(line), self.offset)))
            self.offset += len(line) + 1
        return entries

    def read(self, size: int, offset: int) -> bytes:
        """At most `size` bytes from `offset` on."""
        return os.pread(self._file, size, offset)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)
