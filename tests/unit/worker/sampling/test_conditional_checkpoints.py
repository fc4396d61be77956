"""Class-conditional checkpoints: what loads with its classes, and the words for what does not."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.sampling.loader import load_conditional, load_model
from diffrun_worker.sampling.weights import SINGLE_FILE

MakeCheckpoint = Callable[..., Path]

THREE = {"classes": ["a", "b", "c"], "nullClass": 3}


def conditional(make: MakeCheckpoint, classes: object = THREE, config: dict[str, object] | None = None) -> Path:
    """A checkpoint with embeddings for three classes and the null class, beside a `classes.json`; None for none."""

    def edit(tensors: dict[str, torch.Tensor]) -> None:
        tensors["class_embedding.weight"] = torch.zeros(4, 32)

    folder = make(config={"num_class_embeds": 4, **(config or {})}, edit=edit)
    if classes is not None:
        (folder / "classes.json").write_text(classes if isinstance(classes, str) else json.dumps(classes))
    return folder


def refused(folder: Path) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        load_conditional(folder)
    return caught.value


def test_a_conditional_checkpoint_loads_with_its_classes(make_checkpoint: MakeCheckpoint) -> None:
    loaded = load_conditional(conditional(make_checkpoint))
    assert (loaded.classes, loaded.null_class) == (("a", "b", "c"), 3)
    assert loaded.model.unet.config.num_class_embeds == 4


def test_a_conditional_checkpoint_is_not_taken_for_an_unconditional_one(make_checkpoint: MakeCheckpoint) -> None:
    with pytest.raises(PermanentError) as caught:
        load_model(conditional(make_checkpoint))
    assert caught.value.code == ErrorCode.UNSUPPORTED_CLASS
    assert "the model is class-conditional" in caught.value.message


def test_an_unconditional_checkpoint_is_not_taken_for_a_conditional_one(make_checkpoint: MakeCheckpoint) -> None:
    error = refused(make_checkpoint())
    assert error.code == ErrorCode.UNSUPPORTED_CLASS
    assert error.message.startswith("config.json: the model is not class-conditional (num_class_embeds is not set)")


def test_a_checkpoint_without_classes_is_told_what_to_write(make_checkpoint: MakeCheckpoint) -> None:
    error = refused(conditional(make_checkpoint, classes=None))
    assert error.code == ErrorCode.NO_CLASSES
    assert "a checkpoint without classes: classes.json is missing" in error.message
    assert '{"classes": [the names of classes 0 to 2], "nullClass": 3}' in error.message


@pytest.mark.parametrize(
    ("classes", "code", "words"),
    [
        ("{", ErrorCode.CORRUPT_CHECKPOINT, "classes.json is not JSON"),
        ("[" * 100_000, ErrorCode.CORRUPT_CHECKPOINT, "classes.json is not JSON"),
        ([], ErrorCode.CORRUPT_CHECKPOINT, 'classes.json has no "classes"'),
        ({"nullClass": 0}, ErrorCode.CORRUPT_CHECKPOINT, 'classes.json has no "classes"'),
        ({"classes": [], "nullClass": 0}, ErrorCode.CORRUPT_CHECKPOINT, 'classes.json has no "classes"'),
        ({"classes": [1, 2, 3], "nullClass": 3}, ErrorCode.CORRUPT_CHECKPOINT, 'classes.json has no "classes"'),
        ({"classes": ["a", ""], "nullClass": 2}, ErrorCode.CORRUPT_CHECKPOINT, 'classes.json has no "classes"'),
        (
            {"classes": ["a", "b", "a"], "nullClass": 3},
            ErrorCode.CORRUPT_CHECKPOINT,
            "classes.json names the class 'a' more than once",
        ),
        ({"classes": ["a", "b", "c"]}, ErrorCode.CORRUPT_CHECKPOINT, 'classes.json has "nullClass" None'),
        ({**THREE, "nullClass": 0}, ErrorCode.CORRUPT_CHECKPOINT, 'classes.json has "nullClass" 0; the null class'),
        ({**THREE, "nullClass": 3.0}, ErrorCode.CORRUPT_CHECKPOINT, 'classes.json has "nullClass" 3.0'),
        (
            {"classes": ["a", "b"], "nullClass": 2},
            ErrorCode.INCOMPATIBLE_CHECKPOINT,
            "classes.json: 2 classes and one null class do not fit num_class_embeds 4 of config.json",
        ),
    ],
    ids=["cut", "deep", "list", "no classes", "none", "numbers", "empty name", "twice", "no null", "null taken",
         "null not whole", "count"],
)  # fmt: skip
def test_classes_that_cannot_be_asked_for_are_told(
    make_checkpoint: MakeCheckpoint, classes: object, code: str, words: str
) -> None:
    error = refused(conditional(make_checkpoint, classes))
    assert error.code == code
    assert error.message.startswith(words)


@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        ({"class_embed_type": "timestep"}, ErrorCode.UNSUPPORTED_CLASS, "config.json: class_embed_type is 'timestep'"),
        ({"num_class_embeds": 1}, ErrorCode.INCOMPATIBLE_CHECKPOINT, "config.json: num_class_embeds is 1; one class"),
        ({"num_class_embeds": "4"}, ErrorCode.INCOMPATIBLE_CHECKPOINT, "config.json: num_class_embeds is '4'"),
        ({"_class_name": "Other"}, ErrorCode.UNSUPPORTED_CLASS, "config.json: _class_name is 'Other'"),
        (
            {"_class_name": "UNetCifar32"},
            ErrorCode.UNSUPPORTED_CLASS,
            "config.json: _class_name is 'UNetCifar32', a net",
        ),
    ],
    ids=["embed type", "one", "text", "class", "our class"],
)
def test_a_configuration_without_usable_classes_is_told(
    make_checkpoint: MakeCheckpoint, config: dict[str, object], code: str, words: str
) -> None:
    error = refused(conditional(make_checkpoint, config=config))
    assert error.code == code
    assert error.message.startswith(words)


def test_the_weights_of_a_conditional_checkpoint_are_checked_as_all_others(make_checkpoint: MakeCheckpoint) -> None:
    folder = conditional(make_checkpoint)
    file = folder / SINGLE_FILE
    file.write_bytes(file.read_bytes()[:-100])
    assert refused(folder).code == ErrorCode.CORRUPT_CHECKPOINT
