"""The forces as functions of the public signature, and the registry that knows them by name."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from diffrun_worker.errors import ErrorCode
from diffrun_worker.inference.classes import CheckpointInfo
from diffrun_worker.inference.forces import params as forces
from diffrun_worker.inference.moment import Moment
from diffrun_worker.inference.parameters import parse
from diffrun_worker.inference.prediction import Forward, Predictions
from diffrun_worker.inference.registry import Registry
from diffrun_worker.inference.traits import declare

ENTRY_POINT_GROUP = "diffrun.forces"

CUSTOM = "force_user_custom"

ForceFunction = Callable[..., Tensor]
"""Called by keyword with the following, of which ours take the first ten by position too,

    model_output   ε̃ after guidance, [N, C, H, W]
    x_t            the state, [N, C, H, W]
    t              the training timestep
    t_index        the step's number, from 0
    total_steps    how many there are
    model          the network, called like diffusers' UNet2DModel
    ckpt_info      the checkpoint's classes and sizes
    class_idx      the target class
    force_cfg      the force's own parameters, and those of `global_cfg`
    state          a dict that stays from step to step
    predict        ε(x_t, t, c) by a class's name or index, None for none: shared by all forces of a step

and returns its contribution to ε̃, of the same shape. It must take further keywords (`**kwargs`).
"""

Predict = Callable[[str | int | None], Tensor]


def class_force(name: str, model: type[forces.ForceParams]) -> ForceFunction:
    """The function of one class force."""

    def needed(params: forces.ForceParams, moment: Moment, known: tuple[str, ...]) -> list[str]:
        return [one for one, weight in params.weights(moment, known) if weight != 0]

    @declare(params=model, batched=True, classes=needed)
    def force(
        model_output: Tensor,
        x_t: Tensor,
        t: int,
        t_index: int,
        total_steps: int,
        model: Any,
        ckpt_info: CheckpointInfo,
        class_idx: int,  # noqa: ARG001 - part of the signature
        force_cfg: Mapping[str, Any],
        state: dict[str, Any],  # noqa: ARG001
        **kwargs: Any,
    ) -> Tensor:
        params = kwargs.get("params") or _by_hand(_model, force_cfg, name, ckpt_info)
        predict = kwargs.get("predict") or predictor(model, x_t, t, ckpt_info)
        total = torch.zeros_like(model_output)
        for target, weight in params.weights(Moment(t, t_index, total_steps), ckpt_info.classes):
            if weight != 0:
                total = total + weight * (predict(target) - predict(None))
        return total

    _model = model
    force.__name__ = force.__qualname__ = name
    force.__doc__ = model.__doc__
    return force


def predictor(model: Any, x_t: Tensor, t: int, ckpt_info: CheckpointInfo) -> Predict:
    """ε(x_t, t, c) for a force that is called by hand, outside the loop."""
    dtype = getattr(model, "dtype", x_t.dtype)
    predictions = Predictions(Forward(model, dtype, x_t.device), x_t, torch.tensor(t, device=x_t.device))
    return by_class(predictions, ckpt_info)


def by_class(predictions: Predictions, ckpt_info: CheckpointInfo) -> Predict:
    """The predictions, asked for by a class's name or index; None is the null class."""

    def predict(target: str | int | None) -> Tensor:
        if target is None:
            return predictions[ckpt_info.null_class]
        if isinstance(target, str):
            target = ckpt_info.class_index(target, "predict")
        return predictions[target]

    return predict


def force_user_custom(
    model_output: Tensor,
    x_t: Tensor,
    t: int,
    t_index: int,
    total_steps: int,
    model: Any,
    ckpt_info: CheckpointInfo,
    class_idx: int,
    force_cfg: Mapping[str, Any],
    state: dict[str, Any],
    **kwargs: Any,
) -> Tensor:
    """`force_user_custom`: whatever `fn` of its configuration returns."""
    contribution: Tensor = force_cfg["fn"](
        model_output=model_output,
        x_t=x_t,
        t=t,
        t_index=t_index,
        total_steps=total_steps,
        model=model,
        ckpt_info=ckpt_info,
        class_idx=class_idx,
        force_cfg=force_cfg,
        state=state,
        **kwargs,
    )
    return contribution


def _by_hand(
    model: type[forces.ForceParams], force_cfg: Mapping[str, Any], name: str, ckpt_info: CheckpointInfo
) -> forces.ForceParams:
    """The parameters of a force that is called outside the loop, where nobody has checked them yet."""
    params = parse(model, {key: value for key, value in force_cfg.items() if key != "name"}, name)
    for parameter, class_name in params.named_classes():
        ckpt_info.class_index(class_name, f"{name}: {parameter}")
    return params


_CLASS_FORCES: dict[str, type[forces.ForceParams]] = {
    "force_none": forces.Nothing,
    "force_attract_class": forces.AttractClass,
    "force_repel_class": forces.RepelClass,
    "force_blend_two": forces.BlendTwo,
    "force_subtract_two": forces.SubtractTwo,
    "force_weighted_multi": forces.WeightedMulti,
    "force_switch_two": forces.SwitchTwo,
    "force_cycle_classes": forces.CycleClasses,
    "force_oscillate_two": forces.OscillateTwo,
    "force_ramp_attract": forces.RampAttract,
    "force_user_schedule": forces.UserSchedule,
}

FORCE_REGISTRY = Registry(
    "force",
    ENTRY_POINT_GROUP,
    ErrorCode.UNKNOWN_FORCE,
    {name: class_force(name, model) for name, model in _CLASS_FORCES.items()} | {CUSTOM: force_user_custom},
)
"""Forces by name. `FORCE_REGISTRY["force_mine"] = function` adds one."""
