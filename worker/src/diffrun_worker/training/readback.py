"""What a step measures, on its way to the host.

Each step writes a row on the device, and the copy to pinned memory is only begun. The loop looks at the row of some
steps ago, which has long arrived: it is never more than `lag` steps behind in what it knows, and never waits.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from diffrun_worker.sampling.transfer import Arrival, begin_copy, host_buffer

GPU_LAG = 16
"""Steps that the host may be ahead of a GPU: enough to hide the latest launch, few enough to hear of NaN soon."""

LOSS, GRAD_NORM, PAUSE, STOP = range(4)
_COLUMNS = 4


@dataclass(frozen=True)
class StepRow:
    """What was measured at one step, the same on every worker."""

    step: int
    loss: float
    """Mean over the global batch."""
    grad_norm: float
    """Before clipping."""
    pause: bool
    """Some worker was asked to hold."""
    stop: bool
    """Some worker was asked to stop."""


class Readback:
    """A ring of rows."""

    def __init__(self, device: torch.device, lag: int | None = None) -> None:
        self.lag = lag if lag is not None else GPU_LAG if device.type == "cuda" else 0
        """How many steps the host hears of a row late."""
        size = self.lag + 1
        self._device = device
        self._rows = torch.zeros(size, _COLUMNS, device=device, dtype=torch.float32)
        self._host = host_buffer(self._rows)
        self._arrivals: list[Arrival | None] = [None] * size

    def row(self, step: int) -> Tensor:
        """Where the step writes, float32 [4] on the device: loss, gradient norm, pause, stop."""
        return self._rows[step % len(self._arrivals)]

    def send(self, step: int) -> None:
        """Begins to copy a written row. Never waits."""
        place = step % len(self._arrivals)
        begin_copy(self._host[place], self._rows[place])
        self._arrivals[place] = Arrival(self._device)

    def read(self, step: int) -> StepRow:
        """A row that was sent at most `lag` steps ago; waits until it has arrived."""
        place = step % len(self._arrivals)
        arrival = self._arrivals[place]
        if arrival is None:
            raise ValueError(f"nothing was sent for step {step}")
        arrival.wait()
        loss, norm, pause, stop = self._host[place].tolist()
        return StepRow(step, loss, norm, pause > 0, stop > 0)
