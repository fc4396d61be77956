"""`DiffusionRun.spec`: what a user asks for."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from diffrun_contracts import names, params
from diffrun_contracts.base import Model

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
QUANTITY = r"^[0-9]+(\.[0-9]+)?([EPTGMk]i?|m)?$"
LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"

BlockName = Annotated[str, Field(min_length=1, max_length=names.MAX_BLOCK_NAME, pattern=DNS_LABEL)]
Quantity = Annotated[str, Field(max_length=32, pattern=QUANTITY)]
LabelValue = Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)]
LabelKey = Annotated[str, Field(max_length=317, pattern=LABEL_KEY)]
DnsName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]


class OnTimeout(StrEnum):
    """What an expired gate means."""

    REJECT = "Reject"
    APPROVE = "Approve"


class Gate(Model):
    """Holds the descendants of its block until somebody with the right to do so decides."""

    prompt: str = Field(default="", max_length=1024)
    """What the approver is asked."""
    timeout_seconds: int | None = Field(default=None, ge=1, le=31_536_000)
    """How long the gate waits; without it, for ever."""
    on_timeout: OnTimeout = OnTimeout.REJECT
    """What the end of that time means."""


class ResourceList(Model):
    """Amounts of the ordinary resources, as Kubernetes quantities."""

    cpu: Quantity | None = None
    """Cores, for example `500m` or `2`."""
    memory: Quantity | None = None
    """Bytes, for example `4Gi`."""
    ephemeral_storage: Quantity | None = Field(default=None, alias="ephemeral-storage")
    """Local disk, for example `2Gi`."""


class Resources(Model):
    """Requests and limits of a block's container; GPUs are asked for by `gpus`."""

    requests: ResourceList | None = None
    """What the scheduler sets aside."""
    limits: ResourceList | None = None
    """What the container may not exceed."""


class Toleration(Model):
    """A Kubernetes toleration."""

    key: LabelKey | None = None
    """The taint's key; empty matches all with operator Exists."""
    operator: Annotated[str, Field(pattern=r"^(Exists|Equal)$", max_length=6)] = "Equal"
    """Exists or Equal."""
    value: LabelValue | None = None
    """The taint's value, with operator Equal."""
    effect: Annotated[str, Field(pattern=r"^(NoSchedule|PreferNoSchedule|NoExecute)$", max_length=16)] | None = None
    """Which effect is tolerated; all where it is unset."""
    toleration_seconds: int | None = Field(default=None, ge=0, le=2_147_483_647)
    """How long, with effect NoExecute."""


class Execution(Model):
    """Where and how a block's pods run; `spec.defaults` gives run-wide values that a block overrides."""

    gpus: int | None = Field(default=None, ge=0, le=16)
    """`nvidia.com/gpu` for each pod. By default the installation's value for blocks that compute, 0 for others."""
    resources: Resources | None = None
    """Requests and limits of the container."""
    node_selector: dict[LabelKey, LabelValue] | None = Field(default=None, max_length=16)
    """Labels that the node must have."""
    tolerations: list[Toleration] | None = Field(default=None, max_length=16)
    """Taints that are tolerated; the GPU taint is tolerated by itself where GPUs are asked for."""
    priority_class_name: DnsName | None = None
    """The pods' PriorityClass."""
    queue_name: Annotated[str, Field(max_length=63, pattern=DNS_LABEL)] | None = None
    """The Kueue LocalQueue that admits the block's Job."""
    retries: int | None = Field(default=None, ge=0, le=10)
    """How often a pod that failed is replaced, for each shard. 2 by default."""
    active_deadline_seconds: int | None = Field(default=None, ge=1, le=31_536_000)
    """How long the block may run; queued, gated and paused time do not count."""
    pod_annotations: dict[LabelKey, Annotated[str, Field(max_length=1024)]] | None = Field(default=None, max_length=16)
    """Annotations of the pods; those of diffrun.dev are refused."""
    runtime_class_name: DnsName | None = None
    """The pods' RuntimeClass."""
    image_pull_secrets: list[DnsName] | None = Field(default=None, max_length=8)
    """Secrets with registry credentials, by name."""
    shared_memory: Quantity | None = None
    """Size of `/dev/shm`, for example `1Gi`."""


class Block(Execution):
    """One step of the run: exactly one block type, run by one Job."""

    name: BlockName
    """A DNS label, unique in the run."""
    download_checkpoint: params.DownloadCheckpoint | None = None
    """Fetch a checkpoint from the Hugging Face Hub."""
    generate_preview: params.GeneratePreview | None = None
    """Generate a few samples for review."""
    generate_full: params.GenerateFull | None = None
    """Generate the full batch."""
    train: params.Train | None = None
    """Train a model."""
    evaluate: params.Evaluate | None = None
    """Compare generated images with real ones (FID)."""
    diagnose: params.Diagnose | None = None
    """Look into what a model has learnt."""
    infer: params.InferenceConfig | None = None
    """Class-conditional samples with guidance, forces and drifts."""
    custom: params.Custom | None = None
    """Run a block of another package."""
    depends_on: list[BlockName] | None = Field(default=None, max_length=63)
    """Blocks that must succeed first; by default the one before, `[]` for none."""
    gate: Gate | None = None
    """Hold this block's descendants for a decision once it has succeeded."""
    shards: int = Field(default=1, ge=1, le=1000)
    """Split the block's work over this many pods of one Indexed Job."""

    @property
    def workers(self) -> int:
        """How many pods work together, so that none of them can be replaced alone; 1 but for training."""
        return self.train.workers if self.train is not None else 1

    @property
    def pods(self) -> int:
        """How many pods the block's Job has: one for each shard, or the workers that train together."""
        return max(self.shards, self.workers)

    @property
    def type(self) -> str:
        """The block type's field name, for example `generatePreview`."""
        return self._chosen()[0][0]

    @property
    def parameters(self) -> params.BlockParams:
        """The parameters of the block's one type."""
        return self._chosen()[0][1]

    def _chosen(self) -> list[tuple[str, params.BlockParams]]:
        candidates: dict[str, params.BlockParams | None] = {
            "downloadCheckpoint": self.download_checkpoint,
            "generatePreview": self.generate_preview,
            "generateFull": self.generate_full,
            "train": self.train,
            "evaluate": self.evaluate,
            "diagnose": self.diagnose,
            "infer": self.infer,
            "custom": self.custom,
        }
        return [(key, value) for key, value in candidates.items() if value is not None]

    @model_validator(mode="after")
    def _exactly_one_type(self) -> "Block":
        chosen = [key for key, _ in self._chosen()]
        if len(chosen) != 1:
            known = ", ".join(params.BLOCK_TYPES)
            raise ValueError(f"block {self.name!r} needs exactly one of {known}; got {chosen}")
        return self


class InspectorType(StrEnum):
    """The inspectors that the bundle brings."""

    METRIC_LINE_CHART = "metric_line_chart"
    SCALAR_SUMMARY = "scalar_summary"
    SLIDESHOW = "slideshow"


class ArtifactFilter(Model):
    """Which artifacts an inspector shows."""

    schema_type: Annotated[str, Field(max_length=63)] | None = None
    """Only artifacts of this schema type."""
    tags: list[Annotated[str, Field(max_length=63)]] | None = Field(default=None, max_length=16)
    """Only artifacts that bear all of these tags."""


class Inspector(Model):
    """An inspector attached to the run's page."""

    title: str = Field(min_length=1, max_length=120)
    """The inspector's heading."""
    type: InspectorType
    """Which inspector."""
    metrics: list[Annotated[str, Field(max_length=128)]] | None = Field(default=None, max_length=64)
    """The metrics to start with."""
    filter: ArtifactFilter | None = None
    """Which artifacts to show."""


class DiffusionRunSpec(Model):
    """A batch of diffusion-model work: blocks, their order, their gates and the run's inspectors."""

    seed: int = Field(default=0, ge=0, le=2_147_483_647)
    """The seed that every sample's own seed is counted from."""
    blocks: list[Block] = Field(min_length=1, max_length=64)
    """The run's steps; each depends on the one before it unless `dependsOn` says otherwise."""
    defaults: Execution | None = None
    """Run-wide values of where and how pods run."""
    inspectors: list[Inspector] | None = Field(default=None, max_length=16)
    """What the run's page shows; the three standard inspectors where unset."""
    pause: bool = False
    """Hold the run: running blocks stop between two steps, no further block starts."""
    cancel: bool = False
    """End the run: its Jobs are deleted, what is written stays. Cannot be taken back."""
