"""What the operator tells Prometheus about itself."""

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_FAST = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """The operator's metrics in a registry of their own, so that tests may have many."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=self.registry), partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry, buckets=_FAST)
        self.reconciles = counter(
            "diffrun_reconciles_total",
            "Reconciles by how they ended: done, stale (observed again) or error (tried again).",
            ("result",),
        )
        self.reconcile_seconds = histogram(
            "diffrun_reconcile_duration_seconds",
            "One reconcile, from looking at the run to its last action.",
        )
        self.api_requests = counter(
            "diffrun_api_requests_total",
            "Requests to the API server by verb, resource and HTTP status (0: no answer). Kopf's watches not counted.",
            ("verb", "resource", "code"),
        )
        self.api_seconds = histogram(
            "diffrun_api_request_duration_seconds",
            "Requests to the API server by verb.",
            ("verb",),
        )
        self.step_latency = histogram(
            "diffrun_step_latency_seconds",
            "From seeing a Job complete to having created the Job that waited for it (no gate between them).",
        )
        self.queue_depth = gauge("diffrun_queue_depth", "Runs that wait to be reconciled.")
        self.runs = gauge("diffrun_active_runs", "Runs that have not ended.")
        self.watch_lag = gauge(
            "diffrun_watch_lag_seconds",
            "For how long the oldest listed object has not been delivered by its watch.",
        )
        self.events_read = counter(
            "diffrun_worker_events_total",
            "Workers' events that were read from Redis, by type; `malformed` for what could not be parsed.",
            ("type",),
        )
        self.redis_up = gauge("diffrun_redis_up", "Whether Redis answers the operator.")

    def api_request(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """Count one request to the API server."""
        self.api_requests.labels(verb, resource, str(code)).inc()
        self.api_seconds.labels(verb).observe(seconds)

    def watch(self, depth: Callable[[], int], active: Callable[[], int]) -> None:
        """Read these two whenever the metrics are scraped."""
        self.queue_depth.set_function(depth)
        self.runs.set_function(active)
