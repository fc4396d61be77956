"""The operator's settings, from environment variables that begin with `DIFFRUN_`.

A group and its field are joined by two underscores: `DIFFRUN_WORKER__IMAGE` is `settings.worker.image`.
Lists, maps and objects are JSON. How they are read, and what a mistake says: see `environment`.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from diffrun_contracts import names
from diffrun_contracts.spec import Resources, Toleration

ENV_PREFIX = "DIFFRUN_"
ENV_DELIMITER = "__"

Port = Annotated[int, Field(ge=1, le=65535)]
PositiveSeconds = Annotated[float, Field(gt=0)]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class SecretKey(_Group):
    """One key of a Secret in the namespace of the run."""

    name: str
    """The Secret's name."""
    key: str = "token"
    """The key within it."""


class Release(_Group):
    """Which installation this operator belongs to."""

    name: str = "diffrun"
    """The Helm release's name, told in logs and in Events (as the reporting controller)."""
    namespace: str = "default"
    """The operator's own namespace."""
    instance: str = "diffrun-operator"
    """This process in Events: the pod's name."""


class Watch(_Group):
    """Which runs are served, and how the watches are kept honest."""

    namespaces: tuple[str, ...] = ()
    """Namespaces whose runs are served, by exact name. Empty: the operator's own."""
    cluster_wide: bool = False
    """Serve all namespaces; `namespaces` must then be empty."""
    server_timeout: PositiveSeconds = 300
    """Seconds after which the API server ends a watch request, so that none lives for ever."""
    client_timeout: PositiveSeconds = 310
    """Seconds after which the client ends it where the server did not."""
    connect_timeout: PositiveSeconds = 10
    """Seconds to connect."""
    resync_seconds: PositiveSeconds = 60
    """Seconds between two comparisons of what is listed with what the watches delivered."""
    max_lag_seconds: PositiveSeconds = 60
    """Seconds that a listed object may stay undelivered before the liveness probe fails."""

    @model_validator(mode="after")
    def _one_mode(self) -> Self:
        if self.cluster_wide and self.namespaces:
            raise ValueError("cluster_wide serves every namespace: leave namespaces empty, or set cluster_wide=false")
        return self


class Api(_Group):
    """How the operator talks to the API server."""

    request_timeout: PositiveSeconds = 15
    """Seconds for one request, from connecting to the last byte."""
    connect_timeout: PositiveSeconds = 5
    """Seconds to connect."""


class Queue(_Group):
    """How reconciles are scheduled."""

    workers: int = Field(default=4, ge=1, le=64)
    """Reconciles that run side by side, each for another run."""
    backoff_base: PositiveSeconds = 0.2
    """Seconds until the first retry after an error; doubled for each that follows."""
    backoff_cap: PositiveSeconds = 30
    """The longest time between retries, in seconds."""
    stop_seconds: PositiveSeconds = 10
    """Seconds that running reconciles get to finish when the operator stops."""


class Redis(_Group):
    """The operator's own access to the workers' events. Nothing that decides a run's fate passes through it."""

    url: str | None = None
    """For example `redis://diffrun-redis:6379/0`. Unset: no progress and no word of holding workers."""
    username: str | None = None
    """The ACL user; unset is Redis' default user."""
    password: SecretStr | None = None
    """The ACL user's password, from a Secret."""
    block_seconds: PositiveSeconds = 2
    """How long one read waits for events, in seconds; below `socket_timeout`."""
    socket_timeout: PositiveSeconds = 10
    """Seconds until a silent connection counts as lost."""
    backoff_cap: PositiveSeconds = 30
    """The longest time between two attempts to reach Redis, in seconds."""
    index_length: int = Field(default=10_000, ge=1)
    """Runs that the index stream keeps, approximately."""

    @model_validator(mode="after")
    def _block_below_timeout(self) -> Self:
        if self.block_seconds >= self.socket_timeout:
            raise ValueError("block_seconds must be below socket_timeout, or every quiet read would fail")
        return self


class Workspace(_Group):
    """Where runs keep their files: a claim or a URL, exactly one of them."""

    claim: str | None = None
    """The PersistentVolumeClaim in the run's namespace, mounted at `mount`."""
    url: str | None = None
    """An fsspec URL of an object store, for example `s3://bucket/prefix`."""
    mount: str = names.WORKSPACE_MOUNT
    """Where the claim is mounted in the worker."""
    secret: str | None = None
    """A Secret in the run's namespace whose keys become environment variables of the worker: the store's access."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.claim is None) == (self.url is None):
            raise ValueError("set exactly one of claim and url")
        return self

    @property
    def location(self) -> str:
        """What the worker gets as its workspace: the mount's path or the URL."""
        return self.mount if self.url is None else self.url


class Scratch(_Group):
    """Sizes of the emptyDirs that stand in for the read-only root; each counts as ephemeral storage."""

    tmp: str | None = "2Gi"
    """Of `/tmp`, a Kubernetes quantity; null for no limit."""
    home: str | None = "256Mi"
    """Of HOME."""
    cache: str | None = "4Gi"
    """Of the caches: HF_HOME and those of the compilers."""


class Worker(_Group):
    """The workers' pods. What a run may set itself is only the default here."""

    image: str
    """The worker's image."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """As in a container."""
    image_pull_secrets: tuple[str, ...] = ()
    """Secrets with registry credentials, by name; a run's own are added."""
    service_account: str | None = None
    """The pods' ServiceAccount; its token is never mounted. Unset: the namespace's default."""
    command: tuple[str, ...] = ("python", "-m", "diffrun_worker", "run")
    """The container's command."""
    user: int = Field(default=65532, ge=1)
    """The numeric user, group and fsGroup of the pods; never root."""
    gpus: int = Field(default=1, ge=0, le=16)
    """`nvidia.com/gpu` of each pod of a block that computes, where neither block nor run says otherwise."""
    retries: int = Field(default=2, ge=0, le=10)
    """How often a failed pod is replaced, for each shard, where neither block nor run says otherwise."""
    max_ignored_disruptions: int = Field(default=10, ge=0)
    """Evictions and preemptions of a shard that count as nobody's fault; one more fails the block."""
    resources: Resources = Resources()
    """Requests and limits, resource by resource, where neither block nor run names that resource."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels that the node must have; a run's own are added."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that are tolerated; a run's own are added."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations of the pods; a run's own are added."""
    runtime_class_name: str | None = None
    """The pods' RuntimeClass."""
    priority_class_name: str | None = None
    """The pods' PriorityClass."""
    shared_memory: str | None = None
    """Size of `/dev/shm`, a quantity. Unset: the container runtime's 64 MiB."""
    scratch: Scratch = Scratch()
    """The emptyDirs."""
    termination_grace_seconds: int = Field(default=60, ge=1)
    """Seconds between SIGTERM and SIGKILL, in which a worker saves what can be resumed."""
    redis_secret: SecretKey | None = None
    """Secret and key with the workers' Redis URL, credentials included. Wins over `redis_url`."""
    redis_url: str | None = None
    """The workers' Redis URL where it holds no secret. Neither set: workers only write files."""
    env: dict[str, str] = Field(default_factory=dict)
    """Further environment variables of every worker, for example a proxy."""
    allow_user_code: bool = False
    """Let `infer` blocks run Python files that a run names (`force_user_custom`, `drift_user_custom`)."""
    fenced: bool = False
    """Whether NetworkPolicies fence the workers in: those that train together then get one that lets them meet."""


class Hub(_Group):
    """The Hugging Face Hub."""

    endpoint: str | None = None
    """HF_ENDPOINT of the workers; unset is the public Hub."""
    token_secret: SecretKey | None = None
    """The Secret with HF_TOKEN for download blocks that name none; missing Secrets are no error."""


class Gates(_Group):
    """The admission policy that keeps gates honest. While it is missing, no gate opens."""

    require_policy: bool = True
    """Refuse to open gates while policy or binding is missing. Turn off only to try things out."""
    policy: str | None = None
    """The ValidatingAdmissionPolicy's name."""
    binding: str | None = None
    """The ValidatingAdmissionPolicyBinding's name."""
    recheck_seconds: PositiveSeconds = 5
    """Seconds for which a look at both is trusted; a decision is taken only after a new one."""

    @model_validator(mode="after")
    def _names(self) -> Self:
        if self.require_policy and not (self.policy and self.binding):
            raise ValueError("name policy and binding, or set require_policy=false to run without their protection")
        return self


class Serve(_Group):
    """What the operator itself serves."""

    host: str = "0.0.0.0"  # noqa: S104 - the kubelet and Prometheus come from outside the pod
    """The address to listen on."""
    health_port: Port = 8080
    """`/healthz`, for the liveness probe."""
    metrics_port: Port = 9090
    """Prometheus metrics, at `/metrics`."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least level that is logged."""


class Settings(BaseSettings):
    """Everything that an installation decides."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_DELIMITER, extra="forbid", frozen=True
    )

    release: Release = Release()
    watch: Watch = Watch()
    api: Api = Api()
    queue: Queue = Queue()
    redis: Redis = Redis()
    workspace: Workspace
    worker: Worker
    hub: Hub = Hub()
    gates: Gates
    serve: Serve = Serve()

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces that are served; empty where all are."""
        if self.watch.cluster_wide:
            return ()
        return self.watch.namespaces or (self.release.namespace,)
