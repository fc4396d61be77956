"""Jobs that nobody needs any more: those of blocks with an outcome, and those of older attempts.

Level-triggered: asked for again until the Job is gone from view. A finished Job is kept, since it
costs nothing and shows its pods; a foreign one is never touched.
"""

from diffrun_contracts.status import DiffusionRunStatus
from diffrun_operator.model import DeleteJob, JobPhase, Observed, ObservedJob

_LIVE = (JobPhase.ACTIVE, JobPhase.SUSPENDED)


def leftovers(status: DiffusionRunStatus, observed: Observed) -> tuple[DeleteJob, ...]:
    """The run's own live Jobs that `status`, once it is written, has no use for, by name.

    A Job of a newer attempt than the ledger knows is left alone: then it is the ledger that is stale.
    """
    entries = {entry.name: entry for entry in status.blocks}

    def superfluous(job: ObservedJob) -> bool:
        entry = entries.get(job.block)
        if not job.owned or job.phase not in _LIVE or entry is None or job.attempt > entry.attempt:
            return False
        return entry.state.terminal or job.attempt < entry.attempt

    jobs = sorted((job for job in observed.jobs if superfluous(job)), key=lambda job: (job.name, job.uid))
    return tuple(DeleteJob(name=job.name, uid=job.uid, version=job.version) for job in jobs)
