"""The queue's workers: they call the reconciler and turn its failures into waiting."""

import logging
import time

from diffrun_operator import errors
from diffrun_operator.metrics import Metrics
from diffrun_operator.observe import StatusUnreadableError
from diffrun_operator.queue import KeyedQueue, QueueClosedError
from diffrun_operator.reconcile import Reconciler

logger = logging.getLogger(__name__)


async def work(queue: KeyedQueue, reconciler: Reconciler, metrics: Metrics) -> None:
    """Until the queue is closed. An error that is not the API server's is a fault of ours: logged whole, retried."""
    while True:
        try:
            uid = await queue.get()
        except QueueClosedError:
            return
        await turn(uid, queue, reconciler, metrics)


async def turn(uid: str, queue: KeyedQueue, reconciler: Reconciler, metrics: Metrics) -> None:
    """One reconcile of a busy key, after which the key is done or has failed."""
    started = time.monotonic()
    try:
        requeue_after = await reconciler.reconcile(uid)
    except errors.TooManyRequestsError as error:
        delay = queue.failed(uid, at_least=error.retry_after)
        _failed(metrics, uid, delay, error)
    except (errors.ApiError, StatusUnreadableError) as error:
        _failed(metrics, uid, queue.failed(uid), error)
    except Exception:
        delay = queue.failed(uid)
        metrics.reconciles.labels("error").inc()
        logger.exception("reconciling run %s failed unexpectedly; again in %.1f s", uid, delay)
    else:
        queue.done(uid, requeue_after)
        metrics.reconciles.labels("done").inc()
    finally:
        metrics.reconcile_seconds.observe(time.monotonic() - started)


def _failed(metrics: Metrics, uid: str, delay: float, error: Exception) -> None:
    metrics.reconciles.labels("error").inc()
    logger.warning("run %s could not be reconciled; again in %.1f s: %s", uid, delay, error)
