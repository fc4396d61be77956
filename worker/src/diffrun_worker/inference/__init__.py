"""Class-conditional generation with classifier-free guidance, forces and drifts.

Forces act on the predicted noise, drifts on the state. What stands here is the Python interface; the block `infer`
and the command line are layers over it.
"""

from diffrun_worker.inference.classes import CheckpointInfo
from diffrun_worker.inference.config import (
    CaptureConfig,
    DriftConfig,
    EnvironmentConfig,
    ForceConfig,
    InferenceConfig,
    VideoConfig,
)
from diffrun_worker.inference.drifts import DRIFT_REGISTRY
from diffrun_worker.inference.forces import FORCE_REGISTRY
from diffrun_worker.inference.loading import build_scheduler, load_checkpoint, load_unet, newest_checkpoint
from diffrun_worker.inference.loop import Generation, generate_batch, generate_sample
from diffrun_worker.inference.presets import PRESET_REGISTRY
from diffrun_worker.inference.result import FrameCallback, FrameData, SampleResult
from diffrun_worker.inference.traits import declare
from diffrun_worker.inference.user_code import UserCode

__all__ = [
    "DRIFT_REGISTRY",
    "FORCE_REGISTRY",
    "PRESET_REGISTRY",
    "CaptureConfig",
    "CheckpointInfo",
    "DriftConfig",
    "EnvironmentConfig",
    "ForceConfig",
    "FrameCallback",
    "FrameData",
    "Generation",
    "InferenceConfig",
    "SampleResult",
    "UserCode",
    "VideoConfig",
    "build_scheduler",
    "declare",
    "generate_batch",
    "generate_sample",
    "load_checkpoint",
    "load_unet",
    "newest_checkpoint",
]
