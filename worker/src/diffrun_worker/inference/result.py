"""What a generation hands out: every step to a callback, and one sample's whole way to whoever asked for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class FrameData:
    """One step of one batch, as the loop has left it. Tensors are on the model's device and must not be written to."""

    indexes: Sequence[int]
    """The samples of the batch: row i of every tensor is sample `indexes[i]` of the run."""
    t: int
    """The training timestep of this step, descending from step to step."""
    t_index: int
    """This step's number, from 0."""
    total_steps: int
    """Steps of the whole way."""
    previous: Tensor
    """x_t, the state before the step: [N, C, H, W], float32 or float64."""
    latent: Tensor
    """x_{t-1}, the state after the step and its drift: [N, C, H, W], in about [-1, 1] at the last step."""
    model_output: Tensor
    """ε̃: the predicted noise with guidance and forces, which the scheduler got: [N, C, H, W]."""
    class_idx: int
    """The target class."""
    null_class: int
    """The class that stands for none."""
    predictions: Mapping[int, Tensor] = field(default_factory=dict)
    """ε(x_t, t, c) of every class that this step has asked the network for, by class index: [N, C, H, W] each."""

    @property
    def delta(self) -> Tensor:
        """x_{t-1} − x_t: what the step has changed, [N, C, H, W]."""
        return self.latent - self.previous

    @property
    def guided_difference(self) -> Tensor | None:
        """ε(x_t, t, c) − ε(x_t, t, ∅) of the target class, [N, C, H, W]; None where the step needed only one."""
        if self.class_idx in self.predictions and self.null_class in self.predictions:
            return self.predictions[self.class_idx] - self.predictions[self.null_class]
        return None


FrameCallback = Callable[[FrameData], None]
"""Called after each step, on the loop's thread: it must not wait for the device, the disk or the network.

What it raises ends the loop.
"""


@dataclass(frozen=True)
class SampleResult:
    """One sample and the way to it."""

    seed: int
    """Of the sample's own generator."""
    timesteps: tuple[int, ...]
    """The training timestep of each step, descending."""
    noise: Tensor
    """x_T, where it began: [C, H, W] on the CPU."""
    frames: list[Tensor]
    """The state after each step, [C, H, W] each, on the CPU; the last is the sample itself."""
    final_image: Image.Image
    """The sample as an image: mode `L` with one channel, `RGB` with three."""

    @property
    def latent(self) -> Tensor:
        """The sample itself, [C, H, W] in about [-1, 1]."""
        return self.frames[-1]
