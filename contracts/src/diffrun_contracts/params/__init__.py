"""The parameters of each block type: one model serves the CRD's schema, the operator and the worker."""

from diffrun_contracts.base import Model
from diffrun_contracts.params.common import (
    DType,
    Sampler,
    SamplerName,
    SecretKeyRef,
    TimestepSpacing,
    WorkspacePath,
)
from diffrun_contracts.params.custom import Custom
from diffrun_contracts.params.evaluate import Diagnose, Evaluate
from diffrun_contracts.params.generate import DownloadCheckpoint, GenerateFull, GeneratePreview
from diffrun_contracts.params.infer import InferenceConfig
from diffrun_contracts.params.train import Train

__all__ = [
    "BLOCK_TYPES",
    "COMPUTING_TYPES",
    "SHARDABLE_TYPES",
    "BlockParams",
    "Custom",
    "DType",
    "Diagnose",
    "DownloadCheckpoint",
    "Evaluate",
    "GenerateFull",
    "GeneratePreview",
    "InferenceConfig",
    "Sampler",
    "SamplerName",
    "SecretKeyRef",
    "TimestepSpacing",
    "Train",
    "WorkspacePath",
]

BlockParams = (
    DownloadCheckpoint | GeneratePreview | GenerateFull | Train | Evaluate | Diagnose | InferenceConfig | Custom
)

BLOCK_TYPES: dict[str, type[Model]] = {
    "downloadCheckpoint": DownloadCheckpoint,
    "generatePreview": GeneratePreview,
    "generateFull": GenerateFull,
    "train": Train,
    "evaluate": Evaluate,
    "diagnose": Diagnose,
    "infer": InferenceConfig,
    "custom": Custom,
}
"""Block types by the field of a block that selects them."""

COMPUTING_TYPES = frozenset({"generatePreview", "generateFull", "train", "evaluate", "diagnose", "infer"})
"""The types that get the installation's default number of GPUs; the others get none unless asked."""

SHARDABLE_TYPES = frozenset({"generatePreview", "generateFull", "infer", "custom"})
"""The types whose work can be split over the pods of an Indexed Job."""
