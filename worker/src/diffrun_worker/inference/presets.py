"""Ready-made force stacks.

A preset is a function that returns a list of forces, so that a program can change it or add to it. Named in a
configuration (`preset: subtract`), it starts from the unconditional noise unless a guidance scale is given; its
weights are meant for that, and the strength of 7.5 is that of plain guidance.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from diffrun_worker.errors import ErrorCode, PermanentError, invalid_params

Stack = list[dict[str, Any]]

STRENGTH = 7.5
"""As strong as plain guidance by default."""


def null_wander() -> Stack:
    """No class and no guidance: ε∅ alone leads from noise to whatever the model draws."""
    return [{"name": "force_none"}]


def attract_class(target_class: str, weight: float = STRENGTH) -> Stack:
    """Towards one class. From ε∅ this is plain guidance with the weight as its scale."""
    return [{"name": "force_attract_class", "target_class": target_class, "weight": weight}]


def repel_class(target_class: str, weight: float = 2.0) -> Stack:
    """Away from one class: anything else."""
    return [{"name": "force_repel_class", "target_class": target_class, "weight": weight}]


def blend(class_a: str, class_b: str, alpha: float = 0.5, weight: float = STRENGTH) -> Stack:
    """Between two classes; `alpha` is the share of the second."""
    return [
        {
            "name": "force_blend_two",
            "class_a": class_a,
            "class_b": class_b,
            "blend_alpha": alpha,
            "weight": weight,
        }
    ]


def subtract(pos_class: str, neg_class: str, w_pos: float = 3.0, w_neg: float = 2.0) -> Stack:
    """Like one class and unlike another. From ε∅ this is the contrastive equation."""
    return [
        {
            "name": "force_subtract_two",
            "pos_class": pos_class,
            "neg_class": neg_class,
            "w_pos": w_pos,
            "w_neg": w_neg,
        }
    ]


def oscillate(class_a: str, class_b: str, frequency: float = 0.05, weight: float = STRENGTH) -> Stack:
    """To and fro between two classes; 0.05 cycles a step is a period of 20 steps."""
    return [
        {
            "name": "force_oscillate_two",
            "class_a": class_a,
            "class_b": class_b,
            "frequency": frequency,
            "weight": weight,
        }
    ]


def competitive(classes: Sequence[str], weight: float = 3.0) -> Stack:
    """Several classes pull at once, each with the same weight; the noise decides who wins.

    Raises ValueError without a class, TypeError for a word in place of a list.
    """
    listed = _listed(classes)
    if not listed:
        raise ValueError("classes: at least one is needed")
    return [{"name": "force_attract_class", "target_class": one, "weight": weight} for one in listed]


def rotating_all(classes: Sequence[str] | None = None, period: int = 5, weight: float = STRENGTH) -> Stack:
    """One class after the other, each for `period` steps; all of the checkpoint's by default.

    Raises TypeError for a word in place of a list.
    """
    force: dict[str, Any] = {"name": "force_cycle_classes", "period": period, "weight": weight}
    return [force if classes is None else {**force, "classes": _listed(classes)}]


def crystallize(target_class: str, weight: float = 10.0, begin: float = 0.3) -> Stack:
    """Wanders freely for the share `begin` of the way, then is drawn into one class ever more strongly."""
    return [
        {
            "name": "force_ramp_attract",
            "target_class": target_class,
            "start_w": 0.0,
            "end_w": weight,
            "begin": begin,
        }
    ]


def chaos(class_a: str, class_b: str, frequency: float = 0.37, weight: float = STRENGTH) -> Stack:
    """To and fro between two classes nearly as fast as the steps allow, hardly ever twice alike."""
    return oscillate(class_a, class_b, frequency, weight)


def ramp_to_class(target_class: str, start_weight: float = 1.0, end_weight: float = 10.0) -> Stack:
    """Towards one class, more strongly from step to step."""
    return [
        {
            "name": "force_ramp_attract",
            "target_class": target_class,
            "start_w": start_weight,
            "end_w": end_weight,
        }
    ]


def weighted_multi(class_weights: Mapping[str, float]) -> Stack:
    """Several classes, each with a weight of its own, which may be negative."""
    return [{"name": "force_weighted_multi", "class_weights": dict(class_weights)}]


PRESET_REGISTRY: dict[str, Callable[..., Stack]] = {
    function.__name__: function
    for function in (
        null_wander,
        attract_class,
        repel_class,
        blend,
        subtract,
        oscillate,
        competitive,
        rotating_all,
        crystallize,
        chaos,
        ramp_to_class,
        weighted_multi,
    )
}
"""Presets by name. `PRESET_REGISTRY["mine"] = function` adds one."""


def preset_stack(name: str, arguments: Mapping[str, Any]) -> Stack:
    """The forces of a named preset; arguments may be written as `pos_class` or `posClass`.

    Raises PermanentError: `UnknownPreset` with all that there are, `InvalidParams` with the arguments that it takes.
    """
    if name not in PRESET_REGISTRY:
        known = ", ".join(sorted(PRESET_REGISTRY))
        raise PermanentError(ErrorCode.UNKNOWN_PRESET, f"preset: there is no preset {name!r}; use one of {known}")
    preset = PRESET_REGISTRY[name]
    signature = inspect.signature(preset)
    try:
        bound = signature.bind(**_each_once(arguments))
    except (TypeError, ValueError) as error:
        raise invalid_params(f"presetArgs: {name}: {error}; it is called as {name}{_described(signature)}") from error
    try:
        return preset(*bound.args, **bound.kwargs)
    except (TypeError, ValueError) as error:
        raise invalid_params(f"presetArgs: {name}: {error}; it is called as {name}{_described(signature)}") from error


def _described(signature: inspect.Signature) -> str:
    """`(pos_class, neg_class, w_pos=3.0)`."""
    parts = [
        one.name if one.default is one.empty else f"{one.name}={one.default!r}" for one in signature.parameters.values()
    ]
    return f"({', '.join(parts)})"


def _listed(classes: Sequence[str]) -> list[str]:
    """The classes as a list. A word is a sequence too, but of letters."""
    if isinstance(classes, str) or not isinstance(classes, Sequence):
        raise TypeError(f"classes: a list of classes is needed; got {classes!r}")
    return list(classes)


def _each_once(arguments: Mapping[str, Any]) -> dict[str, Any]:
    for key in arguments:
        if _snake(key) != key and _snake(key) in arguments:
            raise ValueError(f"{_snake(key)} is given twice, also as {key}; leave one of them out")
    return {_snake(key): value for key, value in arguments.items()}


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower()
