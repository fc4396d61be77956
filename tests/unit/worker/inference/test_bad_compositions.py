"""What is wrong with a configuration is said before the first step, with the parameter and what would be valid."""

from typing import Any

import pytest

from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.inference import CheckpointInfo, Generation, InferenceConfig, build_scheduler


def force(**entry: Any) -> dict[str, Any]:
    return {"force": {"force_stack": [entry]}}


def drift(name: str, **rest: Any) -> dict[str, Any]:
    params = rest.pop("params", {})
    return {"drift": {"enabled": True, "function_name": name, "params": params, **rest}}


ATTRACT = {"name": "force_attract_class", "target_class": "A"}
OSCILLATE = {"name": "force_oscillate_two", "class_a": "A", "class_b": "B"}
SCHEDULE = {"name": "force_user_schedule"}


def span(start: int, end: int) -> dict[str, Any]:
    return {"start_step": start, "end_step": end, "target_class": "A"}


CASES: dict[str, tuple[dict[str, Any], ErrorCode, list[str]]] = {
    "an unknown target": (
        {"character": "Z"},
        ErrorCode.UNKNOWN_CLASS,
        ["character: the checkpoint has no class 'Z'", "A, B, C"],
    ),
    "an unknown class of a force": (
        force(name="force_blend_two", class_a="A", class_b="ß"),
        ErrorCode.UNKNOWN_CLASS,
        ["force.forceStack[0] force_blend_two: class_b", "'ß'", "A, B, C"],
    ),
    "an unknown class of a schedule": (
        force(**SCHEDULE, schedule=[span(0, 1), {**span(1, 2), "target_class": "D"}]),
        ErrorCode.UNKNOWN_CLASS,
        ["schedule.1.target_class", "'D'"],
    ),
    "an unknown force": (
        force(name="force_atract_class", target_class="A"),
        ErrorCode.UNKNOWN_FORCE,
        ["force.forceStack[0].name: there is no force 'force_atract_class'", "force_attract_class, force_blend_two"],
    ),
    "a force without a name": (force(target_class="A"), ErrorCode.UNKNOWN_FORCE, ["forceStack[0].name", "force_none"]),
    "a force without its class": (
        force(name="force_attract_class"),
        ErrorCode.INVALID_PARAMS,
        ["force_attract_class: target_class: Field required", "its parameters are target_class, weight"],
    ),
    "a misspelt parameter": (
        force(**ATTRACT, wieght=3),
        ErrorCode.INVALID_PARAMS,
        ["force_attract_class: wieght", "its parameters are target_class, weight"],
    ),
    "a parameter in both spellings": (
        force(**ATTRACT, targetClass="B"),
        ErrorCode.INVALID_PARAMS,
        ["force.forceStack[0] force_attract_class", "target_class is given twice, also as targetClass"],
    ),
    "a shared parameter in both spellings": (
        {
            "force": {
                "force_stack": [{"name": "force_attract_class"}],
                "global_cfg": {"target_class": "A", "targetClass": "B"},
            }
        },
        ErrorCode.INVALID_PARAMS,
        ["force_attract_class", "target_class is given twice, also as targetClass"],
    ),
    "an entry of a schedule with a parameter in both spellings": (
        force(**SCHEDULE, schedule=[{**span(0, 5), "endStep": 3}]),
        ErrorCode.INVALID_PARAMS,
        ["schedule.0", "end_step is given twice, also as endStep"],
    ),
    "a weight that is not finite": (
        force(**ATTRACT, weight=float("nan")),
        ErrorCode.INVALID_PARAMS,
        ["weight: Input should be a finite number"],
    ),
    "a weight of several that is infinite": (
        force(name="force_weighted_multi", class_weights={"A": 1.0, "B": float("inf")}),
        ErrorCode.INVALID_PARAMS,
        ["class_weights.B: Input should be a finite number"],
    ),
    "no weights at all": (
        force(name="force_weighted_multi", class_weights={}),
        ErrorCode.INVALID_PARAMS,
        ["class_weights", "at least 1 item"],
    ),
    "a blend beyond its ends": (
        force(name="force_blend_two", class_a="A", class_b="B", blend_alpha=1.5),
        ErrorCode.INVALID_PARAMS,
        ["blend_alpha", "less than or equal to 1"],
    ),
    "a period of 0": (
        force(name="force_cycle_classes", period=0),
        ErrorCode.INVALID_PARAMS,
        ["period: Input should be greater than or equal to 1"],
    ),
    "a frequency of 0": (
        force(**OSCILLATE, frequency=0),
        ErrorCode.INVALID_PARAMS,
        ["frequency: Input should be greater than 0"],
    ),
    "a frequency that no step can follow": (
        force(**OSCILLATE, frequency=0.7),
        ErrorCode.INVALID_PARAMS,
        ["frequency: Input should be less than or equal to 0.5"],
    ),
    "a switch before the first timestep": (
        force(name="force_switch_two", class_a="A", class_b="B", switch_t=1000),
        ErrorCode.INVALID_PARAMS,
        ["switch_t: the checkpoint's timesteps go from 999 down to 0; got 1000"],
    ),
    "a ramp that ends before it begins": (
        force(name="force_ramp_attract", target_class="A", start_w=0, end_w=1, begin=0.6, finish=0.5),
        ErrorCode.INVALID_PARAMS,
        ["begin: the ramp must begin before it finishes"],
    ),
    "a schedule without entries": (
        force(**SCHEDULE, schedule=[]),
        ErrorCode.INVALID_PARAMS,
        ["schedule", "at least 1 item"],
    ),
    "a schedule with an empty range": (
        force(**SCHEDULE, schedule=[span(3, 3)]),
        ErrorCode.INVALID_PARAMS,
        ["end_step: 3 to 3 holds no step"],
    ),
    "a schedule with overlapping ranges": (
        force(**SCHEDULE, schedule=[span(4, 8), span(0, 5)]),
        ErrorCode.INVALID_PARAMS,
        ["schedule: steps 0 to 5 and 4 to 8 overlap"],
    ),
    "a schedule that never comes": (
        force(**SCHEDULE, schedule=[span(50, 60)]),
        ErrorCode.INVALID_PARAMS,
        ["steps 50 to 60 never come", "the sampler makes 50"],
    ),
    "a global parameter that nobody has": (
        {"force": {"force_stack": [ATTRACT], "global_cfg": {"wieght": 1}}},
        ErrorCode.INVALID_PARAMS,
        ["force.globalCfg.wieght: no force of the stack has such a parameter"],
    ),
    "a custom force without a function": (
        force(name="force_user_custom"),
        ErrorCode.INVALID_PARAMS,
        ["force_user_custom: fn: a function, or path/to/file.py:name, is needed"],
    ),
    "an unknown drift": (
        drift("drift_defualt"),
        ErrorCode.UNKNOWN_DRIFT,
        ["drift.functionName: there is no drift 'drift_defualt'", "drift_clamp, drift_decay_only, drift_default"],
    ),
    "a misspelt parameter of a drift": (
        drift("drift_clamp", params={"min": 0}),
        ErrorCode.INVALID_PARAMS,
        ["drift.params drift_clamp: min", "its parameters are scale, decay, low, high"],
    ),
    "a function of a drift that takes none": (
        drift("drift_clamp", params={"fn": abs}),
        ErrorCode.INVALID_PARAMS,
        ["drift.params drift_clamp: fn: Extra inputs"],
    ),
    "a range upside down": (
        drift("drift_clamp", params={"low": 1, "high": -1}),
        ErrorCode.INVALID_PARAMS,
        ["low: it must be below high"],
    ),
    "a scale in two places": (
        drift("drift_default", params={"scale": 2}),
        ErrorCode.INVALID_PARAMS,
        ["scale: set drift.scale instead"],
    ),
    "a drift's frequency of 0": (
        drift("drift_oscillatory", params={"frequency": 0}),
        ErrorCode.INVALID_PARAMS,
        ["frequency: Input should be greater than 0"],
    ),
    "zero to a negative power": (
        drift("drift_decay_only", decay=0, scale=-1),
        ErrorCode.INVALID_PARAMS,
        ["decay: 0 has no power below 0"],
    ),
    "a decay that no float can hold": (
        {"sampler": {"steps": 60}, **drift("drift_default", decay=1e6)},
        ErrorCode.INVALID_PARAMS,
        ["drift.params drift_default: decay: 1000000.0 to the power of the last step's number, 59, is too large"],
    ),
    "a decay to a power that no float can hold": (
        drift("drift_decay_only", decay=1e6, scale=1e6),
        ErrorCode.INVALID_PARAMS,
        ["drift.params drift_decay_only: ", "decay: 1000000.0 to the power of scale, 1000000.0, is too large"],
    ),
    "a tiny decay to a negative power": (
        drift("drift_decay_only", decay=1e-300, scale=-2),
        ErrorCode.INVALID_PARAMS,
        ["decay: 1e-300 to the power of scale, -2.0, is too large"],
    ),
    "arguments of no preset": (
        {"preset_args": {"class_a": "A"}},
        ErrorCode.INVALID_PARAMS,
        ["presetArgs: they belong to no preset; name one by preset"],
    ),
    "a misspelt parameter of a drift that is off": (
        {"drift": {"function_name": "drift_clamp", "params": {"min": 0}}},
        ErrorCode.INVALID_PARAMS,
        ["drift.params drift_clamp: min", "its parameters are scale, decay, low, high"],
    ),
    "a custom drift that is off, without a function": (
        {"drift": {"function_name": "drift_user_custom"}},
        ErrorCode.INVALID_PARAMS,
        ["drift_user_custom: fn: a function, or path/to/file.py:name, is needed"],
    ),
    "an unknown preset": (
        {"preset": "atract"},
        ErrorCode.UNKNOWN_PRESET,
        ["preset: there is no preset 'atract'", "attract_class, blend, chaos"],
    ),
    "a preset's missing argument": (
        {"preset": "subtract", "preset_args": {"pos_class": "A"}},
        ErrorCode.INVALID_PARAMS,
        ["presetArgs: subtract: missing a required argument: 'neg_class'", "w_pos=3.0, w_neg=2.0"],
    ),
    "a preset's misspelt argument": (
        {"preset": "blend", "preset_args": {"class_a": "A", "class_b": "B", "aplha": 1}},
        ErrorCode.INVALID_PARAMS,
        ["'aplha'", "blend(class_a, class_b, alpha=0.5, weight=7.5)"],
    ),
    "a preset's unknown class": (
        {"preset": "blend", "preset_args": {"class_a": "A", "class_b": "Q"}},
        ErrorCode.UNKNOWN_CLASS,
        ["presetArgs: force_blend_two: class_b", "A, B, C"],
    ),
    "nobody to compete": (
        {"preset": "competitive", "preset_args": {"classes": []}},
        ErrorCode.INVALID_PARAMS,
        ["presetArgs: competitive: classes: at least one is needed"],
    ),
    "a word in place of a list of classes": (
        {"preset": "competitive", "preset_args": {"classes": "AB"}},
        ErrorCode.INVALID_PARAMS,
        ["presetArgs: competitive: classes: a list of classes is needed; got 'AB'", "competitive(classes, weight=3.0)"],
    ),
    "a word in place of the classes to rotate": (
        {"preset": "rotating_all", "preset_args": {"classes": "AB"}},
        ErrorCode.INVALID_PARAMS,
        ["presetArgs: rotating_all: classes: a list of classes is needed; got 'AB'"],
    ),
    "a number in place of the classes to rotate": (
        {"preset": "rotating_all", "preset_args": {"classes": 37}},
        ErrorCode.INVALID_PARAMS,
        ["presetArgs: rotating_all: classes: a list of classes is needed; got 37"],
    ),
    "classes with weights in place of a list": (
        {"preset": "competitive", "preset_args": {"classes": {"A": 1}}},
        ErrorCode.INVALID_PARAMS,
        ["presetArgs: competitive: classes: a list of classes is needed; got {'A': 1}"],
    ),
    "a preset's argument in both spellings": (
        {"preset": "attract_class", "preset_args": {"target_class": "A", "targetClass": "B"}},
        ErrorCode.INVALID_PARAMS,
        ["presetArgs: attract_class: target_class is given twice, also as targetClass"],
    ),
    "a preset's argument of the wrong kind": (
        {"preset": "competitive", "preset_args": {"classes": 3}},
        ErrorCode.INVALID_PARAMS,
        ["presetArgs: competitive", "competitive(classes, weight=3.0)"],
    ),
}


@pytest.mark.parametrize(("config", "code", "words"), CASES.values(), ids=CASES.keys())
def test_it_is_named_with_what_would_be_valid(
    stub: Any, stub_ckpt: CheckpointInfo, config: dict[str, Any], code: ErrorCode, words: list[str]
) -> None:
    with pytest.raises(PermanentError) as caught:
        Generation(stub, build_scheduler(stub_ckpt), InferenceConfig.from_dict({"seed": 0, **config}), stub_ckpt)
    assert caught.value.code == code
    for word in words:
        assert word in caught.value.message
    assert stub.calls == []


def test_a_scheduler_of_another_kind_than_the_configuration_is_refused(stub: Any, stub_ckpt: CheckpointInfo) -> None:
    with pytest.raises(PermanentError, match=r"the configuration says DDIM and the scheduler is a DDPM"):
        Generation(stub, build_scheduler(stub_ckpt, "DDPM"), InferenceConfig(), stub_ckpt)


def test_a_model_that_predicts_something_else_than_noise_is_refused(stub: Any, stub_ckpt: CheckpointInfo) -> None:
    from dataclasses import replace

    other = replace(stub_ckpt, scheduler_config={**stub_ckpt.scheduler_config, "prediction_type": "v_prediction"})
    with pytest.raises(PermanentError, match=r"prediction_type is 'v_prediction'"):
        Generation(stub, build_scheduler(other), InferenceConfig(), other)


def test_parameters_may_be_written_in_camel_case_and_classes_as_numbers(stub: Any, stub_ckpt: CheckpointInfo) -> None:
    from dataclasses import replace

    digits = replace(stub_ckpt, classes=("0", "1", "2"))
    stack = [{"name": "force_ramp_attract", "targetClass": 1, "startW": 0, "endW": 2}]
    config = InferenceConfig.from_dict({"character": "0", "seed": 0, "force": {"forceStack": stack}})
    assert Generation(stub, build_scheduler(digits), config, digits).draw([0]).shape == (1, 1, 4, 4)
