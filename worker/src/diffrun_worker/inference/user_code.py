"""Where code of the user's own may come from, and whether it may run at all."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ALLOW_USER_CODE = "DIFFRUN_ALLOW_USER_CODE"
"""The environment variable by which an installation allows it: `1`. The chart leaves it unset."""


@dataclass(frozen=True)
class UserCode:
    """The permission to run functions out of files, and the folder that their paths start from."""

    allowed: bool = False
    """Whether a file's code may run."""
    root: Path = field(default_factory=Path.cwd)
    """Relative paths start here."""

    @classmethod
    def from_environment(cls, root: Path, environment: Mapping[str, str] = os.environ) -> "UserCode":
        """The installation's own permission."""
        return cls(environment.get(ALLOW_USER_CODE) == "1", root)
