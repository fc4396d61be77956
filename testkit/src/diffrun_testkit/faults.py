"""How the Hub-compatible server can fail, for one repository at a time.

A fault is named by a suffix of the repository's name (`google/ddpm-cat-256-fault-flip`), so that a DiffusionRun can
ask for it, or set over the server's control address.
"""

from enum import StrEnum

MARK = "-fault-"


class Fault(StrEnum):
    """What goes wrong."""

    NONE = "none"
    UNAUTHORIZED = "401"
    """Every request without the server's token: a private repository."""
    FORBIDDEN = "403"
    """Every request: a token without the right."""
    GATED = "gated"
    """The listing is public, files need the server's token."""
    NOT_FOUND = "404"
    """As if the repository did not exist."""
    RATE_LIMITED = "429"
    """Every request, with Retry-After."""
    SERVER_ERROR = "500"
    """Every request."""
    TIMEOUT = "timeout"
    """No request is ever answered."""
    TRUNCATE = "truncate"
    """The connection always ends in the middle of the weights."""
    CUT_ONCE = "cut-once"
    """The connection ends in the middle of the weights, once; the client may go on from there."""
    SHORT = "short"
    """The weights end early, in an answer that is whole."""
    FLIP = "flip"
    """One bit of the weights is wrong."""
    FLIP_ONCE = "flip-once"
    """One bit of the weights is wrong, the first time."""
    NO_CHECKSUM = "no-checksum"
    """The listing has no checksums, as some mirrors' have none."""
    NOT_A_HUB = "html"
    """A login page, with status 200, in answer to everything."""


def split_fault(name: str) -> tuple[str, Fault]:
    """A repository's own name, and the fault that its suffix asks for. Raises ValueError for an unknown fault."""
    plain, mark, fault = name.partition(MARK)
    return (plain, Fault(fault)) if mark else (name, Fault.NONE)
