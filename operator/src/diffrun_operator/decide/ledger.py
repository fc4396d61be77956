"""The ledger that a decision starts from."""

from collections.abc import Iterable

from diffrun_contracts.spec import DiffusionRunSpec
from diffrun_contracts.status import BlockStatus
from diffrun_operator.decide.validation import Problem
from diffrun_operator.model import Run


def current(run: Run, spec: DiffusionRunSpec, problem: Problem | None) -> Iterable[BlockStatus]:
    """The recorded entries once the run has started; before that one fresh entry for each block.

    Until the first Job is asked for the spec may be edited, so that what was recorded by then says
    nothing. A spec with a problem (seen here only where it is cancelled) gets no entries made up.
    """
    if run.status.start_time is not None or problem is not None:
        return list(run.status.blocks)
    return [BlockStatus(name=block.name) for block in spec.blocks]
