"""What a class-conditional checkpoint says about itself, before a weight of it is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffrun_worker.errors import ErrorCode, PermanentError

_SHOWN = 80
"""Classes that an error lists; the largest data set of the samples, EMNIST by class, has 62."""


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint's classes, sizes and noise schedule."""

    path: Path
    """The folder that it was read from."""
    classes: tuple[str, ...]
    """The classes' names; a class's index is its place here."""
    null_class: int
    """The index that stands for no class: the network was trained with it where the label was dropped."""
    shape: tuple[int, int, int]
    """One sample: channels, height, width."""
    scheduler_config: Mapping[str, Any]
    """The checkpoint's scheduler_config.json."""

    @property
    def channels(self) -> int:
        """1 or 3."""
        return self.shape[0]

    @property
    def size(self) -> int:
        """The height in pixels, which is also the width of all square images."""
        return self.shape[1]

    @property
    def num_train_timesteps(self) -> int:
        """K: timesteps go from 0 to K − 1."""
        return int(self.scheduler_config.get("num_train_timesteps", 1000))

    def class_index(self, name: str, parameter: str = "character") -> int:
        """The index of a class.

        Raises PermanentError `UnknownClass` with `parameter` and the classes that there are.
        """
        if name in self.classes:
            return self.classes.index(name)
        known = ", ".join(self.classes[:_SHOWN]) + (" …" if len(self.classes) > _SHOWN else "")
        raise PermanentError(
            ErrorCode.UNKNOWN_CLASS, f"{parameter}: the checkpoint has no class {name!r}; its classes are {known}"
        )

    def describe(self) -> dict[str, Any]:
        """What the metadata of a run says about its checkpoint."""
        return {
            "path": str(self.path),
            "classes": list(self.classes),
            "size": self.size,
            "channels": self.channels,
        }
