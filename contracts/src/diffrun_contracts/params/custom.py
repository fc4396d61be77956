"""The parameters of `custom`: a block of another package."""

from typing import Any

from pydantic import Field

from diffrun_contracts.base import Model


class Custom(Model):
    """Runs a block of another package, found by its entry point in the group `diffrun.blocks`."""

    type: str = Field(min_length=1, max_length=63, pattern=r"^[A-Za-z][A-Za-z0-9._-]*$")
    """The entry point's name."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Handed to the block as they are; the block validates them."""
