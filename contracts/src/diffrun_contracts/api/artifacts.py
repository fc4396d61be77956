"""What the gateway says of artifacts."""

from datetime import datetime

from pydantic import Field

from diffrun_contracts.api.series import Cursor
from diffrun_contracts.base import Model


class ArtifactEntry(Model):
    """An artifact that may be fetched."""

    run: str
    """The run's UID."""
    block: str
    """The block that wrote it."""
    attempt: int
    """The block's attempt."""
    shard: int
    """Which of the block's pods."""
    id: str
    """Opaque."""
    schema_type: str
    """For example `generated_sample`."""
    content_type: str
    """As the worker said; what is served says what the bytes are."""
    file_name: str
    """The name that a download gets."""
    tags: dict[str, str] = Field(default_factory=dict)
    """For example `{"phase": "preview", "sample_index": "0"}`."""
    sha256: str
    """Of the file's bytes."""
    size: int
    """Bytes."""
    width: int | None = None
    """Pixels."""
    height: int | None = None
    """Pixels."""
    time: datetime | None = None
    """When it was announced; null where only the manifest tells of it."""
    url: str
    """The bytes, relative to the API's root."""
    thumbnail_url: str | None = None
    """A WebP thumbnail, relative to the API's root; null where it is no image. Add `&size=` for another size."""


class Facet(Model):
    """A value that can be filtered by, with the number of artifacts that have it."""

    key: str
    """`schemaType`, `block`, or a tag's key."""
    value: str
    """The value."""
    count: int
    """Artifacts that have it, over the runs asked for."""


class ArtifactList(Model):
    """`GET api/artifacts`."""

    cursors: dict[str, Cursor]
    """By run: how far this reaches."""
    artifacts: tuple[ArtifactEntry, ...]
    """Oldest first; those that a later attempt wrote again are left out."""
    total: int
    """How many match the filter, of which `artifacts` is a page."""
    facets: tuple[Facet, ...] = ()
    """Over all artifacts of the runs, whatever the filter."""
    notices: tuple[str, ...] = ()
    """What is missing and why."""
