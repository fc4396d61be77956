"""Finds the block of a type, and turns what the user wrote into its parameters."""

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import BaseModel, ValidationError

from diffrun_contracts import names
from diffrun_worker.block import Block
from diffrun_worker.errors import ErrorCode, PermanentError, invalid_params


def load_block(block_type: str, available: Iterable[EntryPoint] | None = None) -> Block:
    """The block behind an entry point of the group `diffrun.blocks`, made without arguments.

    Raises PermanentError: `UnknownBlockType` naming the known types, `InvalidBlock` where the package is at fault.
    """
    points = list(available if available is not None else entry_points(group=names.ENTRY_POINT_GROUP))
    found = {point.value: point for point in points if point.name == block_type}
    if not found:
        known = ", ".join(sorted({point.name for point in points})) or "none"
        raise PermanentError(
            ErrorCode.UNKNOWN_BLOCK_TYPE,
            f"no package in the worker's image brings a block type {block_type!r}; known types: {known}",
        )
    if len(found) > 1:
        raise PermanentError(
            ErrorCode.INVALID_BLOCK,
            f"block type {block_type!r} is brought by several packages: {', '.join(sorted(found))}; keep one",
        )
    (point,) = found.values()
    try:
        block = point.load()()
    except (Exception, SystemExit) as error:
        raise PermanentError(
            ErrorCode.INVALID_BLOCK,
            f"block type {block_type!r} ({point.value}) cannot be loaded: {type(error).__name__}: {error}",
        ) from error
    if not callable(getattr(block, "run", None)):
        raise PermanentError(ErrorCode.INVALID_BLOCK, f"block type {block_type!r} ({point.value}) has no method run")
    checked: Block = block
    return checked


def parse_params(block: Block, block_type: str, params: dict[str, Any]) -> Any:
    """The parameters as the block's `Params` model, or as they are where it has none.

    Raises PermanentError `InvalidParams` naming each wrong field.
    """
    model = getattr(block, "Params", None)
    if model is None:
        return params
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise PermanentError(ErrorCode.INVALID_BLOCK, f"block type {block_type!r}: Params is not a pydantic model")
    try:
        return model.model_validate(params)
    except ValidationError as error:
        raise invalid_params(f"{block_type}: {describe(error)}") from error


def describe(error: ValidationError) -> str:
    """The wrong fields, each with what is wrong: `sampler.steps: Input should be … (got 0)`."""
    problems = []
    for item in error.errors(include_url=False, include_context=False):
        field = ".".join(str(part) for part in item["loc"]) or "value"
        given = "" if item["type"] == "missing" else f" (got {str(item['input'])[:80]!s})"
        problems.append(f"{field}: {item['msg']}{given}")
    return "; ".join(problems)
