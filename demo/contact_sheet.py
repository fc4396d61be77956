"""Many pictures on one sheet, enlarged by whole multiples so that a 16×16 digit stays a digit."""

import math
from pathlib import Path

from PIL import Image

GAP = 4
CELL = 128


def contact_sheet(pictures: list[Path], target: Path) -> None:
    """Writes one PNG with all pictures in reading order; small ones enlarged pixel by pixel."""
    if not pictures:
        raise ValueError(f"there is no picture for the contact sheet {target}")
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    images = [enlarged(Image.open(path)) for path in pictures]
    width, height = images[0].size
    sheet = Image.new("RGB", (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP), "white")
    for place, image in enumerate(images):
        x, y = place % columns, place // columns
        sheet.paste(image.convert("RGB"), (GAP + x * (width + GAP), GAP + y * (height + GAP)))
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target)


def enlarged(image: Image.Image) -> Image.Image:
    """The picture at the largest whole multiple that still fits a cell."""
    factor = max(1, CELL // max(image.size))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
