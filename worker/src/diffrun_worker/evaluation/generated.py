"""Images that were generated before, as files: which of them are samples, and their pixels batch by batch."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from pydantic import ValidationError
from torch import Tensor

from diffrun_contracts import names
from diffrun_contracts.events import Manifest
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.sampling.threads import available_cores
from diffrun_worker.workspace import Workspace

SCHEMA_TYPE = "generated_sample"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

_MODES = {"L": 1, "RGB": 3}


def find_images(workspace: Workspace, relative: str, check: Callable[[], None] = lambda: None) -> list[Path]:
    """The images of a folder and of those below it, in an order that does not depend on when they were written.

    Below a run's folder the pods' manifests say what is a sample: each counts once, by its newest attempt and retry,
    and grids or plots do not count. Elsewhere every PNG, JPEG or WebP file counts, in the order of the paths.
    Raises PermanentError `NoImages` where there is none.
    """
    folder = workspace.path(relative)
    if not folder.is_dir():
        raise PermanentError(ErrorCode.NO_IMAGES, f"artifacts: {relative} is no folder of the workspace; correct it")
    manifests, images = [], []
    for directory, folders, files in os.walk(folder):
        check()
        folders.sort()
        paths = [Path(directory, name) for name in sorted(files) if not name.startswith(".")]
        manifests += [path for path in paths if path.name == names.MANIFEST_FILE]
        images += [path for path in paths if path.suffix.lower() in SUFFIXES]
    found = _samples(manifests, workspace) if manifests else [_inside(path, workspace) for path in sorted(images)]
    if not found:
        what = f"its manifests name no {SCHEMA_TYPE}" if manifests else f"it has no {', '.join(SUFFIXES)} file"
        raise PermanentError(
            ErrorCode.NO_IMAGES, f"artifacts: {relative} holds no generated image: {what}; give the folder of a block"
        )
    return found


def _inside(path: Path, workspace: Workspace) -> Path:
    """Raises PermanentError `PathOutsideWorkspace` for a symbolic link that leads out of the workspace."""
    if path.is_symlink():
        workspace.relative(path)
    return path


def _samples(manifests: Sequence[Path], workspace: Workspace) -> list[Path]:
    """The newest file of each sample, in the order of blocks and sample indexes."""
    newest: dict[tuple[str, str, int], tuple[tuple[int, int], str]] = {}
    for path in manifests:
        try:
            manifest = Manifest.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise PermanentError(
                ErrorCode.NO_IMAGES, f"artifacts: {workspace.relative(path)} is damaged; run its block again"
            ) from error
        version = (manifest.attempt, manifest.retry)
        for artifact in manifest.artifacts:
            index = artifact.tags.get("sample_index", "")
            if artifact.schema_type != SCHEMA_TYPE or not index.isdecimal():
                continue
            key = (manifest.run.uid, manifest.block, int(index))
            if key not in newest or newest[key][0] < version:
                newest[key] = (version, artifact.path)
    return [workspace.path(newest[key][1]) for key in sorted(newest)]


class ImageFiles:
    """Image files of one size, read as they are asked for."""

    def __init__(self, files: Sequence[Path]) -> None:
        """The first file says which size. Raises PermanentError `NoImages` where it does not decode."""
        self.files = files
        channels, height, width = _read(files[0]).shape
        self.shape = (channels, height, width)
        """Of one image: channels (1 or 3), height, width."""

    def __len__(self) -> int:
        """N."""
        return len(self.files)

    def batch(self, rows: range) -> Tensor:
        """[N, C, H, W] uint8 on the CPU.

        Raises PermanentError `NoImages`, naming the file, where one does not decode or has another size.
        """
        chosen = [self.files[row] for row in rows]
        with ThreadPoolExecutor(available_cores()) as pool:  # decoding releases the interpreter's lock
            decoded = list(pool.map(_read, chosen))
        for path, pixels in zip(chosen, decoded, strict=True):
            if tuple(pixels.shape) != self.shape:
                raise PermanentError(
                    ErrorCode.NO_IMAGES,
                    f"artifacts: {path.name} has shape {list(pixels.shape)}, {self.files[0].name} has "
                    f"{list(self.shape)}; the images of one evaluation are of one size",
                )
        return torch.stack(decoded)


def _read(path: Path) -> Tensor:
    """One image, [C, H, W] uint8: grey stays grey, everything else becomes RGB."""
    try:
        with Image.open(path) as image:
            pixels = np.array(image if image.mode in _MODES else image.convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise PermanentError(
            ErrorCode.NO_IMAGES, f"artifacts: {path.name} does not decode ({type(error).__name__}); remove it"
        ) from error
    tensor = torch.from_numpy(pixels)
    return tensor[None] if tensor.ndim == 2 else tensor.permute(2, 0, 1).contiguous()
