"""Code of the user's own: where it may come from, whether it may run at all, and whose fault its exceptions are."""

import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from diffrun_contracts import names
from diffrun_worker.errors import BlockError, ErrorCode, PermanentError, invalid_params

VALUE = "worker.allowUserCode"
"""The chart's value by which an installation allows it; it sets `names.ENV_ALLOW_USER_CODE` in the pods."""

OPTION = "--allow-user-code"
"""The command line's option of the same meaning."""

_PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True)
class UserCode:
    """The permission to run functions out of files, and the folder that their paths start from."""

    allowed: bool = False
    """Whether a file's code may run."""
    root: Path = field(default_factory=Path.cwd)
    """Relative paths start here."""
    confined: bool = False
    """Whether a file must lie below `root`: so it is in a pod, where that is the workspace."""
    fetch: Callable[[str], object] | None = None
    """Brings a file here, by its path below `root`, where that is an object store's."""

    @classmethod
    def from_environment(
        cls,
        root: Path,
        environment: Mapping[str, str] = os.environ,
        *,
        confined: bool = False,
        fetch: Callable[[str], object] | None = None,
    ) -> "UserCode":
        """The installation's own permission."""
        return cls(environment.get(names.ENV_ALLOW_USER_CODE) == "1", root, confined, fetch)

    def function(self, fn: Any, where: str) -> Callable[..., Any]:
        """The function that a parameter `fn` means: a callable itself, or `path/to/file.py:name`.

        Raises PermanentError with `where`: `UserCodeForbidden` where a file's code may not run, `InvalidParams`
        where there is no such file or function, `UserCodeFailed` with file and line where the file itself fails.
        """
        if callable(fn):
            given: Callable[..., Any] = fn
            return given
        path, separator, name = str(fn).rpartition(":")
        if not isinstance(fn, str) or not separator or not name.isidentifier():
            raise invalid_params(f"{where}: a function, or a file and its function as path/to/file.py:name; got {fn!r}")
        if not self.allowed:
            raise PermanentError(
                ErrorCode.USER_CODE_FORBIDDEN,
                f"{where}: {fn} is code of your own, which this installation does not run; its administrator allows "
                f"it by the chart's {VALUE}: true, which sets {names.ENV_ALLOW_USER_CODE}=1 in the pods, and on the "
                f"command line {OPTION} does",
            )
        module = self._module(self._file(path, where), where)
        function = getattr(module, name, None)
        if not callable(function):
            there = ", ".join(key for key, value in vars(module).items() if callable(value) and key[0] != "_")
            raise invalid_params(f"{where}: {path} has no function {name!r}; it has {there or 'none'}")
        loaded: Callable[..., Any] = function
        return loaded

    def _file(self, path: str, where: str) -> Path:
        root = self.root.resolve()
        file = (root / path).resolve()
        if self.confined and not file.is_relative_to(root):
            raise PermanentError(
                ErrorCode.PATH_OUTSIDE_WORKSPACE, f"{where}: {path} leads out of the workspace; put the file into it"
            )
        if self.fetch is not None and file.is_relative_to(root):
            self.fetch(file.relative_to(root).as_posix())
        if not file.is_file():
            raise invalid_params(f"{where}: there is no file {path} (looked for {file})")
        return file

    def _module(self, file: Path, where: str) -> ModuleType:
        name = f"diffrun_user_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise invalid_params(f"{where}: {file.name} is no Python file; its name must end in .py")
        module = importlib.util.module_from_spec(spec)
        # Dataclasses, pickle and typing look up by name the module that they are used in.
        sys.modules[name] = module
        try:
            with blame(where, file):
                spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        return module


def blame_author(function: Callable[..., Any], where: str) -> AbstractContextManager[None]:
    """`blame` around a call of what others have written; what a function of ours raises is our fault, and passes."""
    ours = (getattr(function, "__module__", None) or "").startswith(f"{_PACKAGE}.")
    return nullcontext() if ours else blame(where)


@contextmanager
def blame(where: str, file: Path | None = None) -> Iterator[None]:
    """Turns what the user's code raises into an error that names its file and line; `file` is being loaded, if any is.

    Raises PermanentError `UserCodeFailed`, also where that code calls `sys.exit()`: the process would end as if its
    work were done. An error of diffrun's own passes, and so does a GPU without memory, which a smaller batch may cure.
    """
    try:
        yield
    except (BlockError, torch.cuda.OutOfMemoryError):
        raise
    except (Exception, SystemExit) as error:
        raise PermanentError(ErrorCode.USER_CODE_FAILED, f"{where}: {_place(error, file)}") from error


def _place(error: BaseException, file: Path | None) -> str:
    """`mine.py:12 in force: ValueError: …`, the line of the user's file where the error began."""
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename is not None:
        line = "" if error.lineno is None else f":{error.lineno}"
        return f"{error.filename}{line}: {type(error).__name__}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_machinery(frame.filename)]
    if not frames:  # Of a null byte Python tells neither file nor line.
        return said if file is None else f"{file}: {said}"
    # The first frame that is not ours is the user's function; the last one in the same file is where it stood.
    last = [frame for frame in frames if frame.filename == frames[0].filename][-1]
    return f"{last.filename}:{last.lineno} in {last.name}: {said}"


def _is_machinery(filename: str) -> bool:
    """Whether a frame is this package's or the import system's."""
    return filename.startswith(("<frozen", str(Path(__file__).parent)))
