"""Functions by name: our own, those that a program adds, and those of other packages behind entry points."""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from diffrun_worker.errors import ErrorCode, PermanentError


class Registry(dict[str, Callable[..., Any]]):
    """A dict that also finds what installed packages bring under one group of entry points.

    `REGISTRY["force_mine"] = function` adds one of the program's own; it may also replace one of ours.
    """

    def __init__(
        self, kind: str, group: str, unknown: ErrorCode, functions: Mapping[str, Callable[..., Any]] | None = None
    ) -> None:
        """Takes the word for one of them, the entry points' group and the error code of a name that is not there."""
        super().__init__(functions or {})
        self.kind = kind
        self.group = group
        self._unknown = unknown

    def find(self, name: str, parameter: str, available: Iterable[EntryPoint] | None = None) -> Callable[..., Any]:
        """The function of that name; `parameter` is where the user wrote it.

        Raises PermanentError with every known name, and `InvalidBlock` where the package that brings it is at fault.
        """
        if name in self:
            return self[name]
        points = list(available if available is not None else entry_points(group=self.group))
        for point in points:
            if point.name == name:
                self[name] = self._load(point)
                return self[name]
        known = ", ".join(sorted({*self, *(point.name for point in points)}))
        raise PermanentError(self._unknown, f"{parameter}: there is no {self.kind} {name!r}; use one of {known}")

    def _load(self, point: EntryPoint) -> Callable[..., Any]:
        try:
            function = point.load()
        except (Exception, SystemExit) as error:
            raise PermanentError(
                ErrorCode.INVALID_BLOCK,
                f"{self.kind} {point.name!r} ({point.value}) cannot be loaded: {type(error).__name__}: {error}",
            ) from error
        if not callable(function):
            raise PermanentError(ErrorCode.INVALID_BLOCK, f"{self.kind} {point.name!r} ({point.value}) is no function")
        loaded: Callable[..., Any] = function
        return loaded
