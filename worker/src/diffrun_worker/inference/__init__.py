"""Class-conditional generation with classifier-free guidance, forces and drifts.

Forces act on the predicted noise, drifts on the state. What stands here is the Python interface; the block `infer`
and the command line are layers over it.
"""

from diffrun_contracts.params.infer import LatentFormat
from diffrun_worker.inference.attribution import (
    AttributionMap,
    Weighting,
    guided_difference,
    spatial_attribution,
    to_heatmap,
)
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
from diffrun_worker.inference.stats import Summary, cosine_similarity, l2_norms, summarize, summarize_each
from diffrun_worker.inference.tensors import (
    deserialize,
    image_to_latent,
    latent_to_image,
    latents_to_images,
    serialize,
    to_numpy,
)
from diffrun_worker.inference.tracker import Tracker as InferenceMetricsTracker
from diffrun_worker.inference.traits import declare
from diffrun_worker.inference.user_code import UserCode

__all__ = [
    "DRIFT_REGISTRY",
    "FORCE_REGISTRY",
    "PRESET_REGISTRY",
    "AttributionMap",
    "CaptureConfig",
    "CheckpointInfo",
    "DriftConfig",
    "EnvironmentConfig",
    "ForceConfig",
    "FrameCallback",
    "FrameData",
    "Generation",
    "InferenceConfig",
    "InferenceMetricsTracker",
    "LatentFormat",
    "SampleResult",
    "Summary",
    "UserCode",
    "VideoConfig",
    "Weighting",
    "build_scheduler",
    "cosine_similarity",
    "declare",
    "deserialize",
    "generate_batch",
    "generate_sample",
    "guided_difference",
    "image_to_latent",
    "l2_norms",
    "latent_to_image",
    "latents_to_images",
    "load_checkpoint",
    "load_unet",
    "newest_checkpoint",
    "serialize",
    "spatial_attribution",
    "summarize",
    "summarize_each",
    "to_heatmap",
    "to_numpy",
]
