"""What the operator can know to be wrong with a spec before anything is started.

The CRD's schema has refused what a schema can; this is the rest. Each message names the field the
way a user wrote it and says what would be right.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from diffrun_contracts import names
from diffrun_contracts.params import SHARDABLE_TYPES, Sampler, SamplerName
from diffrun_contracts.reasons import SpecReason
from diffrun_contracts.spec import Block, DiffusionRunSpec, Execution
from diffrun_operator.decide import graph
from diffrun_operator.decide.text import clip, quoted
from diffrun_operator.model import Run

RESERVED_ANNOTATIONS = (f"{names.GROUP}/", "batch.kubernetes.io/")
"""Annotations with these prefixes are the operator's and the Job controller's own."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a spec cannot be run."""

    reason: SpecReason
    message: str


def find_problem(run: Run) -> Problem | None:
    """The first problem of the run's spec, in the order of its fields; None where it can be run."""
    if run.spec is None:
        return unreadable(run)
    checks = (_names, _unknown_dependencies, _cycles, _fields)
    for check in checks:
        for problem in check(run.spec):
            return problem
    return _drift(run, run.spec)


def unreadable(run: Run) -> Problem:
    """A stored spec that does not parse, for example one of a newer version."""
    return Problem(
        SpecReason.INVALID_FIELD, clip(run.spec_error or "spec: cannot be read; correct it or apply it anew")
    )


def _names(spec: DiffusionRunSpec) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, block in enumerate(spec.blocks):
        if block.name in seen:
            yield _invalid(
                f"spec.blocks[{index}].name",
                f'"{block.name}" is already the name of spec.blocks[{seen[block.name]}]; names must be unique',
            )
        seen[block.name] = index


def _unknown_dependencies(spec: DiffusionRunSpec) -> Iterator[Problem]:
    known = [block.name for block in spec.blocks]
    for index, block in enumerate(spec.blocks):
        for position, name in enumerate(block.depends_on or ()):
            if name not in known:
                message = f'there is no block "{name}"; known: {", ".join(known)}'
                yield _problem(SpecReason.UNKNOWN_DEPENDENCY, f"spec.blocks[{index}].dependsOn[{position}]", message)


def _cycles(spec: DiffusionRunSpec) -> Iterator[Problem]:
    cycle = graph.find_cycle(graph.dependencies(spec))
    if cycle is None:
        return
    # Without any dependsOn the blocks form a line: a cycle has at least one explicit edge to name.
    edges = list(pairwise(cycle))
    for index, block in enumerate(spec.blocks):
        for position, name in enumerate(block.depends_on or ()):
            if (block.name, name) in edges:
                path = f"spec.blocks[{index}].dependsOn[{position}]"
                if block.name == name:
                    message = f'the block "{name}" cannot wait for itself; name another block, or use [] for none'
                else:
                    message = f"these blocks wait for each other: {' -> '.join(cycle)}; a block without dependsOn "
                    message += "waits for the one before it"
                yield _problem(SpecReason.DEPENDENCY_CYCLE, path, message)
                return


def _fields(spec: DiffusionRunSpec) -> Iterator[Problem]:
    if spec.defaults is not None:
        yield from _annotations("spec.defaults", spec.defaults)
    for index, block in enumerate(spec.blocks):
        path = f"spec.blocks[{index}]"
        yield from _annotations(path, block)
        yield from _shards(path, block)
        yield from _eta(path, block)
        yield from _seed_offset(path, block, spec)


def _annotations(path: str, execution: Execution) -> Iterator[Problem]:
    for key in execution.pod_annotations or ():
        if key.startswith(RESERVED_ANNOTATIONS):
            reserved = " and ".join(RESERVED_ANNOTATIONS)
            yield _invalid(f'{path}.podAnnotations["{key}"]', f"{reserved} are reserved; choose another prefix")


def _shards(path: str, block: Block) -> Iterator[Problem]:
    if block.shards > 1 and block.type not in SHARDABLE_TYPES:
        remedy = "use 1, and train.workers for pods that train together" if block.train is not None else "use 1"
        yield _invalid(f"{path}.shards", f"{block.type} cannot be split; got {block.shards}, {remedy}")


def _eta(path: str, block: Block) -> Iterator[Problem]:
    field, sampler = _sampler(block)
    if sampler is not None and sampler.eta != 0 and sampler.name is not SamplerName.DDIM:
        message = f"η belongs to DDIM; with {sampler.name.value} it must be 0; got {sampler.eta:g}"
        yield _invalid(f"{path}.{block.type}.{field}.eta", message)


def _sampler(block: Block) -> tuple[str, Sampler | None]:
    """The block's sampler and its path below the block type."""
    if block.train is not None:
        grid = block.train.sample_grid
        return "sampleGrid.sampler", grid.sampler if grid is not None else None
    params = block.generate_preview or block.generate_full or block.evaluate or block.diagnose or block.infer
    return "sampler", params.sampler if params is not None else None


def _seed_offset(path: str, block: Block, spec: DiffusionRunSpec) -> Iterator[Problem]:
    if block.generate_full is None:
        return
    offset = block.generate_full.seed_offset
    for preview in spec.blocks:
        if preview.generate_preview is not None and offset < preview.generate_preview.samples:
            samples = preview.generate_preview.samples
            message = f'must be at least the {samples} samples of block "{preview.name}", '
            message += f"or both would draw from the same seeds; got {offset}"
            yield _invalid(f"{path}.generateFull.seedOffset", message)
            return


def _drift(run: Run, spec: DiffusionRunSpec) -> Problem | None:
    """A started run's blocks are frozen by the CRD; where they changed none the less, nothing may be guessed."""
    if run.status.start_time is None:
        return None
    recorded, asked = [entry.name for entry in run.status.blocks], [block.name for block in spec.blocks]
    if recorded == asked:
        return None
    message = f"the run has started with the blocks {quoted(recorded)}; got {quoted(asked)}: restore them"
    return _problem(SpecReason.INVALID_FIELD, "spec.blocks", message)


def _invalid(path: str, message: str) -> Problem:
    return _problem(SpecReason.INVALID_FIELD, path, message)


def _problem(reason: SpecReason, path: str, message: str) -> Problem:
    return Problem(reason, clip(f"{path}: {message}"))
