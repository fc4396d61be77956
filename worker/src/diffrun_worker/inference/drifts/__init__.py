"""Drifts act on the state: each changes x after the scheduler's step, and so where the sample is."""

from diffrun_worker.inference.drifts.functions import DRIFT_REGISTRY, DriftFunction

__all__ = ["DRIFT_REGISTRY", "DriftFunction"]
