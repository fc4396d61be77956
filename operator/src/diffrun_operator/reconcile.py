"""One turn for one run: look, decide, carry out, remember."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from diffrun_contracts import names
from diffrun_contracts.status import GateState
from diffrun_operator import errors
from diffrun_operator.client import KubeClient
from diffrun_operator.decide import decide
from diffrun_operator.execute import Executor, Outcome, StaleError
from diffrun_operator.guard import GateGuard
from diffrun_operator.metrics import Metrics
from diffrun_operator.model import CreateJob, Observed, Policy, Run
from diffrun_operator.observe import observe_run
from diffrun_operator.store import Entry, Kind, Store

logger = logging.getLogger(__name__)

AT_ONCE = 0.001
"""Seconds: again, but behind the keys that are ready already."""


class Reconciler:
    """Brings one run a step further each time it is called. The queue sees to it that no run has two at once."""

    def __init__(
        self,
        client: KubeClient,
        store: Store,
        executor: Executor,
        guard: GateGuard,
        policy: Policy,
        metrics: Metrics,
        monotonic: Callable[[], float],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client, self._store, self._executor = client, store, executor
        self._guard, self._policy, self._metrics = guard, policy, metrics
        self._monotonic, self._clock = monotonic, clock

    async def reconcile(self, uid: str) -> float | None:
        """One turn. Returns the seconds until the next one is due, None where only news can be a reason.

        Raises ApiError and StatusUnreadableError: the turn has to be repeated, after a while.
        """
        entry = self._store.get(uid)
        if entry is None or entry.run is None or not await self._awake(uid, entry):
            return None
        run = observe_run(entry.run)
        observed = await self._observe(run, entry)
        decision = decide(run, observed, self._now(), self._policy)
        try:
            outcome = await self._executor.execute(run, decision)
        except StaleError as stale:
            logger.debug("run %s/%s has changed meanwhile: %s", run.namespace, run.name, stale)
            self._metrics.reconciles.labels("stale").inc()
            await self._look_again(run)
            return AT_ONCE
        self._remember(run, entry, outcome)
        if outcome.failures:
            raise outcome.failures[0]
        if outcome.collisions or outcome.refusals:
            return AT_ONCE
        if outcome.run is None and not decision.actions and decision.status.completion_time is not None:
            self._store.finish(uid)
        return decision.requeue_after

    async def _awake(self, uid: str, entry: Entry) -> bool:
        """Whether there is anything to do; a run that has ended is read anew where one of its Jobs has changed."""
        if not entry.finished:
            return True
        if all("spec" not in job for job in entry.jobs.values()) or entry.run is None:
            return False
        meta = entry.run["metadata"]
        try:
            self._store.put(Kind.RUN, await self._client.get_run(meta["namespace"], meta["name"]))
        except errors.NotFoundError:
            self._store.remove(Kind.RUN, uid, uid)
        return not entry.finished

    async def _observe(self, run: Run, entry: Entry) -> Observed:
        """The view, completed by what no watch tells: recorded Jobs that are not in it, and the admission policy."""
        lost = await self._find_lost(run, entry)
        observed = self._store.observed(run, self._monotonic())
        gated = run.spec is not None and any(block.gate for block in run.spec.blocks)
        guarded = await self._guard.guarded(fresh=_undecided(run)) if gated else True
        return replace(observed, lost_jobs=lost, gates_guarded=guarded)

    async def _find_lost(self, run: Run, entry: Entry) -> frozenset[str]:
        """A recorded Job that the view lacks is either newer than the view or gone: only a live GET can tell."""
        lost = set()
        for block in run.status.blocks:
            ref = block.job_ref
            if block.state.terminal or ref is None or ref.uid is None or ref.uid in entry.jobs:
                continue
            try:
                job = await self._client.get_job(run.namespace, ref.name)
            except errors.NotFoundError:
                lost.add(ref.uid)
                continue
            if job["metadata"]["uid"] != ref.uid:
                lost.add(ref.uid)
            else:
                self._store.put(Kind.JOB, job)
        return frozenset(lost)

    async def _look_again(self, run: Run) -> None:
        """Read the run past the watch, which may lag behind what has just refused our write."""
        try:
            live = await self._client.get_run(run.namespace, run.name)
        except errors.NotFoundError:
            self._store.remove(Kind.RUN, run.uid, run.uid)
            return
        if live["metadata"]["uid"] != run.uid:
            self._store.remove(Kind.RUN, run.uid, run.uid)
        self._store.put(Kind.RUN, live)

    def _remember(self, run: Run, entry: Entry, outcome: Outcome) -> None:
        """What we wrote is seen by the next turn, whether the watch has delivered it or not."""
        if outcome.run is not None:
            self._store.put(Kind.RUN, outcome.run)
        for job in outcome.jobs:
            self._store.put(Kind.JOB, job)
        for pod in outcome.pods:
            self._store.put(Kind.POD, pod)
        entry.collisions |= outcome.collisions
        entry.refusals |= outcome.refusals
        for created, at in outcome.created:
            self._measure_step(run, entry, created, at)

    def _measure_step(self, run: Run, entry: Entry, created: CreateJob, at: float) -> None:
        """From the last dependency's end, as seen, to this creation; a gate between them is a person's time."""
        where = {"run": f"{run.namespace}/{run.name}", "block": created.block.name, "job": created.name}
        blocks = {block.name: block for block in run.spec.blocks} if run.spec else {}
        if not created.dependencies or any(blocks[name].gate for name, _ in created.dependencies if name in blocks):
            logger.info("created Job %s", created.name, extra=where)
            return
        jobs = [names.job_name(run.name, name, run.uid, attempt) for name, attempt in created.dependencies]
        ends = [entry.ended_at[job] for job in jobs if job in entry.ended_at]
        if len(ends) < len(jobs):  # one ended before this process began to watch
            logger.info("created Job %s", created.name, extra=where)
            return
        latency = at - max(ends)
        self._metrics.step_latency.observe(latency)
        after = ",".join(name for name, _ in created.dependencies)
        measured = {"after": after, "step_latency_seconds": round(latency, 4)}
        logger.info("created Job %s, %.1f ms after %s", created.name, latency * 1000, after, extra=where | measured)

    def _now(self) -> datetime:
        """Whole seconds, as Kubernetes writes times: what is written reads back equal."""
        return self._clock().replace(microsecond=0)


def _undecided(run: Run) -> bool:
    """Whether a decision stands in a waiting gate: then the policy must be in place now, not a moment ago."""
    return any(gate.state is GateState.WAITING and gate.decision is not None for gate in run.status.gates.values())
