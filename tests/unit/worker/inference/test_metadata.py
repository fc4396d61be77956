"""Parts of shards: whatever order they come in, and however often, they make the same documents."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrun_worker.errors import PermanentError
from diffrun_worker.inference.environment import describe_environment
from diffrun_worker.inference.metadata import Part, SampleRecord, Series, merge, publish
from diffrun_worker.sampling.batching import shard_indexes
from diffrun_worker.stored_workspace import StoredWorkspace
from diffrun_worker.workspace import Workspace

NOON = datetime(2026, 2, 17, 12, tzinfo=UTC)


def part(shard: int, shards: int = 3, *, minute: int = 0, total: int = 10, **changed: Any) -> Part:
    samples = tuple(
        SampleRecord(index=index, seed=7 + index, generation_time=0.5, video=f"videos/v{index:03d}.mp4")
        for index in shard_indexes(total, shard, shards)
    )
    fields: dict[str, Any] = {
        "run_id": "run",
        "shard": shard,
        "shards": shards,
        "total": total,
        "character": "A",
        "timestamp_start": NOON + timedelta(minutes=minute),
        "timestamp_end": NOON + timedelta(minutes=minute + 1),
        "config": {"character": "A"},
        "checkpoint": {"path": "model", "classes": ["A"], "size": 28, "channels": 1},
        "environment": {"hostname": f"node-{shard}"},
        "scheduler": {"num_train_timesteps": 1000, "beta_start": 0.0001, "beta_end": 0.02},
        "samples": samples,
    }
    return Part(**(fields | changed))


def test_metadata_has_the_documented_fields() -> None:
    metadata = merge([part(0, 1)]).metadata

    assert metadata["run_id"] == "run"
    assert metadata["timestamp_start"] == "2026-02-17T12:00:00Z"
    assert metadata["timestamp_end"] == "2026-02-17T12:01:00Z"
    assert metadata["config"] == {"character": "A"}
    assert metadata["checkpoint"] == {"path": "model", "classes": ["A"], "size": 28, "channels": 1}
    assert metadata["environment"] == {"hostname": "node-0"}
    assert metadata["scheduler"] == {"num_train_timesteps": 1000, "beta_start": 0.0001, "beta_end": 0.02}


def test_the_index_lists_every_sample_of_every_shard_in_order() -> None:
    merged = merge([part(2), part(0), part(1)])

    assert merged.complete
    assert merged.index["complete"] is True
    assert [sample["index"] for sample in merged.index["samples"]] == list(range(10))
    assert merged.index["samples"][4] == {
        "index": 4,
        "seed": 11,
        "generation_time": 0.5,
        "video": "videos/v004.mp4",
    }


def test_a_run_has_no_end_before_its_last_shard() -> None:
    merged = merge([part(0, minute=0), part(2, minute=5)])

    assert not merged.complete
    assert merged.metadata["timestamp_end"] is None
    assert merged.metadata["shards"]["done"] == [0, 2]
    assert merged.metadata["samples"] == {"done": 7, "total": 10}
    assert merge([part(0), part(2, minute=5), part(1)]).metadata["timestamp_end"] == "2026-02-17T12:06:00Z"


@given(st.permutations([0, 1, 2]), st.lists(st.integers(0, 2), max_size=4))
def test_order_and_repetition_change_nothing(order: list[int], again: list[int]) -> None:
    assert merge([part(shard) for shard in [*order, *again]]) == merge([part(0), part(1), part(2)])


@given(st.permutations(["old", "new"]))
def test_a_shard_that_was_tried_again_counts_once_and_newest(order: list[str]) -> None:
    tries = {
        "old": part(1, minute=0, environment={"hostname": "lost"}),
        "new": part(1, minute=9, environment={"hostname": "found"}),
    }
    merged = merge([part(0), *(tries[name] for name in order)])

    assert merged.metadata["shards"]["environments"]["1"] == {"hostname": "found"}
    assert len(merged.index["samples"]) == 6


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"config": {"character": "B"}}, "config"), ({"shards": 4}, "shards"), ({"total": 11}, "total")],
)
def test_shards_of_different_runs_are_not_merged(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(PermanentError, match=f"shard 1 ran with another {field} than shard 0"):
        merge([part(0), part(1, **changed)])


def test_nothing_merges_into_an_error() -> None:
    with pytest.raises(PermanentError, match="no shard"):
        merge([])


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


def test_each_shard_brings_the_documents_up_to_date(tmp_path: Path) -> None:
    assert not publish(tmp_path, part(1)).complete
    assert read(tmp_path, "metadata.json")["shards"]["done"] == [1]
    assert not publish(tmp_path, part(0)).complete
    whole = publish(tmp_path, part(2))
    assert whole.complete

    assert read(tmp_path, "metadata.json")["shards"]["done"] == [0, 1, 2]
    assert len(read(tmp_path, "index.json")["samples"]) == 10
    assert whole.index == read(tmp_path, "index.json")


def test_publishing_again_changes_no_byte(tmp_path: Path) -> None:
    for shard in range(3):
        publish(tmp_path, part(shard))
    before = [(tmp_path / name).read_bytes() for name in ("metadata.json", "index.json")]
    publish(tmp_path, part(1))

    assert [(tmp_path / name).read_bytes() for name in ("metadata.json", "index.json")] == before


@pytest.mark.parametrize("document", ["metadata.json", "index.json"])
def test_a_shard_that_ends_while_another_writes_the_documents_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: str
) -> None:
    late = [part(2), part(1)]
    write = Workspace.write

    def interrupted(self: Workspace, relative: str, data: bytes) -> Path:
        # The other shards begin and end between this shard's look at the parts and its writing of what it saw.
        if relative == document and late:
            publish(tmp_path, late.pop())
        return write(self, relative, data)

    monkeypatch.setattr(Workspace, "write", interrupted)
    merged = publish(tmp_path, part(0))

    assert merged.complete
    assert read(tmp_path, "metadata.json")["shards"]["done"] == [0, 1, 2]
    assert len(read(tmp_path, "index.json")["samples"]) == 10


def test_parts_of_an_earlier_run_in_the_folder_are_left_out(tmp_path: Path) -> None:
    for shard in range(3):
        publish(tmp_path, part(shard, run_id="earlier"))

    merged = publish(tmp_path, part(0, run_id="later"))

    assert merged.metadata["run_id"] == "later"
    assert merged.metadata["shards"]["done"] == [0]


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    publish(tmp_path, part(0))
    (tmp_path / "parts" / "0001.json").write_text("{}")

    with pytest.raises(PermanentError, match=r"parts/0001\.json"):
        publish(tmp_path, part(2))


def test_numbered_files_are_told_by_their_first_and_last_name() -> None:
    series = Series(count=50, first="frames/v000_f0000.png", last="frames/v000_f0049.png")
    record = SampleRecord(index=0, seed=1, generation_time=0.1, frames=series)

    index = merge([part(0, 1, samples=(record,))]).index

    assert index["samples"] == [
        {
            "index": 0,
            "seed": 1,
            "generation_time": 0.1,
            "frames": {"count": 50, "first": "frames/v000_f0000.png", "last": "frames/v000_f0049.png"},
        }
    ]


def test_the_environment_names_machine_and_versions() -> None:
    environment = describe_environment("cpu", {})

    assert environment["hostname"]
    assert environment["gpu"] is None
    assert environment["cuda_version"] is None
    assert isinstance(environment["torch_version"], str)
    assert not [key for key in environment if key.startswith(("pod", "job", "slurm"))]


def test_the_environment_names_job_and_pod_in_kubernetes() -> None:
    environment = describe_environment(
        "cpu", {"DIFFRUN_POD_NAME": "letters-infer-1a2b3c4d-1-7-x9k2p", "JOB_COMPLETION_INDEX": "7"}
    )

    assert environment["pod_name"] == "letters-infer-1a2b3c4d-1-7-x9k2p"
    assert environment["job_name"] == "letters-infer-1a2b3c4d-1"
    assert environment["job_completion_index"] == "7"


def test_the_environment_names_the_array_task_under_slurm() -> None:
    environment = describe_environment("cpu", {"SLURM_JOB_ID": "12345678", "SLURM_ARRAY_TASK_ID": "0"})

    assert environment["slurm_job_id"] == "12345678"
    assert environment["slurm_array_task_id"] == "0"


def test_shards_that_meet_only_in_an_object_store_complete_each_other(tmp_path: Path) -> None:
    pods = [StoredWorkspace("memory://shards/x", tmp_path / str(shard)) for shard in range(2)]
    for shard, workspace in enumerate(pods):
        folder = workspace.place("output/A")
        (folder / "videos").mkdir(parents=True)
        (folder / "videos" / f"v{shard}.mp4").write_bytes(b"video")
        (folder / f".encoding-{shard}").mkdir()
        (folder / f".encoding-{shard}" / "half.mp4").write_bytes(b"half")
        merged = publish(folder, part(shard, 2), workspace)
    assert merged.complete
    another = StoredWorkspace("memory://shards/x", tmp_path / "later")
    later = another.path("output/A")
    assert read(later, "index.json") == merged.index
    assert sorted(path.relative_to(later).as_posix() for path in later.rglob("*.*")) == [
        "index.json", "metadata.json", "parts/0000.json", "parts/0001.json", "videos/v0.mp4", "videos/v1.mp4",
    ]  # fmt: skip
