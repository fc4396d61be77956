"""A pod's files and environment, or a YAML file, become one assignment."""

from pathlib import Path

import pytest

from diffrun_contracts import names
from diffrun_contracts.task import BlockTask, RunRef
from diffrun_worker.assignment import Assignment, from_file, from_pod
from diffrun_worker.block import Shard
from diffrun_worker.errors import PermanentError

TASK = BlockTask(run=RunRef(namespace="d", name="r", uid="u-1"), block="work", type="test.sleep", shards=4, seed=7)
LOG = Path("/dev/null")


@pytest.fixture
def info(tmp_path: Path) -> Path:
    (tmp_path / names.FILE_TASK).write_text(TASK.to_json())
    return tmp_path


def test_a_pod_gets_what_the_operator_wrote(info: Path) -> None:
    (info / names.FILE_INDEX_FAILURES).write_text("2")
    (info / names.FILE_INDEX_IGNORED).write_text("1\n")
    environment = {
        names.ENV_WORKSPACE: "/w",
        names.ENV_POD_UID: "pod-1",
        names.ENV_SHARD: "3",
        names.ENV_GPUS: "1",
        names.ENV_REDIS_URL: "redis://worker:hunter2@redis:6379/0",
    }
    assignment = from_pod(environment, info, LOG)
    assert assignment == Assignment(
        task=TASK,
        workspace="/w",
        pod="pod-1",
        shard=Shard(3, 4),
        retry=3,
        gpus=1,
        redis_url="redis://worker:hunter2@redis:6379/0",
        pause_file=info / names.FILE_PAUSE,
        termination_log=LOG,
    )
    assert "hunter2" not in repr(assignment)


def test_counts_that_are_not_there_yet_are_zero(info: Path) -> None:
    (info / names.FILE_INDEX_FAILURES).write_text("")
    assignment = from_pod({}, info, LOG)
    assert (assignment.retry, assignment.gpus, assignment.shard) == (0, 0, Shard(0, 4))
    assert assignment.workspace == names.WORKSPACE_MOUNT
    assert assignment.pod


@pytest.mark.parametrize(
    ("text", "environment", "message"),
    [
        ("{}", {}, "task.json: run: Field required; block: Field required; type: Field required"),
        (TASK.to_json(), {names.ENV_SHARD: "4"}, "JOB_COMPLETION_INDEX is 4, but the block has 4 shards"),
        (TASK.to_json(), {names.ENV_GPUS: "-1"}, "DIFFRUN_GPUS is '-1'; a number from 0 on is needed"),
    ],
    ids=["no-task", "shard", "gpus"],
)
def test_what_the_operator_would_never_write_is_refused(
    info: Path, text: str, environment: dict[str, str], message: str
) -> None:
    (info / names.FILE_TASK).write_text(text)
    with pytest.raises(PermanentError) as caught:
        from_pod(environment, info, LOG)
    assert caught.value.code == "InvalidTask"
    assert caught.value.message.endswith(message)


def test_outside_a_pod_the_way_without_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"task.json: No such file .*; outside a pod give --file and --workspace"):
        from_pod({}, tmp_path, LOG)


def test_a_file_names_one_block(tmp_path: Path) -> None:
    path = tmp_path / "try.yaml"
    path.write_text("name: preview\nseed: 5\ngeneratePreview: {samples: 3}\ninputs: {model_path: m}\n")
    assignment = from_file(path, "/w")
    task = assignment.task
    assert (task.run.namespace, task.run.name, task.block, task.seed) == ("local", "try", "preview", 5)
    assert (task.type, task.params, assignment.inputs) == ("generatePreview", {"samples": 3}, {"model_path": "m"})


def test_two_local_runs_never_share_their_files(tmp_path: Path) -> None:
    path = tmp_path / "try.yaml"
    path.write_text("test.sleep: {}\n")
    assert from_file(path, "/w").task.run.uid != from_file(path, "/w").task.run.uid


def test_a_custom_block_is_written_as_in_a_run(tmp_path: Path) -> None:
    path = tmp_path / "try.yaml"
    path.write_text("name: x\ncustom: {type: my.block, params: {a: 1}}\n")
    assert (from_file(path, "/w").task.type, from_file(path, "/w").task.params) == ("my.block", {"a": 1})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1", "is not YAML: while parsing a flow sequence"),
        ("- a", "a mapping with name and one block type is needed"),
        ("name: x", "exactly one block type beside name, seed, inputs is needed (for example downloadCheckpoint)"),
        ("a: {}\nb: {}", "(for example downloadCheckpoint); got a, b"),
        ("a: 3", "a: a mapping of parameters is needed"),
        ("custom: {params: {}}", "custom.type: the name of a block type is needed"),
        ("a: {}\nseed: -1", "seed: Input should be greater than or equal to 0 (got -1)"),
        ("a: {}\ninputs: 3", "inputs: a mapping of names to values is needed"),
    ],
    ids=["no-yaml", "list", "no-type", "two-types", "params", "custom", "seed", "inputs"],
)
def test_a_wrong_file_is_refused_with_the_field_that_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "try.yaml"
    path.write_text(text)
    with pytest.raises(PermanentError) as caught:
        from_file(path, "/w")
    assert caught.value.code == "InvalidTask"
    assert message in caught.value.message
