"""result.json for later blocks, the termination message for people."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrun_contracts import names
from diffrun_contracts.events import BlockFinished
from diffrun_contracts.task import BlockResult, BlockTask, Dependency, ErrorInfo, RunRef
from diffrun_worker.errors import PermanentError, TemporaryError
from diffrun_worker.result import check_outputs, read_inputs, termination_message, write_result
from diffrun_worker.workspace import Workspace

RUN = RunRef(namespace="d", name="r", uid="u-1")


def task(block: str, attempt: int = 1, dependencies: tuple[Dependency, ...] = ()) -> BlockTask:
    return BlockTask(run=RUN, block=block, type="test.echo", attempt=attempt, dependencies=dependencies)


def test_the_later_dependency_wins_where_two_have_an_output_of_the_same_name(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    write_result(workspace, task("a", 2), 0, BlockResult(outputs={"x": "a", "only_a": 1}))
    write_result(workspace, task("b"), 0, BlockResult(outputs={"x": "b"}))
    write_result(workspace, task("b"), 1, BlockResult(outputs={"x": "another shard"}))
    dependencies = (Dependency(block="a", attempt=2), Dependency(block="b", attempt=1))
    assert read_inputs(workspace, task("c", dependencies=dependencies)) == {"x": "b", "only_a": 1}


def test_a_result_that_is_not_there_may_still_come(tmp_path: Path) -> None:
    with pytest.raises(TemporaryError) as caught:
        read_inputs(Workspace(str(tmp_path)), task("c", dependencies=(Dependency(block="a", attempt=1),)))
    assert str(caught.value) == (
        "MissingInput: cannot read block 'a''s result runs/u-1/a/1/0/result.json: No such file or directory"
    )


def test_a_damaged_result_is_told_by_name(tmp_path: Path) -> None:
    path = tmp_path / names.shard_dir("u-1", "a", 1, 0) / names.RESULT_FILE
    path.parent.mkdir(parents=True)
    path.write_text('{"outputs":{"x"')
    with pytest.raises(PermanentError) as caught:
        read_inputs(Workspace(str(tmp_path)), task("c", dependencies=(Dependency(block="a", attempt=1),)))
    assert str(caught.value) == ("MissingInput: block 'a''s result runs/u-1/a/1/0/result.json is damaged; run it again")


@pytest.mark.parametrize(("value", "kind"), [(None, "NoneType"), ([1], "list"), ({}, "dict"), (b"x", "bytes")])
def test_outputs_are_scalars(value: object, kind: str) -> None:
    with pytest.raises(PermanentError) as caught:
        check_outputs({"fine": 1, "path": value})  # type: ignore[dict-item]
    assert str(caught.value) == f"InvalidOutputs: output 'path' is a {kind}; outputs are strings, numbers and booleans"


def test_outputs_that_are_not_finite_are_the_words_of_the_events_in_every_trace(tmp_path: Path) -> None:
    outputs = check_outputs({"loss": math.nan, "snr": math.inf, "low": -math.inf, "fine": 0.5})
    words = {"loss": "NaN", "snr": "Infinity", "low": "-Infinity", "fine": 0.5}
    workspace = Workspace(str(tmp_path))
    write_result(workspace, task("a"), 0, BlockResult(outputs=outputs))
    assert read_inputs(workspace, task("b", dependencies=(Dependency(block="a", attempt=1),))) == words
    assert BlockResult.model_validate_json(termination_message(BlockResult(outputs=outputs))).outputs == words
    assert BlockFinished.model_validate_json(BlockFinished(succeeded=True, outputs=outputs).to_json()).outputs == words


outputs = st.dictionaries(st.text(max_size=20), st.text(max_size=3000) | st.integers() | st.booleans(), max_size=8)
errors = st.none() | st.builds(ErrorInfo, code=st.just("X"), message=st.text(max_size=6000), retryable=st.booleans())


@given(outputs, errors)
def test_a_termination_message_always_fits_and_always_parses(given_outputs: dict[str, str], error: ErrorInfo) -> None:
    message = termination_message(BlockResult(outputs=given_outputs, error=error))
    assert len(message) <= names.MAX_TERMINATION_BYTES
    read = BlockResult.model_validate_json(message)
    assert read.outputs.items() <= given_outputs.items()
    assert (read.error is None) == (error is None)


def test_what_fits_is_not_shortened() -> None:
    result = BlockResult(outputs={"model_path": "x" * 1000}, artifacts=3, error=None)
    assert json.loads(termination_message(result)) == json.loads(result.to_json())


def test_the_longest_outputs_go_first() -> None:
    result = BlockResult(outputs={"short": "s", "long": "l" * 5000, "number": 1})
    assert BlockResult.model_validate_json(termination_message(result)).outputs == {"short": "s", "number": 1}


def test_a_long_error_keeps_its_beginning_and_shows_that_it_goes_on() -> None:
    error = ErrorInfo(code="X", message="remedy first. " + "ä" * 5000, retryable=False)
    read = BlockResult.model_validate_json(termination_message(BlockResult(error=error)))
    assert read.error is not None
    assert read.error.message.startswith("remedy first. ä")
    assert read.error.message.endswith("…")
