"""The class forces: each is a weight for each class, as a function of the step.

All of them contribute Σ w_c(k) · (ε(x_t, t, c) − ε(x_t, t, ∅)): a weighted sum of the directions towards classes. What
tells them apart is w_c(k), which is all that stands here; k is the step's number, T the number of steps.
"""

from itertools import pairwise

from pydantic import Field, model_validator

from diffrun_worker.inference.moment import Moment
from diffrun_worker.inference.parameters import ClassName, Finite, Frequency, Parameters

ClassWeights = tuple[tuple[str, float], ...]
"""Classes with their weights w_c. A class may stand there twice; its weights add up."""


class ForceParams(Parameters):
    """What every class force answers."""

    def weights(self, moment: Moment, known: tuple[str, ...]) -> ClassWeights:
        """w_c at a step; `known` are the checkpoint's classes."""
        raise NotImplementedError

    def named_classes(self) -> tuple[tuple[str, str], ...]:
        """The classes that the parameters name, each with its parameter."""
        return ()


class Nothing(ForceParams):
    """`force_none`: no class, no weight."""

    def weights(self, moment: Moment, known: tuple[str, ...]) -> ClassWeights:  # noqa: ARG002
        """Nothing."""
        return ()


class _OneClass(ForceParams):
    target_class: ClassName
    """The class."""

    def named_classes(self) -> tuple[tuple[str, str], ...]:
        """The target."""
        return (("target_class", self.target_class),)


class AttractClass(_OneClass):
    """`force_attract_class`: w."""

    weight: Finite = 1.0
    """w; 1 is as strong as a guidance scale of 1."""

    def weights(self, moment: Moment, known: tuple[str, ...]) -> ClassWeights:  # noqa: ARG002
        """The same at every step."""
        return ((self.target_class, self.weight),)


class RepelClass(_OneClass):
    """`force_repel_class`: −|w|, so that a weight of either sign repels."""

    weight: Finite = 1.0
    """w."""

    def weights(self, moment: Moment, known: tuple[str, ...]) -> ClassWeights:  # noqa: ARG002
        """The same at every step."""
        return ((self.target_class, -abs(self.weight)),)


class _TwoClasses(ForceParams):
    class_a: ClassName
    """The class a."""
    class_b: ClassName
    """The class b."""
    weight: Finite = 1.0
    """w, of both together."""

    def named_classes(self) -> tuple[tuple[str, str], ...]:
        """Both."""
        return (("class_a", self.class_a), ("class_b", self.class_b))

    def mixed(self, share_of_b: float) -> ClassWeights:
        """w (1 − α) for a and w α for b."""
        return ((self.class_a, self.weight * (1 - share_of_b)), (self.class_b, self.weight * share_of_b))


class BlendTwo(_TwoClasses):
    """`force_blend_two`: w (1 − α) for a, w α for b."""

    blend_alpha: float = Field(default=0.5, ge=0, le=1)
    """α, the share of b: 0 is a alone, 1 is b alone."""

    def weights(self, moment: Moment, known: tuple[str, ...]) -> ClassWeights:  # noqa: ARG002
        """The same at every step."""
        return self.mixed(self.blend_alpha)


class SubtractTwo(ForceParams):
    """`force_subtract_two`: w₊ for the positive class, −w₋ for the negative one."""

    pos_class: ClassName
    """What to be like."""
    neg_class: ClassName
    """What not to be like."""
    w_pos: Finite = 1.0
    """w₊."""
    w_neg: Finite = 1.0
    """w₋; positive to subtract."""

    def named_classes(self) -> tuple[tuple[str, str], ...]:
        """Both."""
        return (("pos_class", self.pos_class), ("neg_class", self.neg_class))

    def weights(self, moment: Moment, known: tuple[str, ...]) -> ClassWeights:  # noqa: ARG002
        """The same at every step."""
        return ((self.pos_class, self.w_pos), (self.neg_class, -self.w_neg))


class WeightedMulti(ForceParams):
    """`force_weighted_multi`: a weight for each class, as given."""

    class_weights: dict[ClassName, Finite] = Field(min_length=1)
    """Classes with their weights, of either sign; they are not normalised."""

    def named_classes(self) -> tuple[tuple[str, str], ...]:
        """All."""
        return tuple(("class_weights", name) for name in self.class_weights)

    def weights(self, moment: Moment, known: tuple[str, ...]) -> ClassWeights:  # noqa: ARG002
        """The same at every step."""
        return tuple(self.class_weights.items())


class SwitchTwo(_TwoClasses):
    """`force_switch_two`: w for a while t > t_s, w for b from t ≤ t_s on."""

    switch_t: int = Field(ge=0)
    """t_s, a training timestep: they go from K − 1 (noise) down to 0 (image)."""

    def weights(self, moment: Moment, known: tuple[str, ...]) -> ClassWeights:  # noqa: ARG002
        """One of the two."""
        return ((self.class_a if moment.t > self.switch_t else self.class_b, self.weight),)


class CycleClasses(ForceParams):
    """`force_cycle_classes`: w for the class number ⌊k / p⌋ mod n."""

    classes: list[ClassName] | None = Field(default=None, min_length=1)
    """The classes in their order; all of the checkpoint's by default."""
    period: int = Field(ge=1)
    """p, the steps that each class is held for."""
    weight: Finite = 1.0
    """w."""

    def named_classes(self) -> tuple[tuple[str, str], ...]:
        """Those given."""
        return tuple(("classes", name) for name in self.classes or ())

    def weights(self, moment: Moment, known: tuple[str, ...]) -> ClassWeights:
        """One of them."""
        classes = self.classes or known
        return ((classes[moment.t_index // self.period % len(classes)], self.weight),)


class OscillateTwo(_TwoClasses):
    """`force_oscillate_two`: as a blend with α(k) = ½ (1 + sin 2π (f k + φ))."""

    frequency: Frequency
    """f in cycles a step: 0.05 is a period of 20 steps."""
    phase: Finite = 0.0
    """φ in cycles: 0 begins half-way between both and goes towards b first, 0.25 begins at b, 0.75 at a."""

    def weights(self, moment: Moment, known: tuple[str, ...]) -> ClassWeights:  # noqa: ARG002
        """Both, in shares that go to and fro."""
        return self.mixed((1 + moment.wave(self.frequency, self.phase)) / 2)


class RampAttract(_OneClass):
    """`force_ramp_attract`: from w₀ to w₁, linearly over the steps between two shares of the way."""

    start_w: Finite
    """w₀, the weight at first."""
    end_w: Finite
    """w₁, the weight at last."""
    begin: float = Field(default=0.0, ge=0, lt=1)
    """The share of the way where the ramp begins: until there the weight is w₀."""
    finish: float = Field(default=1.0, gt=0, le=1)
    """The share of the way where it ends: from there on the weight is w₁."""

    @model_validator(mode="after")
    def _a_ramp_takes_time(self) -> "RampAttract":
        if self.begin >= self.finish:
            raise ValueError(f"begin: the ramp must begin before it finishes; got {self.begin} and {self.finish}")
        return self

    def weights(self, moment: Moment, known: tuple[str, ...]) -> ClassWeights:  # noqa: ARG002
        """w₀ + (w₁ − w₀) · r, with r = (k / (T − 1) − begin) / (finish − begin) held within [0, 1]."""
        risen = min(max((moment.progress - self.begin) / (self.finish - self.begin), 0.0), 1.0)
        return ((self.target_class, self.start_w + (self.end_w - self.start_w) * risen),)


class Span(Parameters):
    """One entry of a schedule: w for a class while start ≤ k < end."""

    start_step: int = Field(ge=0)
    """The first step of it, from 0."""
    end_step: int = Field(ge=1)
    """The first step after it."""
    target_class: ClassName
    """The class."""
    weight: Finite = 1.0
    """w."""

    @model_validator(mode="after")
    def _not_empty(self) -> "Span":
        if self.start_step >= self.end_step:
            raise ValueError(
                f"end_step: {self.start_step} to {self.end_step} holds no step; it must be above start_step"
            )
        return self


class UserSchedule(ForceParams):
    """`force_user_schedule`: what the entry that holds the step says; nothing where none does."""

    schedule: list[Span] = Field(min_length=1)
    """Entries, in any order; no two may hold the same step."""

    @model_validator(mode="after")
    def _no_overlap(self) -> "UserSchedule":
        for one, other in pairwise(sorted(self.schedule, key=lambda span: span.start_step)):
            if other.start_step < one.end_step:
                raise ValueError(
                    f"schedule: steps {one.start_step} to {one.end_step} and {other.start_step} to {other.end_step} "
                    "overlap; end one where the next begins, or give the forces an entry of the stack each"
                )
        return self

    def named_classes(self) -> tuple[tuple[str, str], ...]:
        """All."""
        return tuple((f"schedule.{i}.target_class", span.target_class) for i, span in enumerate(self.schedule))

    def weights(self, moment: Moment, known: tuple[str, ...]) -> ClassWeights:  # noqa: ARG002
        """At most one class."""
        return tuple(
            (span.target_class, span.weight)
            for span in self.schedule
            if span.start_step <= moment.t_index < span.end_step
        )
