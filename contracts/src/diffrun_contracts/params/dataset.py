"""Where training and evaluation images come from: exactly one source, and how its images are prepared."""

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from diffrun_contracts.base import Model, cel
from diffrun_contracts.params.common import REPO_PATTERN, REVISION_PATTERN, SecretKeyRef, WorkspacePath

SOURCES = ("digits", "cifar10", "emnist", "imageFolder", "hub")

ColumnName = Annotated[str, Field(min_length=1, max_length=128)]


class Digits(Model):
    """scikit-learn's 1,797 handwritten digits, 8×8 and grey, in ten classes: the one that needs no download."""


class Cifar10(Model):
    """CIFAR-10 (Krizhevsky 2009) in its binary distribution, which holds no pickle."""

    path: WorkspacePath
    """The folder with `data_batch_1.bin` … `data_batch_5.bin` and `test_batch.bin`."""


class Emnist(Model):
    """EMNIST (Cohen et al. 2017) as its idx files, gzipped or not."""

    path: WorkspacePath
    """The folder with `emnist-<split>-train-images-idx3-ubyte` and its siblings."""
    split: Annotated[str, Field(pattern=r"^(byclass|bymerge|balanced|letters|digits|mnist)$", max_length=16)] = (
        "byclass"
    )
    """Which of EMNIST's splits; `byclass` has the 62 classes 0-9, A-Z, a-z."""


class ImageFolder(Model):
    """A folder of PNG, JPEG or WebP images; where they lie in subfolders, each of these is a class."""

    path: WorkspacePath
    """The folder."""


class HubDataset(Model):
    """An image dataset of the Hugging Face Hub, by the Parquet files of its repository."""

    repo: str = Field(max_length=193, pattern=REPO_PATTERN)
    """The dataset's repository, `owner/name`."""
    revision: str = Field(default="main", max_length=128, pattern=REVISION_PATTERN)
    """Branch, tag or commit; resolved to a commit once."""
    folder: WorkspacePath | None = None
    """The folder of the repository to read, where Parquet files lie in several, one for each of its subsets."""
    image_column: ColumnName = "image"
    """The column that holds the images."""
    label_column: ColumnName | None = None
    """The column that holds the class; without it the data has none."""
    token_secret: SecretKeyRef | None = None
    """A Secret with an access token, for a gated or private repository."""


class Dataset(Model):
    """One source of images."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                f"[{', '.join(f'has(self.{source})' for source in SOURCES)}].filter(x, x).size() == 1",
                f"data needs exactly one of {', '.join(SOURCES)}",
            )
        )
    )

    digits: Digits | None = None
    """scikit-learn's digits."""
    cifar10: Cifar10 | None = None
    """CIFAR-10's binary files."""
    emnist: Emnist | None = None
    """EMNIST's idx files."""
    image_folder: ImageFolder | None = None
    """A folder of images."""
    hub: HubDataset | None = None
    """A dataset of the Hub."""
    image_size: int | None = Field(default=None, ge=4, le=1024)
    """Side of the square that images are resized to; by default the model's."""
    flip: bool | None = None
    """Mirror half of the images at random; by default for CIFAR-10 and for images without classes alone."""
    test: bool = False
    """The held-out part, where the source has one, instead of the training part."""

    @property
    def source(self) -> str:
        """The field of the one source."""
        return self._chosen()[0]

    def _chosen(self) -> list[str]:
        values = (self.digits, self.cifar10, self.emnist, self.image_folder, self.hub)
        return [name for name, value in zip(SOURCES, values, strict=True) if value is not None]

    @model_validator(mode="after")
    def _exactly_one_source(self) -> "Dataset":
        chosen = self._chosen()
        if len(chosen) != 1:
            raise ValueError(f"data needs exactly one of {', '.join(SOURCES)}; got {', '.join(chosen) or 'none'}")
        return self
