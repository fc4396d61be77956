"""The drifts' parameters: what `drift.scale` and `drift.decay` mean to each, and what it has besides."""

from pydantic import Field, model_validator

from diffrun_worker.inference.parameters import Finite, Frequency, Parameters


class DriftParams(Parameters):
    """What every drift gets from the configuration."""

    scale: Finite = 1.0
    """s, the magnitude."""
    decay: float = Field(default=0.99, ge=0, allow_inf_nan=False)
    """d, a factor a step."""

    def check_steps(self, total_steps: int) -> None:
        """Raises ValueError, naming the parameter, where so many steps lead to numbers that no float can hold."""


class Noise(DriftParams):
    """The drifts that add noise."""

    amplitude: float = Field(default=0.05, ge=0, allow_inf_nan=False)
    """a, the standard deviation of the noise at scale 1; images span −1 to 1."""


class Fading(Noise):
    """`drift_default`."""

    def check_steps(self, total_steps: int) -> None:
        """The largest power of the decay, if it grows at all, is that of the last step."""
        _check_power(self.decay, total_steps - 1, "the last step's number")


class Oscillatory(Noise):
    """`drift_oscillatory`."""

    frequency: Frequency = 0.05
    """f in cycles a step."""
    phase: Finite = 0.0
    """φ in cycles."""


class DecayOnly(DriftParams):
    """`drift_decay_only`."""

    @model_validator(mode="after")
    def _can_be_raised(self) -> "DecayOnly":
        if self.decay == 0 and self.scale < 0:
            raise ValueError("decay: 0 has no power below 0; give a decay above 0, or a scale from 0 on")
        _check_power(self.decay, self.scale, "scale")
        return self


class Clamp(DriftParams):
    """`drift_clamp`."""

    low: Finite = -1.0
    """The lower bound at scale 1."""
    high: Finite = 1.0
    """The upper bound at scale 1."""

    @model_validator(mode="after")
    def _a_range(self) -> "Clamp":
        if self.low >= self.high:
            raise ValueError(f"low: it must be below high; got {self.low} and {self.high}")
        if self.scale < 0:
            raise ValueError(f"scale: it stretches the range and cannot be negative; got {self.scale}")
        return self


def _check_power(decay: float, power: float, meaning: str) -> None:
    try:
        decay**power
    except OverflowError:
        raise ValueError(
            f"decay: {decay} to the power of {meaning}, {power}, is too large; move it towards 1"
        ) from None
