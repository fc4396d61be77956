"""A dataset of images as Parquet files on the Hub's look-alike, and what reading it gives or is refused with."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from diffrun_contracts.params.dataset import Dataset
from diffrun_testkit.repos import Repo
from diffrun_testkit.servers import HubThread
from diffrun_worker.data import Images, load_images
from diffrun_worker.errors import BlockError
from diffrun_worker.workspace import Workspace

REPO = "nobody/colours"
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
TRAIN, TEST = "data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"


def png(red: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4), (red, 0, 0)).save(buffer, format="PNG")
    return buffer.getvalue()


def parquet(images: pa.Array, labels: pa.Array, label_feature: Mapping[str, Any] | None = None) -> bytes:
    """A file as `datasets` writes it; without a feature there is no metadata."""
    schema = pa.schema([("image", images.type), ("label", labels.type)])
    if label_feature is not None:
        features = {"image": {"_type": "Image"}, "label": label_feature}
        schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([images, labels], schema=schema), buffer, row_group_size=2)
    return buffer.getvalue()


def structs(reds: list[int]) -> pa.Array:
    return pa.array([{"bytes": png(red), "path": f"{red}.png"} for red in reds], IMAGE)


CLASS_LABEL = {"names": ["dark", "light"], "_type": "ClassLabel"}
FILES = {
    "README.md": b"# Colours\n",
    TRAIN: parquet(structs([10, 20, 30]), pa.array([0, 0, 1]), CLASS_LABEL),
    TEST: parquet(structs([200]), pa.array([1]), CLASS_LABEL),
}


def serve(hub: HubThread, files: Mapping[str, bytes]) -> str:
    """Serves the files as the dataset's one commit, and returns that."""
    hub.server.repos[REPO] = Repo.from_bytes(REPO, files, "dataset")
    return hub.server.repos[REPO].commit


def load(root: Path, *, repo: str = REPO, test: bool = False, token: str | None = None, **fields: Any) -> Images:
    spec = Dataset.model_validate({"hub": {"repo": repo, **fields}, "test": test})
    return load_images(spec, Workspace(str(root)), image_size=4, token=token)


def refused(root: Path, **fields: Any) -> tuple[str, str]:
    with pytest.raises(BlockError) as caught:
        load(root, **fields)
    return caught.value.code, caught.value.message


def reds(images: Images) -> list[int]:
    return images.pixels[:, 0, 0, 0].tolist()
