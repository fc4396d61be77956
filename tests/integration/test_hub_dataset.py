"""A dataset of the Hub with the real client against the Hub's look-alike: what comes, what stays, what breaks."""

from pathlib import Path

import pytest
from hub_dataset_kit import FILES, REPO, TEST, TRAIN, load, reds, refused, serve

from diffrun_contracts.params import Train as TrainParams
from diffrun_contracts.params.dataset import Dataset
from diffrun_testkit.faults import Fault
from diffrun_testkit.servers import HubThread
from diffrun_worker.blocks.train import Train
from diffrun_worker.data import load_images
from diffrun_worker.errors import Stopped
from diffrun_worker.testing import RecordingContext
from diffrun_worker.workspace import Workspace


@pytest.fixture(autouse=True)
def served(hub: HubThread, no_waiting: None) -> None:
    """The dataset, and a client that does not wait."""
    serve(hub, FILES)


def downloads(hub: HubThread) -> list[str]:
    """The files that were fetched, by name: Parquet lies in large-file storage, and is asked for by its checksum."""
    names = {file.sha256: name for name, file in hub.server.repos[REPO].files.items()}
    return [
        names[path.rsplit("/", 1)[-1]] for method, path in hub.server.requests if "/_lfs/" in path and method == "GET"
    ]


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
