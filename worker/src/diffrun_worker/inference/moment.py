"""Where in the way from noise to image a step stands: what everything that changes over time is a function of."""

import math
from typing import NamedTuple


class Moment(NamedTuple):
    """One step."""

    t: int
    """The training timestep, descending: K − 1 or below at first, 0 or above at last."""
    t_index: int
    """The step's number k, from 0."""
    total_steps: int
    """T, how many steps there are."""

    @property
    def progress(self) -> float:
        """k / (T − 1): 0 at the first step and 1 at the last; 0 where there is only one."""
        return self.t_index / max(self.total_steps - 1, 1)

    def wave(self, frequency: float, phase: float = 0.0) -> float:
        """sin(2π (f·k + φ)), with f in cycles a step and φ in cycles."""
        # Whole cycles of a phase change nothing, but 2π times a large one may be more than a float can hold.
        return math.sin(2 * math.pi * (frequency * self.t_index + phase % 1))
