"""Runs one block of a DiffusionRun in one pod, or without a cluster.

Nothing here imports torch; the blocks that compute do.
"""

__version__ = "0.1.0"
