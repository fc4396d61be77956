"""Contact sheets of what each force, drift and preset does, for the guide.

    python examples/digits-conditional/pictures.py [CHECKPOINT] [--output docs/images/inference]

A sheet has a row for each setting, its name at the left, and in each column the same seed: what differs within a
column is what the setting does. `forces-on-the-way.png` shows the predicted image from noise to the end instead.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from diffrun_worker.inference import FrameData, Generation, InferenceConfig, build_scheduler, load_checkpoint
from diffrun_worker.inference.loading import load_model_of
from diffrun_worker.sampling.images import to_pixels
from diffrun_worker.sampling.threads import limit_threads

HERE = Path(__file__).parent
SCALE, GAP, LABEL = 3, 4, 250
"""Screen pixels a pixel, between tiles, and of the names' column."""

Row = tuple[str, Mapping[str, Any]]
"""A row's name and its configuration."""


@dataclass(frozen=True)
class Sheets:
    """The rows of each picture, for three classes of the checkpoint."""

    a: str
    b: str
    c: str

    def guidance(self) -> list[Row]:
        scales = (0, 1, 3, 7.5, 20)
        return [(f"guidanceScale: {scale:g}", {"force": {"guidance_scale": scale}}) for scale in scales]

    def forces(self) -> list[Row]:
        a, b, c, w = self.a, self.b, self.c, {"weight": 7.5}
        two = {"class_a": a, "class_b": b, **w}
        half = {"start_step": 0, "end_step": 25, "target_class": b, "weight": 7.5}
        stacks: dict[str, dict[str, Any]] = {
            "none": {},
            "attract_class": {"target_class": a, **w},
            "repel_class": {"target_class": a, "weight": 3.0},
            "blend_two": two,
            "subtract_two": {"pos_class": a, "neg_class": b, "w_pos": 5.0, "w_neg": 2.5},
            "weighted_multi": {"class_weights": {a: 3.0, b: 3.0, c: 3.0}},
            "switch_two": {**two, "switch_t": 500},
            "cycle_classes": {"period": 5, **w},
            "oscillate_two": {**two, "frequency": 0.05},
            "ramp_attract": {"target_class": a, "start_w": 0.0, "end_w": 10.0},
            "user_schedule": {"schedule": [half]},
            "user_custom": {"fn": brighten},
        }
        return [
            (f"force_{name}", {"force": {"guidance_scale": 0, "force_stack": [{"name": f"force_{name}", **values}]}})
            for name, values in stacks.items()
        ]

    def drifts(self) -> list[Row]:
        drifts: dict[str, dict[str, Any]] = {
            "none": {},
            "default": {"scale": 4.0},
            "time_scaled": {"scale": 4.0},
            "inverse_time_scaled": {"scale": 4.0},
            "oscillatory": {"scale": 4.0, "params": {"frequency": 0.05}},
            "decay_only": {"decay": 0.97},
            "clamp": {"scale": 0.5},
            "normalize": {},
            "user_custom": {"params": {"fn": sideways}},
        }
        return [
            (f"drift_{name}", {"drift": {"enabled": True, "function_name": f"drift_{name}", **values}})
            for name, values in drifts.items()
        ]

    def presets(self) -> list[Row]:
        a, b, c = self.a, self.b, self.c
        two, one = {"class_a": a, "class_b": b}, {"target_class": a}
        arguments: dict[str, dict[str, Any]] = {
            "null_wander": {},
            "attract_class": one,
            "repel_class": one,
            "blend": two,
            "subtract": {"pos_class": a, "neg_class": b},
            "oscillate": two,
            "competitive": {"classes": [a, b, c]},
            "rotating_all": {},
            "crystallize": one,
            "chaos": two,
            "ramp_to_class": one,
            "weighted_multi": {"class_weights": {a: 5.0, b: 2.0, c: -2.0}},
        }
        return [(name, {"preset": name, "preset_args": values}) for name, values in arguments.items()]


def brighten(x_t: Tensor, **_: Any) -> Tensor:
    """A force of one's own: less noise is found where there is ink, so that strokes grow."""
    return -0.25 * x_t.clamp(0, 1)


def sideways(x: Tensor, t_index: int, **_: Any) -> Tensor:
    """A drift of one's own: a pixel to the right at every twelfth step."""
    return x.roll(1, dims=3) if t_index % 12 == 11 else x


class Studio:
    """Draws rows of samples of one checkpoint."""

    def __init__(self, checkpoint: Path, steps: int, device: str) -> None:
        self.ckpt = load_checkpoint(checkpoint)
        self._model = load_model_of(self.ckpt, device)
        self._scheduler = build_scheduler(self.ckpt)
        self._steps = steps

    def generation(self, character: str, config: Mapping[str, Any]) -> Generation:
        values = {"character": character, "seed": 0, "num_inference_steps": self._steps, **config}
        return Generation(self._model, self._scheduler, InferenceConfig.from_dict(values), self.ckpt)

    def samples(self, character: str, config: Mapping[str, Any], count: int) -> list[Image.Image]:
        """The run's first `count` samples."""
        return tiles(self.generation(character, config).draw(range(count)))

    def way(self, character: str, config: Mapping[str, Any], count: int) -> list[Image.Image]:
        """What the first sample would be if it ended now, x̂₀ = (x_t − √(1 − ᾱ) ε̃) / √ᾱ, at `count` even steps."""
        kept: list[Tensor] = []
        generation = self.generation(character, config)
        alphas = generation.schedule.alphas_cumprod
        wanted = {round(step * (self._steps - 1) / (count - 1)) for step in range(count)}

        def keep(frame: FrameData) -> None:
            if frame.t_index in wanted:
                alpha = alphas[frame.t_index]
                clean = (frame.previous - (1 - alpha) ** 0.5 * frame.model_output) / alpha**0.5
                kept.append(clean[0].clamp(-1, 1))

        generation.draw([0], keep)
        return tiles(torch.stack(kept))


def tiles(samples: Tensor) -> list[Image.Image]:
    """[N, C, H, W] in [-1, 1] as images, enlarged without smoothing."""
    pixels = to_pixels(samples.cpu()).numpy()
    images = [Image.fromarray(one[:, :, 0] if one.shape[2] == 1 else one).convert("RGB") for one in pixels]
    return [one.resize((one.width * SCALE, one.height * SCALE), Image.Resampling.NEAREST) for one in images]


def sheet(rows: Sequence[tuple[str, Sequence[Image.Image]]]) -> Image.Image:
    """Rows of tiles with their names."""
    tile, columns = rows[0][1][0], max(len(images) for _, images in rows)
    width, height = tile.width + GAP, tile.height + GAP
    page = Image.new("RGB", (LABEL + columns * width + GAP, len(rows) * height + GAP), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=16)
    for number, (name, images) in enumerate(rows):
        top = GAP + number * height
        draw.text((GAP * 2, top + tile.height // 2), name, fill="black", font=font, anchor="lm")
        for column, image in enumerate(images):
            page.paste(image, (LABEL + column * width, top))
    return page


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, nargs="?", default=HERE / "checkpoint")
    parser.add_argument("--output", type=Path, default=HERE.parents[1] / "docs" / "images" / "inference")
    parser.add_argument("--classes", nargs=3, default=["3", "8", "1"], metavar="CLASS")
    parser.add_argument("--columns", type=int, default=12)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    limit_threads()
    options.output.mkdir(parents=True, exist_ok=True)
    studio, sheets = Studio(options.checkpoint, options.steps, options.device), Sheets(*options.classes)
    families = {name: getattr(sheets, name)() for name in ("guidance", "forces", "drifts", "presets")}
    for name, rows in families.items():
        drawn = [(label, studio.samples(sheets.a, config, options.columns)) for label, config in rows]
        sheet(drawn).save(options.output / f"{name}.png", optimize=True)
        print(options.output / f"{name}.png")
    ways = [(label, studio.way(sheets.a, config, options.columns)) for label, config in families["forces"]]
    sheet(ways).save(options.output / "forces-on-the-way.png", optimize=True)
    print(options.output / "forces-on-the-way.png")


if __name__ == "__main__":
    main()
