"""What is wrong with a spec is told by field, and nothing is started."""

import pytest
from decide_kit import Story, block, job, spec

from diffrun_contracts.reasons import ConditionType, EventReason, RunReason, SpecReason
from diffrun_operator.decide import graph, validation

FULL = {"generateFull": {"samples": 4}}
PREVIEW = {"generatePreview": {"samples": 2}}
DOWNLOAD = {"downloadCheckpoint": {"repo": "a/b"}}

INVALID = [
    pytest.param(
        spec(block("a"), block("b"), block("c", dependsOn=["x"])),
        SpecReason.UNKNOWN_DEPENDENCY,
        'spec.blocks[2].dependsOn[0]: there is no block "x"; known: a, b, c',
        id="unknown dependency",
    ),
    pytest.param(
        spec(block("a", dependsOn=["a"])),
        SpecReason.DEPENDENCY_CYCLE,
        'spec.blocks[0].dependsOn[0]: the block "a" cannot wait for itself; name another block, or use [] for none',
        id="itself",
    ),
    pytest.param(
        spec(block("a", dependsOn=["b"]), block("b")),
        SpecReason.DEPENDENCY_CYCLE,
        "spec.blocks[0].dependsOn[0]: these blocks wait for each other: a -> b -> a; "
        "a block without dependsOn waits for the one before it",
        id="a cycle through the default dependency",
    ),
    pytest.param(
        spec(block("a", dependsOn=[]), block("b", dependsOn=["a", "d"]), block("c"), block("d")),
        SpecReason.DEPENDENCY_CYCLE,
        "spec.blocks[1].dependsOn[1]: these blocks wait for each other: b -> d -> c -> b; "
        "a block without dependsOn waits for the one before it",
        id="a longer cycle",
    ),
    pytest.param(
        spec(block("p", generatePreview={"samples": 8}), block("f", generateFull={"samples": 4, "seedOffset": 7})),
        SpecReason.INVALID_FIELD,
        'spec.blocks[1].generateFull.seedOffset: must be at least the 8 samples of block "p", '
        "or both would draw from the same seeds; got 7",
        id="seeds that overlap",
    ),
    pytest.param(
        spec(block("a", podAnnotations={"diffrun.dev/pause": "true"})),
        SpecReason.INVALID_FIELD,
        'spec.blocks[0].podAnnotations["diffrun.dev/pause"]: diffrun.dev/ and batch.kubernetes.io/ are reserved; '
        "choose another prefix",
        id="our annotation",
    ),
    pytest.param(
        spec(block("a"), defaults={"podAnnotations": {"batch.kubernetes.io/x": "1"}}),
        SpecReason.INVALID_FIELD,
        'spec.defaults.podAnnotations["batch.kubernetes.io/x"]: diffrun.dev/ and batch.kubernetes.io/ are reserved; '
        "choose another prefix",
        id="the Job controller's annotation in the defaults",
    ),
    pytest.param(
        spec(block("d", shards=2, **DOWNLOAD)),
        SpecReason.INVALID_FIELD,
        "spec.blocks[0].shards: downloadCheckpoint cannot be split; got 2, use 1",
        id="a block that cannot be split",
    ),
    pytest.param(
        spec(block("p", generatePreview={"sampler": {"name": "DDPM", "eta": 0.5}})),
        SpecReason.INVALID_FIELD,
        "spec.blocks[0].generatePreview.sampler.eta: η belongs to DDIM; with DDPM it must be 0; got 0.5",
        id="eta without DDIM",
    ),
    pytest.param(
        spec(block("t", shards=2, train={"preset": "digits"})),
        SpecReason.INVALID_FIELD,
        "spec.blocks[0].shards: train cannot be split; got 2, use 1, and train.workers for pods that train together",
        id="training in shards",
    ),
    pytest.param(
        spec(block("t", train={"preset": "digits", "sampleGrid": {"sampler": {"name": "DDPM", "eta": 1.0}}})),
        SpecReason.INVALID_FIELD,
        "spec.blocks[0].train.sampleGrid.sampler.eta: η belongs to DDIM; with DDPM it must be 0; got 1",
        id="eta of a grid without DDIM",
    ),
    pytest.param(
        spec(block("a"), block("a")),
        SpecReason.INVALID_FIELD,
        'spec.blocks[1].name: "a" is already the name of spec.blocks[0]; names must be unique',
        id="a name used twice",
    ),
]


@pytest.mark.parametrize(("asked", "reason", "message"), INVALID)
def test_an_invalid_spec_is_told_by_field_and_nothing_is_started(asked, reason, message: str) -> None:
    story = Story(asked)
    decision = story.see()
    told = story.condition(ConditionType.SPEC_VALID)
    assert (told.status, told.reason, told.message) == ("False", reason, message)
    assert story.events == [EventReason.SPEC_INVALID]
    assert story.told(EventReason.SPEC_INVALID) == message
    assert (story.created, decision.status.start_time, decision.status.blocks) == ([], None, [])
    assert story.condition(ConditionType.SUCCEEDED).status == "Unknown"
    assert story.condition(ConditionType.SUCCEEDED).reason == RunReason.INVALID_SPEC
    assert story.condition(ConditionType.FINISHED).status == "False"


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(spec(block("a", dependsOn=["b"]), block("b", dependsOn=[])), id="a dependency further down"),
        pytest.param(spec(block("p", **PREVIEW), block("f", **FULL)), id="the default seed offset"),
        pytest.param(
            spec(block("p", **PREVIEW), block("f", generateFull={"seedOffset": 2})), id="seeds that just do not overlap"
        ),
        pytest.param(spec(block("a", gate={})), id="a gate without descendants"),
        pytest.param(spec(block("a", podAnnotations={"example.com/x": "1"})), id="somebody else's annotation"),
        pytest.param(spec(block("a", shards=4)), id="a custom block in shards"),
        pytest.param(spec(block("i", shards=4, infer={})), id="inference in shards"),
        pytest.param(spec(block("t", train={"preset": "digits", "workers": 2})), id="training by two workers"),
        pytest.param(spec(block("t", train={"preset": "digits"})), id="training without a grid's sampler"),
        pytest.param(spec(block("p", generatePreview={"sampler": {"eta": 1.0}})), id="eta with DDIM"),
    ],
)
def test_a_valid_spec_is_told_as_such(asked) -> None:
    story = Story(asked)
    story.see()
    assert story.condition(ConditionType.SPEC_VALID).status == "True"
    assert story.created


def test_a_spec_that_does_not_parse_is_told_in_the_words_of_its_error() -> None:
    story = Story(None, spec_error="spec.blocks[0].shards: must be at least 1; got 0")
    story.see()
    assert story.condition(ConditionType.SPEC_VALID).message == "spec.blocks[0].shards: must be at least 1; got 0"
    assert story.events == [EventReason.SPEC_INVALID]


def test_a_corrected_spec_starts() -> None:
    story = Story(spec(block("a", dependsOn=["x"])))
    story.see()
    story.edit(blocks=spec(block("a")).blocks).see()
    assert story.created == ["a"]
    assert story.condition(ConditionType.SPEC_VALID).status == "True"


def test_another_mistake_is_told_anew_and_the_same_one_is_not() -> None:
    story = Story(spec(block("a", dependsOn=["x"])))
    story.see()
    story.edit(blocks=spec(block("a", dependsOn=["y"])).blocks).see()
    assert story.events == [EventReason.SPEC_INVALID]
    story.edit(pause=True).see()
    assert story.events == []


def test_a_started_run_keeps_its_ledger_when_its_spec_no_longer_reads() -> None:
    story = Story(spec(block("a"), block("b")))
    story.see()
    story.see(job("a"))
    ledger = story.run.status.blocks
    good = story.run.spec
    story.run = type(story.run)(**{**_fields(story.run), "spec": None, "spec_error": "spec: too new"})
    story.see(job("a"))
    assert story.run.status.blocks == ledger
    assert (story.created, story.deleted) == ([], [])
    story.run = type(story.run)(**{**_fields(story.run), "spec": good, "spec_error": None})
    story.complete("a")
    assert story.created == ["b"]


def test_blocks_that_changed_after_the_start_are_refused() -> None:
    story = Story(spec(block("a"), block("b")))
    story.see()
    story.edit(blocks=spec(block("a"), block("z")).blocks).see(job("a"))
    message = 'spec.blocks: the run has started with the blocks "a", "b"; got "a", "z": restore them'
    assert story.condition(ConditionType.SPEC_VALID).message == message
    assert [entry.name for entry in story.run.status.blocks] == ["a", "b"]


def test_a_message_beyond_the_limit_is_clipped() -> None:
    story = Story(None, spec_error="spec: " + "ü" * 5000)
    story.see()
    assert len(story.condition(ConditionType.SPEC_VALID).message.encode()) <= 1024


def test_the_order_respects_dependencies_and_else_the_spec() -> None:
    asked = spec(block("a", dependsOn=["d"]), block("b", dependsOn=[]), block("c"), block("d", dependsOn=[]))
    assert [item.name for item in graph.in_order(asked)] == ["b", "d", "a", "c"]


def test_ordering_a_cycle_is_refused_rather_than_endless() -> None:
    with pytest.raises(ValueError, match="validate first"):
        list(graph.in_order(spec(block("a", dependsOn=["a"]))))


def test_sixty_four_blocks_in_a_row_are_validated_without_recursion() -> None:
    asked = spec(*[block(f"b{n}") for n in range(64)])
    assert validation.find_problem(Story(asked).run) is None


def _fields(run) -> dict[str, object]:
    return {name: getattr(run, name) for name in run.__dataclass_fields__}
