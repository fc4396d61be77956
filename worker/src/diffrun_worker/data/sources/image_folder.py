"""A folder of PNG, JPEG or WebP files. Where there are subfolders, each is a class, named and ordered as they are."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffrun_contracts.params.dataset import Dataset
from diffrun_worker.data.decoding import decode_all
from diffrun_worker.data.sources.base import Raw, Request
from diffrun_worker.data.sources.files import require_folder, some
from diffrun_worker.errors import ErrorCode, PermanentError, invalid_params
from diffrun_worker.workspace import Workspace

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

_FIELD = "data.imageFolder.path"
_EXPECTED = "PNG, JPEG or WebP images, or with a subfolder of them for each class"
_COLOUR = 3  # what a folder's images count as where nobody asks for channels


def read_image_folder(spec: Dataset, request: Request) -> Raw:
    """In the order of the paths; without classes a mirror image is as good, with classes nobody can know."""
    assert spec.image_folder is not None  # noqa: S101 - the registry chose by this field
    if spec.test:
        raise invalid_params("data.test: a folder has no held-out part; give another folder in imageFolder.path")
    size = require_size(request)
    folder = require_folder(request.workspace, _FIELD, spec.image_folder.path, _EXPECTED)
    classes, files = _list(folder, request.workspace)
    pixels = _decode(folder, files, size, request)
    labels = None
    if classes:
        index = {name: label for label, name in enumerate(classes)}
        labels = np.array([index[file.relative_to(folder).parts[0]] for file in files], dtype=np.int64)
    return Raw(pixels, labels, classes, mirror=not classes)


def require_size(request: Request) -> int:
    """The side to resize to. Raises PermanentError `InvalidParams` without one: the images may be of any size."""
    if request.size is None:
        raise invalid_params("data.imageSize: it is needed where images of different sizes are read; set it")
    return request.size


def _decode(folder: Path, files: list[Path], size: int, request: Request) -> NDArray[np.uint8]:
    """[N, C, S, S]."""
    channels = request.channels or _COLOUR

    def done(count: int) -> None:
        request.check()
        request.progress(count, len(files))

    pixels = np.empty((len(files), channels, size, size), dtype=np.uint8)
    named = ((file.relative_to(folder).as_posix(), file) for file in files)
    for row, image in enumerate(decode_all(named, size, channels, done)):
        pixels[row] = image
    return pixels


def _list(folder: Path, workspace: Workspace) -> tuple[tuple[str, ...], list[Path]]:
    """The classes, and the images in the order of their paths. Hidden files and folders are left out."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    loose = [entry for entry in entries if _is_image(entry)]
    by_class = {
        entry.name: sorted(path for path in entry.rglob("*") if _is_image(path)) for entry in entries if entry.is_dir()
    }
    inside = [path for paths in by_class.values() for path in paths]
    _require_either(folder, loose, inside, [name for name, paths in by_class.items() if not paths])
    for path in (*entries, *inside):
        _require_inside(path, workspace)
    return (tuple(by_class), inside) if inside else ((), loose)


def _require_either(folder: Path, loose: list[Path], inside: list[Path], empty: list[str]) -> None:
    """Raises PermanentError unless there are images either beside subfolders or in each of them."""
    if not loose and not inside:
        there = some(sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())) or "nothing"
        raise PermanentError(
            ErrorCode.DATASET_NOT_FOUND, f"{_FIELD}: {folder.name} has no image; it holds {there}; expected {_EXPECTED}"
        )
    if loose and inside:
        raise invalid_params(
            f"{_FIELD}: {folder.name} has images both beside its subfolders (such as {loose[0].name}) and inside them; "
            "keep either, so that it is clear whether subfolders are classes"
        )
    if inside and empty:
        raise PermanentError(
            ErrorCode.CORRUPT_DATASET,
            f"{_FIELD}: the subfolders {some(empty)} of {folder.name} have no image, and each is a class; "
            "fill them or remove them",
        )


def _require_inside(path: Path, workspace: Workspace) -> None:
    """Raises PermanentError `PathOutsideWorkspace` for a symbolic link that leads out of the workspace."""
    if path.is_symlink():
        workspace.relative(path)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
