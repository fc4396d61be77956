"""An image dataset of the Hugging Face Hub, read from the Parquet files of its repository.

The image column holds encoded images, as `datasets` writes them: a struct with `bytes`, or plain binary. The label
column holds integers; their names stand in the file's `huggingface` metadata where the feature is a ClassLabel.
"""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from diffrun_contracts import names
from diffrun_contracts.params.dataset import Dataset, HubDataset
from diffrun_worker.data.decoding import Encoded, decode_all
from diffrun_worker.data.sources.base import Raw, Request
from diffrun_worker.data.sources.files import corrupt, some
from diffrun_worker.data.sources.hub_cache import DatasetCache, select_parquet
from diffrun_worker.data.sources.image_folder import require_size
from diffrun_worker.errors import invalid_params
from diffrun_worker.hub import Hub

_FIELD = "data.hub"
_AGAIN = "use another revision of the dataset"
_PATHS = "fetch the images themselves and name their folder as data.imageFolder"
_ROWS = 256  # rows of encoded images in memory at once
_COLOUR = 3


def read_hub(spec: Dataset, request: Request) -> Raw:
    """In the order of the files' names and rows; without classes a mirror image is as good."""
    assert spec.hub is not None  # noqa: S101 - the registry chose by this field
    size = require_size(request)
    hub = Hub(
        spec.hub.repo,
        spec.hub.revision,
        endpoint=os.environ.get(names.ENV_HF_ENDPOINT) or None,
        token=request.token or os.environ.get(names.ENV_HF_TOKEN) or None,
        kind="dataset",
        field=_FIELD,
    )
    cache = DatasetCache(hub, request)
    commit = cache.resolve()
    paths = cache.fetch(commit, select_parquet(spec.hub.repo, commit, spec.hub.folder, test=spec.test))
    tables = [_Table(path, spec.hub) for path in paths]
    count = sum(table.rows for table in tables)
    if count == 0:
        raise corrupt(_FIELD, some([path.name for path in paths]), "has no rows", _AGAIN)
    labels, classes = _labels(tables, spec.hub)
    return Raw(_pixels(tables, count, size, request), labels, classes, mirror=not classes)


def _pixels(tables: Sequence["_Table"], count: int, size: int, request: Request) -> NDArray[np.uint8]:
    """[N, C, S, S]."""
    channels = request.channels or _COLOUR

    def done(finished: int) -> None:
        request.check()
        request.progress(finished, count)

    pixels = np.empty((count, channels, size, size), dtype=np.uint8)
    encoded = (image for table in tables for image in table.images())
    for row, image in enumerate(decode_all(encoded, size, channels, done)):
        pixels[row] = image
    return pixels


def _labels(tables: Sequence["_Table"], spec: HubDataset) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """[N] and the classes' names; without names in the files the numbers are the names."""
    if spec.label_column is None:
        return None, ()
    labels = np.concatenate([table.labels(spec.label_column) for table in tables])
    named = tables[0].class_names(spec.label_column)
    classes = named or tuple(str(label) for label in range(int(labels.max()) + 1))
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= len(classes):
        raise corrupt(
            f"{_FIELD}.labelColumn",
            repr(spec.label_column),
            f"has labels from {low} to {high}, its classes are 0 to {len(classes) - 1}",
            "use a split that has labels, or leave the column out",
        )
    return labels, classes


class _Table:
    """One Parquet file."""

    def __init__(self, path: Path, spec: HubDataset) -> None:
        """Reads the file's footer and judges its image column."""
        self.path = path
        try:
            self._file = pq.ParquetFile(path)
        except pa.ArrowInvalid as error:
            raise corrupt(_FIELD, path.name, f"is no Parquet file ({error})", _AGAIN) from error
        self.rows: int = self._file.metadata.num_rows
        self._schema: Any = self._file.schema_arrow
        self._column = spec.image_column
        kind = self._type(f"{_FIELD}.imageColumn", spec.image_column)
        self._in_struct = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
        if not (self._in_struct or _is_binary(kind)):
            raise invalid_params(
                f"{_FIELD}.imageColumn: {spec.image_column!r} of {path.name} holds {kind}, not encoded images "
                f"(binary, or a struct with bytes); choose among {self._columns()}"
            )

    def images(self) -> Iterator[Encoded]:
        """The encoded images, in the order of the rows."""
        row = 0
        for batch in self._batches(self._column):
            for cell in batch:
                name = f"row {row} of {self.path.name}"
                value = cell.as_py()
                data = value.get("bytes") if self._in_struct and value is not None else value
                if data is None:
                    raise corrupt(_FIELD, name, "has no bytes of an image, at most a path", _PATHS)
                yield name, data
                row += 1

    def labels(self, column: str) -> NDArray[np.int64]:
        """[rows]."""
        kind = self._type(f"{_FIELD}.labelColumn", column)
        if not pa.types.is_integer(kind):
            raise invalid_params(
                f"{_FIELD}.labelColumn: {column!r} of {self.path.name} holds {kind}, not integers; choose a column of "
                f"integers among {self._columns()}, or leave it out"
            )
        chunks = [np.zeros(0, np.int64)]
        for batch in self._batches(column):
            if batch.null_count:
                raise corrupt(f"{_FIELD}.labelColumn", self.path.name, f"has rows without {column!r}", _AGAIN)
            chunks.append(batch.to_numpy(zero_copy_only=False).astype(np.int64))
        return np.concatenate(chunks)

    def class_names(self, column: str) -> tuple[str, ...]:
        """The names that the column's ClassLabel feature gives, by label; empty where it is none."""
        metadata = (self._schema.metadata or {}).get(b"huggingface")
        if metadata is None:
            return ()
        try:
            feature = json.loads(metadata)["info"]["features"][column]
            return tuple(str(name) for name in feature.get("names") or ())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problem = f"has 'huggingface' metadata that does not describe {column!r}"
            raise corrupt(_FIELD, self.path.name, problem, _AGAIN) from error

    def _batches(self, column: str) -> Iterator[Any]:
        try:
            for batch in self._file.iter_batches(batch_size=_ROWS, columns=[column]):
                yield batch.column(0)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's trouble, not the file's
            raise corrupt(_FIELD, self.path.name, f"cannot be read ({error})", _AGAIN) from error

    def _type(self, field: str, column: str) -> Any:
        index = self._schema.get_field_index(column)
        if index < 0:
            raise invalid_params(f"{field}: {self.path.name} has no column {column!r}; choose among {self._columns()}")
        return self._schema.field(index).type

    def _columns(self) -> str:
        return some(list(self._schema.names))


def _is_binary(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
