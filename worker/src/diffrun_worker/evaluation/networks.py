"""Models with and without classes, for those who only want to look at images: one way to load and to call both."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from diffrun_contracts.params import DType
from diffrun_worker.diffusion.process import GaussianDiffusion
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.sampling.classes import CLASSES_FILE
from diffrun_worker.sampling.loader import Model, load_conditional, load_model


@dataclass(frozen=True)
class Network:
    """A model, and the names of its classes where it has any."""

    model: Model
    classes: tuple[str, ...] | None

    def given(self, labels: Tensor | None) -> Model:
        """The model as one without classes, which sees these labels, int64 [N], with every batch of N images."""
        if self.classes is None or labels is None:
            return self.model
        return replace(self.model, unet=_Given(self.model.unet, labels.to(self.model.device)))


class _Given:
    """A conditional UNet whose labels are already chosen."""

    def __init__(self, unet: Any, labels: Tensor) -> None:
        self._unet = unet
        self._labels = labels

    def __call__(self, images: Tensor, timesteps: Tensor, *, return_dict: bool) -> Any:
        return self._unet(images, timesteps, class_labels=self._labels, return_dict=return_dict)


def load_network(folder: Path, device: str, dtype: DType = DType.FLOAT32) -> Network:
    """A checkpoint of either kind; what has a `classes.json` is conditional. Raises what the loader raises."""
    if (folder / CLASSES_FILE).is_file():
        conditional = load_conditional(folder, device, dtype)
        return Network(conditional.model, conditional.classes)
    return Network(load_model(folder, device, dtype), None)


def diffusion_of(config: Mapping[str, Any]) -> GaussianDiffusion:
    """The forward process that a checkpoint's scheduler_config.json describes; diffusers' defaults where it is silent.

    Raises PermanentError `IncompatibleCheckpoint` for βs of another kind than our own trainings have.
    """
    if config.get("trained_betas") is not None or config.get("rescale_betas_zero_snr"):
        raise _unknown("its betas are given one by one or rescaled")
    values = {key: config.get(key, default) for key, default in _DEFAULTS.items()}
    try:
        return GaussianDiffusion(
            int(values["num_train_timesteps"]),
            str(values["beta_schedule"]),
            float(values["beta_start"]),
            float(values["beta_end"]),
        )
    except (TypeError, ValueError) as error:
        raise _unknown(f"a number is none ({error})") from error
    except PermanentError as error:
        raise _unknown(error.message) from error


_DEFAULTS = {"num_train_timesteps": 1000, "beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02}


def _unknown(why: str) -> PermanentError:
    return PermanentError(
        ErrorCode.INCOMPATIBLE_CHECKPOINT,
        f"scheduler_config.json describes no forward process that diffrun knows: {why}",
    )
