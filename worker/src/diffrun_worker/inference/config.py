"""The configuration of the Python interface: the block's own, with what only a run without a cluster needs."""

from diffrun_contracts.params.infer import (
    CaptureConfig,
    DriftConfig,
    EnvironmentConfig,
    ForceConfig,
    VideoConfig,
)
from diffrun_contracts.params.infer import InferenceConfig as BlockConfig

__all__ = [
    "CaptureConfig",
    "DriftConfig",
    "EnvironmentConfig",
    "ForceConfig",
    "InferenceConfig",
    "VideoConfig",
]


class InferenceConfig(BlockConfig):
    """The parameters of the block `infer`, a checkpoint's folder and a folder for what comes out."""

    checkpoint_path: str | None = None
    """A checkpoint's folder, or a folder of checkpoints, of which the newest is taken."""
    output_dir: str = "output"
    """The folder that the output tree is written to."""
