"""A dataset of the Hub with the real client against the Hub's look-alike: what comes, what stays, what is refused."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import file_download
from PIL import Image

from diffrun_contracts.params import Train as TrainParams
from diffrun_contracts.params.dataset import Dataset
from diffrun_testkit.faults import Fault
from diffrun_testkit.repos import Repo
from diffrun_testkit.servers import HubThread
from diffrun_worker.blocks.train import Train
from diffrun_worker.data import Images, load_images
from diffrun_worker.errors import BlockError, Stopped
from diffrun_worker.testing import RecordingContext
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


@pytest.fixture(autouse=True)
def served(hub: HubThread, monkeypatch: pytest.MonkeyPatch) -> HubThread:
    """The dataset; and the client does not wait a second before it goes on after a broken connection."""
    monkeypatch.setattr(file_download, "time", type("Hasty", (), {"sleep": staticmethod(lambda seconds: None)}))
    serve(hub, FILES)
    return hub


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


def downloads(hub: HubThread) -> list[str]:
    """The files that were fetched, by name: Parquet lies in large-file storage, and is asked for by its checksum."""
    names = {file.sha256: name for name, file in hub.server.repos[REPO].files.items()}
    return [
        names[path.rsplit("/", 1)[-1]] for method, path in hub.server.requests if "/_lfs/" in path and method == "GET"
    ]


def reds(images: Images) -> list[int]:
    return images.pixels[:, 0, 0, 0].tolist()


def test_images_labels_and_the_names_of_the_classes_arrive(tmp_path: Path) -> None:
    images = load(tmp_path, labelColumn="label")
    assert (images.shape, reds(images)) == ((3, 4, 4), [10, 20, 30])
    assert (images.require_labels().tolist(), images.classes) == ([0, 0, 1], ("dark", "light"))
    assert (images.name, images.flip) == ("hub", False)


def test_only_the_wanted_split_is_fetched_and_without_a_label_column_there_are_no_classes(
    tmp_path: Path, hub: HubThread
) -> None:
    images = load(tmp_path, test=True)
    assert (reds(images), images.labels, images.classes, images.flip) == ([200], None, (), True)
    assert downloads(hub) == [TEST]


def test_a_second_run_asks_for_the_commit_alone(tmp_path: Path, hub: HubThread) -> None:
    first = load(tmp_path)
    hub.server.requests.clear()
    assert load(tmp_path).digest == first.digest
    assert downloads(hub) == []


def test_a_pinned_commit_that_is_there_needs_no_hub_at_all(
    tmp_path: Path, hub: HubThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = hub.server.repos[REPO].commit
    first = load(tmp_path, revision=commit)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert load(tmp_path, revision=commit).digest == first.digest
    assert refused(tmp_path)[0] == "HubUnavailable", "a branch may have moved on"


def test_a_file_that_lost_a_byte_is_downloaded_again(tmp_path: Path, hub: HubThread) -> None:
    load(tmp_path)
    path = next(tmp_path.rglob("train-*.parquet"))
    path.write_bytes(path.read_bytes()[:-1])
    hub.server.requests.clear()
    assert reds(load(tmp_path)) == [10, 20, 30]
    assert downloads(hub) == [TRAIN]


def test_plain_binary_images_and_numbers_without_names_are_read_too(tmp_path: Path, hub: HubThread) -> None:
    images = pa.array([png(1), png(2)], pa.large_binary())
    serve(hub, {"all.parquet": parquet(images, pa.array([2, 0], pa.int8()))})
    loaded = load(tmp_path, labelColumn="label")
    assert (reds(loaded), loaded.require_labels().tolist(), loaded.classes) == ([1, 2], [2, 0], ("0", "1", "2"))


def test_progress_is_told_in_bytes_and_then_in_images(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    spec = Dataset.model_validate({"hub": {"repo": REPO}, "imageSize": 4})
    load_images(spec, Workspace(str(tmp_path)), progress=lambda done, total: told.append((done, total)))
    assert (len(FILES[TRAIN]), len(FILES[TRAIN])) in told
    assert told[-3:] == [(1, 3), (2, 3), (3, 3)]


TINY = {
    "block_out_channels": [4],
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "down_block_types": ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"],
    "add_attention": False,
}


def test_a_training_tells_how_far_its_download_is_and_then_its_own_steps(tmp_path: Path) -> None:
    ctx = RecordingContext(tmp_path)
    params = TrainParams.model_validate({
        "model": {"name": "unet2d", "config": TINY},
        "data": {"hub": {"repo": REPO}, "imageSize": 4},
        "batchSize": 3,
        "steps": 1,
        "sampleGrid": {"samples": 1, "sampler": {"steps": 1}},
    })  # fmt: skip
    Train().run(params, ctx)
    size = len(FILES[TRAIN])
    told = list(dict.fromkeys(ctx.progressed))
    assert told[told.index((size, size)) :] == [(size, size), (1, 3), (2, 3), (3, 3), (0, 1), (1, 1)]


def test_sigterm_stops_a_download(tmp_path: Path, hub: HubThread) -> None:
    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        load_images(
            Dataset.model_validate({"hub": {"repo": REPO}, "imageSize": 4}), Workspace(str(tmp_path)), check=stop
        )
    assert not list(tmp_path.rglob("data/*.parquet")), "what is not verified does not get its name"


def test_a_model_s_name_is_no_dataset(tmp_path: Path) -> None:
    code, message = refused(tmp_path, repo="google/ddpm-cat-256")
    assert code in ("RepoNotFound", "Unauthorized")
    assert message.endswith("correct data.hub.repo")


def test_a_gated_dataset_names_the_field_of_its_secret_and_opens_with_the_token(tmp_path: Path, token: str) -> None:
    code, message = refused(tmp_path, repo=f"{REPO}-fault-gated")
    assert (code, message.rsplit(" ", 1)[-1]) == ("GatedRepo", "data.hub.tokenSecret")
    assert reds(load(tmp_path, repo=f"{REPO}-fault-gated", token=token)) == [10, 20, 30]


@pytest.mark.parametrize(
    ("fault", "code"), [(Fault.FLIP, "ChecksumMismatch"), (Fault.TRUNCATE, "DownloadIncomplete")], ids=str
)
def test_a_damaged_download_is_never_taken_for_the_dataset(tmp_path: Path, fault: Fault, code: str) -> None:
    assert refused(tmp_path, repo=f"{REPO}-fault-{fault}")[0] == code
    assert not list(tmp_path.rglob("data/*.parquet"))


def test_a_workspace_without_room_is_told_before_anything_is_fetched(
    tmp_path: Path, hub: HubThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Workspace, "free_bytes", lambda self: 1000)
    code, message = refused(tmp_path)
    assert (code, message.split(":")[0]) == ("DiskFull", f"no room to download {REPO}")
    assert downloads(hub) == []


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
