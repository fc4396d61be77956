"""One golden document for each kind of message: the wire form that other readers, in other languages, rely on."""

import json
import typing
from pathlib import Path

import pytest

from diffrun_contracts.base import Model
from diffrun_contracts.events import Body, Event, Manifest
from diffrun_contracts.task import BlockResult, BlockTask

GOLDEN = Path(__file__).parents[3] / "contracts" / "golden"
OTHERS: dict[str, type[Model]] = {"manifest": Manifest, "task": BlockTask, "result": BlockResult}


def body_types() -> list[str]:
    union = typing.get_args(Body)[0]
    return [model.model_fields["type"].default for model in typing.get_args(union)]


def test_every_kind_of_message_has_a_golden_document_and_no_other_document_is_there() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == {*body_types(), *OTHERS}


@pytest.mark.parametrize("name", [*body_types(), *OTHERS])
def test_a_golden_document_is_read_and_written_again_without_a_change(name: str) -> None:
    text = (GOLDEN / f"{name}.json").read_text()
    model = OTHERS.get(name, Event).model_validate_json(text)
    assert json.loads(model.to_json()) == json.loads(text)


@pytest.mark.parametrize("name", body_types())
def test_a_golden_event_holds_the_body_that_its_name_says(name: str) -> None:
    event = Event.model_validate_json((GOLDEN / f"{name}.json").read_text())
    assert event.body.type == name
