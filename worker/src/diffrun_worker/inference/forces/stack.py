"""A stack of forces as a configuration describes it, held against a checkpoint and ready to act.

Everything that can be wrong with it is found here, before the first step.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pydantic.alias_generators import to_camel
from torch import Tensor

from diffrun_worker.errors import ErrorCode, PermanentError, invalid_params
from diffrun_worker.inference.classes import CheckpointInfo
from diffrun_worker.inference.forces.functions import CUSTOM, FORCE_REGISTRY, Predict
from diffrun_worker.inference.forces.params import ForceParams, SwitchTwo, UserSchedule
from diffrun_worker.inference.moment import Moment
from diffrun_worker.inference.parameters import knows, parse
from diffrun_worker.inference.rows import Memory, call_checked
from diffrun_worker.inference.traits import Traits, traits_of
from diffrun_worker.inference.user_code import UserCode, blame_author


@dataclass(frozen=True)
class Acting:
    """What every force is told about the step that it acts in, beside its own configuration."""

    moment: Moment
    model_output: Tensor
    """ε̃ after guidance, [N, C, H, W]."""
    x_t: Tensor
    """[N, C, H, W]."""
    model: Any
    ckpt_info: CheckpointInfo
    class_idx: int
    predict: Predict
    """[N, C, H, W] of a class."""
    memory: Memory


@dataclass(frozen=True)
class BoundForce:
    """One force of a stack with its parameters."""

    where: str
    """Its place in the configuration, for errors."""
    function: Callable[..., Any]
    cfg: Mapping[str, Any]
    """What it gets as `force_cfg`."""
    params: Any
    """The same as its declared model, or None."""
    traits: Traits

    def classes(self, moment: Moment, known: tuple[str, ...]) -> list[str]:
        """The classes that it declares for a step. Raises PermanentError `UserCodeFailed` where that fails."""
        if self.traits.classes is None:
            return []
        with blame_author(self.function, f"{self.where}: the classes that it declares"):
            return list(self.traits.classes(self.cfg if self.params is None else self.params, moment, known))

    def contribution(self, acting: Acting) -> Tensor:
        """Its term of ε̃, [N, C, H, W]."""
        output, x_t, predict, memory = acting.model_output, acting.x_t, acting.predict, acting.memory
        if self.traits.batched:
            extra: dict[str, Any] = {"sample_indexes": memory.indexes, "randn_like": memory.randn_like}
            return self._call(acting, output, x_t, predict, memory.batch, extra)
        # Copies: what one function writes into its rows, guidance, other forces and whoever watches must not see.
        rows = [
            self._call(acting, output[row].clone(), x_t[row].clone(), _part(predict, row), state, extra)
            for row, state, extra in memory.rows()
        ]
        return torch.cat(rows)

    def _call(
        self,
        acting: Acting,
        output: Tensor,
        x_t: Tensor,
        predict: Predict,
        state: dict[str, Any],
        extra: dict[str, Any],
    ) -> Tensor:
        return call_checked(
            self.function,
            self.where,
            output,
            model_output=output,
            x_t=x_t,
            t=acting.moment.t,
            t_index=acting.moment.t_index,
            total_steps=acting.moment.total_steps,
            model=acting.model,
            ckpt_info=acting.ckpt_info,
            class_idx=acting.class_idx,
            force_cfg=self.cfg,
            state=state,
            predict=predict,
            params=self.params,
            **extra,
        )


@dataclass(frozen=True)
class ForceStack:
    """All forces of a configuration."""

    forces: tuple[BoundForce, ...]
    clip_abs: float | None
    ckpt_info: CheckpointInfo

    def classes(self, moment: Moment) -> tuple[int, ...]:
        """The classes, by index, that the forces declare for a step; with the null class, if there are any."""
        info = self.ckpt_info
        names = [(one, name) for one in self.forces for name in one.classes(moment, info.classes)]
        found = dict.fromkeys(info.class_index(name, one.where) for one, name in names)
        return (info.null_class, *found) if found else ()

    def total(self, acting: Acting) -> Tensor | None:
        """Σ Fᵢ, each element within ±`clip_abs`: [N, C, H, W], or None for an empty stack."""
        if not self.forces:
            return None
        total = self.forces[0].contribution(acting)
        for force in self.forces[1:]:
            total = total + force.contribution(acting)
        return total if self.clip_abs is None else total.clamp(-self.clip_abs, self.clip_abs)


def bind_stack(
    entries: Sequence[tuple[str, Mapping[str, Any]]],
    global_cfg: Mapping[str, Any],
    clip_abs: float | None,
    ckpt_info: CheckpointInfo,
    total_steps: int,
    user_code: UserCode,
) -> ForceStack:
    """Holds forces, each with its place in the configuration, against the registry and the checkpoint.

    Raises PermanentError: `UnknownForce`, `UnknownClass`, `InvalidParams`, `UserCodeForbidden`, `UserCodeFailed`.
    """
    forces = tuple(_bind(where, entry, global_cfg, user_code) for where, entry in entries)
    for force in forces:
        _check_against(force, ckpt_info, total_steps)
    for key in global_cfg:
        if all(one.traits.params is not None and not knows(one.traits.params, key) for one in forces):
            raise invalid_params(
                f"force.globalCfg.{key}: no force of the stack has such a parameter; leave it out or correct its name"
            )
    return ForceStack(forces, clip_abs, ckpt_info)


def _bind(where: str, entry: Mapping[str, Any], global_cfg: Mapping[str, Any], user_code: UserCode) -> BoundForce:
    name = entry.get("name")
    if not isinstance(name, str):
        known = ", ".join(sorted(FORCE_REGISTRY))
        raise PermanentError(ErrorCode.UNKNOWN_FORCE, f"{where}.name: a force is needed; use one of {known}")
    function = FORCE_REGISTRY.find(name, f"{where}.name")
    own = {key: value for key, value in entry.items() if key != "name"}
    where = f"{where} {name}"
    if name == CUSTOM:
        if "fn" not in own:
            raise invalid_params(f"{where}: fn: a function, or path/to/file.py:name, is needed")
        function = user_code.function(own["fn"], f"{where}: fn")
    traits = traits_of(function)
    if traits.params is None:
        return BoundForce(where, function, {**global_cfg, **entry}, None, traits)
    given = {to_camel(key) for key in own}
    shared = {
        key: value for key, value in global_cfg.items() if knows(traits.params, key) and to_camel(key) not in given
    }
    if name == CUSTOM and not knows(traits.params, "fn"):
        del own["fn"]  # It says which function, and is none of the function's own parameters.
    params = parse(traits.params, {**shared, **own}, where)
    return BoundForce(where, function, {**shared, **entry}, params, traits)


def _check_against(force: BoundForce, info: CheckpointInfo, total_steps: int) -> None:
    """What only the checkpoint and the sampler can tell: the classes, and how far timesteps and steps go."""
    params, where = force.params, force.where
    if isinstance(params, ForceParams):
        for parameter, class_name in params.named_classes():
            info.class_index(class_name, f"{where}: {parameter}")
    if isinstance(params, SwitchTwo) and params.switch_t >= info.num_train_timesteps:
        raise invalid_params(
            f"{where}: switch_t: the checkpoint's timesteps go from {info.num_train_timesteps - 1} down to 0; "
            f"got {params.switch_t}"
        )
    for span in params.schedule if isinstance(params, UserSchedule) else ():
        if span.start_step >= total_steps:
            raise invalid_params(
                f"{where}: schedule: steps {span.start_step} to {span.end_step} never come: the sampler makes "
                f"{total_steps}, counted from 0; begin earlier, or raise sampler.steps"
            )


def _part(predict: Predict, row: slice) -> Predict:
    """A copy of one sample's share of what all samples of the batch get in one forward pass."""

    def part(target: str | int | None) -> Tensor:
        return predict(target)[row].clone()

    return part
