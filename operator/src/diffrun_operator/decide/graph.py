"""Which block waits for which: the order of a run, read from its spec."""

from collections.abc import Iterator

from diffrun_contracts.spec import Block, DiffusionRunSpec


def dependencies(spec: DiffusionRunSpec) -> dict[str, tuple[str, ...]]:
    """The blocks that each block waits for, in the order in which they are named.

    Without `dependsOn` a block waits for the one before it; with `[]` for none.
    """
    result: dict[str, tuple[str, ...]] = {}
    previous: tuple[str, ...] = ()
    for block in spec.blocks:
        result[block.name] = previous if block.depends_on is None else tuple(dict.fromkeys(block.depends_on))
        previous = (block.name,)
    return result


def in_order(spec: DiffusionRunSpec) -> Iterator[Block]:
    """The blocks of an acyclic spec, each after those that it waits for, else in the spec's order."""
    waits = dependencies(spec)
    placed: set[str] = set()
    remaining = list(spec.blocks)
    while remaining:
        ready = [block for block in remaining if placed.issuperset(waits[block.name])]
        if not ready:
            raise ValueError(f"the blocks {[block.name for block in remaining]} wait for each other: validate first")
        yield from ready
        placed.update(block.name for block in ready)
        remaining = [block for block in remaining if block.name not in placed]


def find_cycle(waits: dict[str, tuple[str, ...]]) -> list[str] | None:
    """Blocks that wait for each other, as `[a, b, a]` for a -> b -> a, or None.

    Every name must be a key. Iterative, since 64 blocks in a row are legal and recursion is not free.
    """
    settled: set[str] = set()
    for root in waits:
        path: list[str] = []
        pending: list[tuple[str, Iterator[str]]] = []
        if root not in settled:
            path, pending = [root], [(root, iter(waits[root]))]
        while pending:
            name, following = pending[-1]
            step = next((item for item in following if item not in settled), None)
            if step is None:
                settled.add(name)
                pending.pop()
                path.pop()
            elif step in path:
                return [*path[path.index(step) :], step]
            else:
                path.append(step)
                pending.append((step, iter(waits[step])))
    return None
