"""One operator as a whole, against the API server in miniature, and where its objects lie there."""

import asyncio
from datetime import UTC, datetime, timedelta

from diffrun_contracts.status import DiffusionRunStatus
from diffrun_operator.execute import Executor
from diffrun_operator.guard import GateGuard
from diffrun_operator.handlers import Feed
from diffrun_operator.metrics import Metrics
from diffrun_operator.model import Policy
from diffrun_operator.queue import Backoff, KeyedQueue
from diffrun_operator.reconcile import Reconciler
from diffrun_operator.resync import WatchTracker
from diffrun_operator.store import Kind, Store
from diffrun_operator.workers import turn

UID = "11111111-2222-3333-4444-555555555555"
RUN_PATH = "/apis/diffrun.dev/v1alpha1/namespaces/team/diffusionruns/cats"
JOBS_PATH = "/apis/batch/v1/namespaces/team/jobs"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
PREVIEW = {"name": "preview", "generatePreview": {"samples": 2}}


class World:
    """One operator, without its watches: what they would deliver is fed by hand."""

    def __init__(self, api, client, settings):
        self.api, self.client, self.seconds = api, client, 0.0
        self.store, self.metrics = Store(), Metrics()
        self.queue = KeyedQueue(Backoff(base=0.001, cap=0.01))
        self.tracker = WatchTracker(self.monotonic)
        self.feed = Feed(self.store, self.queue, self.tracker, self.monotonic)
        self.reconciler = Reconciler(
            client,
            self.store,
            Executor(client, settings, self.monotonic, self.clock),
            GateGuard(client, settings.gates, self.monotonic),
            Policy(),
            self.metrics,
            self.monotonic,
            self.clock,
        )

    def monotonic(self):
        return self.seconds

    def clock(self):
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def deliver(self, kind, path, event="MODIFIED"):
        """What the watch would say of the object at a path."""
        self.feed.take(kind, event, self.api.objects[path])

    async def turn(self):
        """One turn of whatever comes up next, now or when its delay has passed."""
        uid = await asyncio.wait_for(self.queue.get(), timeout=5)
        await turn(uid, self.queue, self.reconciler, self.metrics)

    async def settle(self, limit=20):
        """Turns until the queue has nothing that is ready."""
        for _ in range(limit):
            if not len(self.queue):
                return
            await self.turn()
        raise AssertionError("the queue does not come to rest")

    def finish_job(self, name):
        job = self.api.objects[f"{JOBS_PATH}/{name}"]
        time = self.clock().isoformat()
        status = {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": time}], "succeeded": 1}
        self.api.seed(f"{JOBS_PATH}/{name}", job | {"status": status})
        self.deliver(Kind.JOB, f"{JOBS_PATH}/{name}")

    def count(self, result):
        return self.metrics.registry.get_sample_value("diffrun_reconciles_total", {"result": result}) or 0

    @property
    def status(self):
        return DiffusionRunStatus.model_validate(self.api.objects[RUN_PATH].get("status", {}))

    def block(self, name):
        return next(block for block in self.status.blocks if block.name == name)
