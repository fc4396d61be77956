"""Where the files of an inference lie: every name below `output/` is composed here and nowhere else.

    output/<character>/
        metadata.json  index.json          merged from parts/, by every shard that ends
        parts/0003.json                    what one shard has made
        videos/v000.mp4
        frames/v000_f0000.png              the state after step 0, 1, …
        deltas/v000_d0001.npy              frame 1 minus frame 0, …
        latents/v000_t0999.npy             the state after the step at timestep 999, …
        metrics/steps.csv  videos.csv      all shards' rows, as metrics.json and the charts made by the last
        metrics/0003_steps.csv  …          what one shard has measured

Numbers are as wide as the largest of the run needs, and at least as wide as above, so that names sort as numbers
do and all shards of a run agree. A letter's case is kept (`A` and `a` are two folders); where the file system
does not tell the two apart, `claim_folder` refuses the second instead of mixing them.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from diffrun_worker.errors import invalid_params

METADATA = "metadata.json"
INDEX = "index.json"
PARTS = "parts"
METRICS = "metrics"
DASHBOARD = "inference_dashboard"
VIDEOS = "videos"
FRAMES = "frames"
DELTAS = "deltas"
LATENTS = "latents"

_MAX_FOLDER = 120  # bytes; file systems take 255, and archives and other tools often less
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
# Windows keeps these names for devices, with any extension and in either case.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])", re.IGNORECASE)


def folder_name(character: str) -> str:
    """A class's name as the name of a folder, on any file system: `A` stays `A`, `.` becomes `%2E`, `/` `%2F`.

    All but ASCII letters, digits, `_` and `-` is percent-encoded in UTF-8, and so is the first letter of a name that
    Windows reserves. Two classes never get one name: what is too long ends in a hash of all of it.
    """
    name = _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), character)
    if _RESERVED.fullmatch(name):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > _MAX_FOLDER:
        digest = hashlib.sha256(character.encode()).hexdigest()[:16]
        name = f"{name[: _MAX_FOLDER - len(digest) - 1]}~{digest}"
    return name


def claim_folder(output: Path, character: str) -> Path:
    """Makes the class's folder below `output` and returns it.

    Raises PermanentError `InvalidParams` where a folder of another class stands there that this file system does
    not tell from it (`k` beside `K`).
    """
    folder = output / folder_name(character)
    folder.mkdir(parents=True, exist_ok=True)
    entries = {entry.name for entry in output.iterdir()}
    if folder.name not in entries:
        twin = next((name for name in sorted(entries) if name.casefold() == folder.name.casefold()), "another folder")
        raise invalid_params(
            f"output-dir: {output} holds {twin}/, which this file system does not tell from {folder.name}/; "
            f"give {character!r} an output directory of its own"
        )
    return folder


@dataclass(frozen=True)
class Names:
    """The names of a run's files, relative to the class's folder. The same in every shard."""

    samples: int
    """Of the whole run."""
    steps: int
    """Frames a sample."""
    train_timesteps: int = 1000
    """The noise schedule's length K: timesteps are below it."""
    frame_suffix: str = "png"
    latent_suffix: str = "npy"

    def sample(self, index: int) -> str:
        """`v000`."""
        return f"v{index:0{_width(self.samples, 3)}d}"

    def video(self, index: int) -> str:
        """The MP4 of a sample."""
        return f"{VIDEOS}/{self.sample(index)}.mp4"

    def frame(self, index: int, step: int) -> str:
        """The image after step `step`, from 0."""
        return f"{FRAMES}/{self.sample(index)}_f{step:0{_width(self.steps, 4)}d}.{self.frame_suffix}"

    def delta(self, index: int, step: int) -> str:
        """What step `step`, from 1, has changed."""
        return f"{DELTAS}/{self.sample(index)}_d{step:0{_width(self.steps, 4)}d}.npy"

    def latent(self, index: int, timestep: int) -> str:
        """The state after the step at a timestep."""
        width = _width(self.train_timesteps, 4)
        return f"{LATENTS}/{self.sample(index)}_t{timestep:0{width}d}.{self.latent_suffix}"


def part_name(shard: int, shards: int) -> str:
    """The file of what one shard has made."""
    return f"{PARTS}/{shard:0{_width(shards, 4)}d}.json"


def metrics_name(shard: int, shards: int, what: str) -> str:
    """A file of one shard's metrics; `what` is for example `steps.csv`."""
    return f"{METRICS}/{shard:0{_width(shards, 4)}d}_{what}"


def _width(count: int, least: int) -> int:
    """Digits of the numbers from 0 to `count - 1`."""
    return max(least, len(str(max(count - 1, 0))))
