"""Forces act on the predicted noise: each adds a term to ε̃, and so changes the direction that a step takes."""

from diffrun_worker.inference.forces.functions import FORCE_REGISTRY, ForceFunction, Predict

__all__ = ["FORCE_REGISTRY", "ForceFunction", "Predict"]
