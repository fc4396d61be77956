"""What every message that leaves the decision core has in common: its length."""

MAX_BYTES = 1024
"""The API server's limit for an Event's text; the CRD's limit, in characters, is the same number."""


def clip(text: str, limit: int = MAX_BYTES) -> str:
    """The text, shortened to `limit` bytes of UTF-8 with an ellipsis where it is longer."""
    data = text.encode("utf-8", errors="replace")
    if len(data) <= limit:
        return text
    return data[: limit - 3].decode("utf-8", errors="ignore") + "…"


def quoted(names: list[str]) -> str:
    """`"a", "b"`: block names as they are told to people."""
    return ", ".join(f'"{name}"' for name in names)
