"""The Parquet files of a dataset of the Hub: which are read, and what is said of those that cannot be."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_dataset_kit import CLASS_LABEL, FILES, IMAGE, TRAIN, load, parquet, png, reds, refused, serve, structs

from diffrun_testkit.servers import HubThread


def test_plain_binary_images_and_numbers_without_names_are_read_too(tmp_path: Path, hub: HubThread) -> None:
    images = pa.array([png(1), png(2)], pa.large_binary())
    serve(hub, {"all.parquet": parquet(images, pa.array([2, 0], pa.int8()))})
    loaded = load(tmp_path, labelColumn="label")
    assert (reds(loaded), loaded.require_labels().tolist(), loaded.classes) == ([1, 2], [2, 0], ("0", "1", "2"))


PATH_ALONE = pa.array([{"bytes": None, "path": "a.png"}], IMAGE)
BAD: Mapping[str, tuple[bytes, dict[str, Any], str, str]] = {
    "no-such-image-column": (
        FILES[TRAIN],
        {"imageColumn": "img"},
        "InvalidParams",
        "data.hub.imageColumn: a.parquet has no column 'img'; choose among image, label",
    ),
    "no-such-label-column": (
        FILES[TRAIN],
        {"labelColumn": "class"},
        "InvalidParams",
        "data.hub.labelColumn: a.parquet has no column 'class'; choose among image, label",
    ),
    "not-images": (
        FILES[TRAIN],
        {"imageColumn": "label"},
        "InvalidParams",
        "data.hub.imageColumn: 'label' of a.parquet holds int64, not encoded images (binary, or a struct with bytes); "
        "choose among image, label",
    ),
    "labels-are-words": (
        parquet(structs([1]), pa.array(["dark"])),
        {"labelColumn": "label"},
        "InvalidParams",
        "data.hub.labelColumn: 'label' of a.parquet holds string, not integers; choose a column of integers among "
        "image, label, or leave it out",
    ),
    "unlabelled": (
        parquet(structs([1, 2]), pa.array([-1, -1]), CLASS_LABEL),
        {"labelColumn": "label"},
        "CorruptDataset",
        "data.hub.labelColumn: 'label' has labels from -1 to -1, its classes are 0 to 1; use a split that has labels, "
        "or leave the column out",
    ),
    "a-label-without-a-name": (
        parquet(structs([1, 2]), pa.array([0, 2]), CLASS_LABEL),
        {"labelColumn": "label"},
        "CorruptDataset",
        "data.hub.labelColumn: 'label' has labels from 0 to 2, its classes are 0 to 1; use a split that has labels, "
        "or leave the column out",
    ),
    "a-row-without-label": (
        parquet(structs([1, 2]), pa.array([0, None], pa.int64())),
        {"labelColumn": "label"},
        "CorruptDataset",
        "data.hub.labelColumn: a.parquet has rows without 'label'; use another revision of the dataset",
    ),
    "paths-alone": (
        parquet(PATH_ALONE, pa.array([0])),
        {},
        "CorruptDataset",
        "data.hub: row 0 of a.parquet has no bytes of an image, at most a path; fetch the images themselves and name "
        "their folder as data.imageFolder",
    ),
    "not-an-image": (
        parquet(pa.array([png(1), b"GIF?"]), pa.array([0, 0])),
        {},
        "CorruptDataset",
        "data: row 1 of a.parquet does not decode as an image: it is in no format that is known; "
        "repair it or remove it",
    ),
    "empty": (
        parquet(structs([]), pa.array([], pa.int64())),
        {},
        "CorruptDataset",
        "data.hub: a.parquet has no rows; use another revision of the dataset",
    ),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_file_that_is_no_image_dataset_is_refused_by_the_field_to_change(
    bad: str, tmp_path: Path, hub: HubThread
) -> None:
    data, fields, code, words = BAD[bad]
    serve(hub, {"a.parquet": data})
    assert refused(tmp_path, **fields) == (code, words)


@pytest.mark.parametrize("data", [b"<html>", FILES[TRAIN][:-20]], ids=["html", "truncated-at-the-source"])
def test_a_file_that_is_no_parquet_is_told_by_name(tmp_path: Path, hub: HubThread, data: bytes) -> None:
    serve(hub, {"a.parquet": data})
    code, message = refused(tmp_path)
    assert code == "CorruptDataset"
    assert message.startswith("data.hub: a.parquet is no Parquet file (")
    assert str(tmp_path) not in message


def test_damage_inside_a_parquet_file_is_told_by_name(tmp_path: Path, hub: HubThread) -> None:
    data = bytearray(FILES[TRAIN])
    data[4:200] = bytes(196)
    serve(hub, {"a.parquet": bytes(data)})
    code, message = refused(tmp_path)
    assert code == "CorruptDataset"
    assert "a.parquet" in message


def test_metadata_that_does_not_describe_the_column_is_told(tmp_path: Path, hub: HubThread) -> None:
    table = pa.table({"image": structs([1]), "label": [0]}).replace_schema_metadata({"huggingface": "{}"})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    serve(hub, {"a.parquet": buffer.getvalue()})
    code, message = refused(tmp_path, labelColumn="label")
    assert (code, "does not describe 'label'" in message) == ("CorruptDataset", True)
