"""The gateway's settings, from environment variables that begin with `DIFFRUN_GATEWAY_`.

A group and its field are joined by two underscores: `DIFFRUN_GATEWAY_REDIS__URL` is `settings.redis.url`. Lists are
JSON. A misspelt variable is an error, not ignored.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX = "DIFFRUN_GATEWAY_"
ENV_DELIMITER = "__"

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]


class SettingsError(Exception):
    """The environment does not make valid settings; the message names the variable and the remedy."""


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Serve(_Group):
    """What is listened on."""

    host: str = "0.0.0.0"  # noqa: S104 - the Service comes from outside the pod
    """The address."""
    port: Port = 8080
    """Pages and API."""
    metrics_port: Port = 9090
    """Prometheus metrics at `/metrics`; 0 for none."""
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    """Names by which the pages may be asked for, without port; any other Host header is refused, so that a foreign
    page cannot reach the gateway under a name of its own. `*.example.org` stands for all names below."""
    prefix: str = Field(default="", pattern=r"^(/[A-Za-z0-9._~-]+)*$")
    """The path under which a proxy serves the pages, for example `/diffrun`; empty for the root."""
    static: Path | None = None
    """The bundle's directory; without it there is only the API."""
    secure_cookie: bool = False
    """Mark the session cookie Secure: where browsers come by HTTPS."""
    shutdown_seconds: Seconds = 4.0
    """What open requests get to end in."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least level that is logged."""
    max_header_bytes: int = Field(default=16 * 1024, ge=1024)
    """A longer request head is answered 431."""


class Redis(_Group):
    """The live path of events."""

    url: str | None = None
    """For example `redis://diffrun-redis:6379/0`. Unset: events are read from the files alone, every second."""
    username: str | None = None
    """The ACL user; unset is Redis' default user."""
    password: SecretStr | None = None
    """The ACL user's password, from a Secret."""


class Runs(_Group):
    """Where runs are known from."""

    source: Literal["kubernetes", "workspace"] = "kubernetes"
    """`workspace` needs no cluster: runs are what lies in the workspace and in Redis, and gates are decided there."""
    namespaces: tuple[str, ...] = ()
    """Namespaces whose runs are shown, by exact name."""
    cluster_wide: bool = False
    """Show the runs of all namespaces; `namespaces` must then be empty."""
    kubeconfig: Path | None = None
    """Outside a cluster: the kubeconfig to use. Unset: the pod's service account."""
    archive_seconds: Seconds = 60
    """How often the workspace is searched for runs that are gone from the cluster."""


class Auth(_Group):
    """Who may look."""

    mode: Literal["kubernetes", "none"] = "kubernetes"
    """`kubernetes`: a bearer token, by TokenReview and SubjectAccessReview. `none`: everybody who reaches the port,
    and nobody can decide gates from the page."""
    audiences: tuple[str, ...] = ()
    """Audiences that a token must be meant for; empty for the API server's own."""
    review_seconds: Seconds = 60
    """For how long an answer of Kubernetes is trusted, and how often open streams are checked again."""
    session_seconds: Seconds = 8 * 3600
    """How long a session lasts."""
    approver_role: str = ""
    """The ClusterRole by which an administrator lets somebody decide gates; empty where the chart makes none."""
    max_sessions: int = Field(default=10_000, ge=1)
    """The oldest one ends where there are more."""


class Limits(_Group):
    """What one process takes upon itself."""

    streams: int = Field(default=2000, ge=1)
    """Open streams."""
    streams_per_user: int = Field(default=100, ge=1)
    """Open streams of one user; all who look without a token count as different."""
    client_bytes: int = Field(default=4 << 20, ge=1024)
    """What may wait for one client before its stream is closed; it reconnects and resumes."""
    send_seconds: Seconds = 12
    """How long one write to a client may take before its stream is closed; with the heartbeat, well below 30 s."""
    heartbeat_seconds: Seconds = 15
    """The longest silence of a stream."""
    runs_per_request: int = Field(default=32, ge=1)
    """Runs that one request may ask for."""
    idle_seconds: Seconds = 300
    """How long a run that nobody looks at stays in memory."""
    points: int = Field(default=60_000_000, ge=1000)
    """Metric points in memory, 32 bytes each; runs that nobody looks at make room first."""
    points_per_run: int = Field(default=20_000_000, ge=1000)
    """Metric points of one run; later ones are left out, and the page says so."""
    listed_summaries: int = Field(default=24, ge=0)
    """Runs of the list whose events are read for a sparkline and a thumbnail."""
    image_pixels: int = Field(default=100_000_000, ge=1)
    """A larger image gets no thumbnail."""
    thumbnail_cache_bytes: int = Field(default=64 << 20, ge=0)
    """Thumbnails kept in memory."""


class Settings(BaseSettings):
    """Everything that an installation decides."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_DELIMITER, extra="forbid", frozen=True
    )

    serve: Serve = Serve()
    redis: Redis = Redis()
    runs: Runs = Runs()
    auth: Auth = Auth()
    limits: Limits = Limits()
    workspace: Path | None = None
    """Where the workspace is mounted. Without it or `workspace_url`: no artifacts, no history but what Redis keeps."""
    workspace_namespace: str | None = None
    """The namespace whose claim is mounted there: runs of others may have their files where this process cannot read
    them, and the pages then say so. Unset: all runs write to the same directory."""
    workspace_url: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9+]*://[^@\s]+$")
    """Instead of a mount: an fsspec URL of the object store, for example `s3://bucket/prefix`. Its client takes keys
    and endpoint from its own variables, such as `AWS_ACCESS_KEY_ID`."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = []
        if self.workspace is not None and self.workspace_url is not None:
            problems.append("set workspace or workspace_url: it is in one place")
        if (self.workspace or self.workspace_url or self.redis.url) is None:
            problems.append("set workspace, redis.url or both: there is nothing to show otherwise")
        if self.runs.source == "workspace" and self.auth.mode != "none":
            problems.append("auth.mode: runs.source=workspace has no Kubernetes to ask; set auth.mode=none")
        if self.runs.source == "kubernetes" and self.runs.cluster_wide == bool(self.runs.namespaces):
            problems.append("runs: name the namespaces whose runs are shown, or set cluster_wide=true; not both")
        if problems:
            raise ValueError("; ".join(problems))
        return self


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process. Raises SettingsError with every problem, each naming its variable."""
    unknown = sorted(v for v in environ if v.startswith(ENV_PREFIX) and not _known(v.removeprefix(ENV_PREFIX)))
    if unknown:
        raise SettingsError(f"no such setting: {', '.join(unknown)}; see diffrun_gateway.settings for the names")
    try:
        return Settings()
    except ValueError as error:  # pydantic's ValidationError is one
        raise SettingsError(_explain(error)) from error


def _known(name: str) -> bool:
    group, delimiter, field = name.lower().partition(ENV_DELIMITER)
    info = Settings.model_fields.get(group)
    if info is None or not delimiter:
        return info is not None
    kind = info.annotation
    return isinstance(kind, type) and issubclass(kind, BaseModel) and field in kind.model_fields


def _explain(error: ValueError) -> str:
    problems = getattr(error, "errors", None)
    if problems is None:
        return str(error)
    return "; ".join(
        f"{ENV_PREFIX + ENV_DELIMITER.join(str(part).upper() for part in problem['loc'])}: {problem['msg']}"
        for problem in problems(include_url=False, include_input=False)
    )
