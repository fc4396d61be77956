"""DiffusionRuns for the scenarios: torch-free test blocks, put together in a line each."""

from typing import Any

from diffrun_contracts import names

Manifest = dict[str, Any]


def block(name: str, test: str = "test.sleep", *, params: Manifest | None = None, **fields: Any) -> Manifest:
    """A custom block that the test kit brings; further fields of the block by their API names."""
    return {"name": name, "custom": {"type": test, "params": params or {}}, **fields}


def quick(name: str, **fields: Any) -> Manifest:
    """A block that is done as soon as its pod runs."""
    return block(name, params={"steps": 1, "stepSeconds": 0}, **fields)


def slow(name: str, seconds: float = 600, **fields: Any) -> Manifest:
    """A block that a test ends long before its time: by a cancel, a kill or a pause."""
    return block(name, params={"steps": int(seconds * 20), "stepSeconds": 0.05}, **fields)


def run(name: str, *blocks: Manifest, **spec: Any) -> Manifest:
    """A DiffusionRun."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name},
        "spec": {"blocks": list(blocks), **spec},
    }
