"""What the gateway tells of itself: Prometheus metrics and JSON logs."""

import json
import logging
import sys
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

EVENTS = Counter("diffrun_gateway_events_total", "Events taken from Redis or files.", ["source"], registry=REGISTRY)
DROPPED = Counter(
    "diffrun_gateway_events_dropped_total", "Entries that were no event.", ["reason"], registry=REGISTRY
)  # fmt: skip
CLIENTS = Gauge("diffrun_gateway_stream_clients", "Open streams.", registry=REGISTRY)
CLIENTS_DROPPED = Counter(
    "diffrun_gateway_stream_clients_dropped_total", "Streams closed by the gateway.", ["reason"], registry=REGISTRY
)
RESETS = Counter("diffrun_gateway_stream_resets_total", "Histories to be fetched again.", ["reason"], registry=REGISTRY)
FEEDS = Gauge("diffrun_gateway_feeds", "Runs held in memory.", registry=REGISTRY)
POINTS = Gauge("diffrun_gateway_points", "Metric points held in memory.", registry=REGISTRY)
REDIS_UP = Gauge("diffrun_gateway_redis_up", "Whether the last command to Redis was answered.", registry=REGISTRY)
DISPATCH = Histogram(
    "diffrun_gateway_dispatch_seconds",
    "From an event's publication to the clients' queues.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    registry=REGISTRY,
)
REQUESTS = Histogram(
    "diffrun_gateway_request_seconds", "Requests, streams excluded.", ["route", "status"], registry=REGISTRY
)
THUMBNAILS = Counter("diffrun_gateway_thumbnails_total", "Thumbnails asked for.", ["source"], registry=REGISTRY)
REVIEWS = Counter("diffrun_gateway_access_reviews_total", "Questions to Kubernetes.", ["kind"], registry=REGISTRY)
WATCH_ERRORS = Counter("diffrun_gateway_watch_errors_total", "Watches that had to be begun again.", registry=REGISTRY)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and what `extra={"fields": {…}}` gives."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up_logging(level: str, *, plain: bool = False) -> None:
    """Sends all logs to standard error: as JSON, or `plain` for a person at a terminal."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s") if plain else JsonFormatter()
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
