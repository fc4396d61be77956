"""Many pictures on one sheet."""

from pathlib import Path

import pytest
from demo.contact_sheet import CELL, GAP, contact_sheet
from PIL import Image

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)]
WHITE = (255, 255, 255)


def pictures(folder: Path, size: tuple[int, int], count: int = len(COLOURS), mode: str = "RGB") -> list[Path]:
    """PNGs, each of one colour."""
    paths = [folder / f"{number}.png" for number in range(count)]
    for path, colour in zip(paths, COLOURS, strict=False):
        Image.new("RGB", size, colour).convert(mode).save(path)
    return paths


def test_the_pictures_stand_in_reading_order_with_gaps_between(tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "sheet.png"
    contact_sheet(pictures(tmp_path, (16, 16)), target)
    with Image.open(target) as sheet:
        assert sheet.format == "PNG"
        assert sheet.size == (3 * (CELL + GAP) + GAP, 2 * (CELL + GAP) + GAP)
        centres = [(GAP + x * (CELL + GAP) + CELL // 2, GAP + y * (CELL + GAP) + CELL // 2)
                   for y in range(2) for x in range(3)]  # fmt: skip
        assert [sheet.getpixel(centre) for centre in centres] == [*COLOURS, WHITE]
        assert sheet.getpixel((0, 0)) == sheet.getpixel((GAP + CELL, GAP)) == WHITE


def test_a_small_picture_is_enlarged_pixel_by_pixel(tmp_path: Path) -> None:
    path = tmp_path / "two.png"
    picture = Image.new("RGB", (2, 2), "black")
    picture.putpixel((1, 0), COLOURS[0])
    picture.save(path)
    contact_sheet([path], tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        cell = sheet.crop((GAP, GAP, GAP + CELL, GAP + CELL))
    colours = cell.getcolors()
    assert colours is not None
    assert sorted(colours) == [(CELL * CELL // 4, COLOURS[0]), (3 * CELL * CELL // 4, (0, 0, 0))]


def test_a_large_picture_keeps_its_size(tmp_path: Path) -> None:
    contact_sheet(pictures(tmp_path, (CELL + 1, CELL), count=1), tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (CELL + 1 + 2 * GAP, CELL + 2 * GAP)


def test_grey_pictures_are_taken_too(tmp_path: Path) -> None:
    contact_sheet(pictures(tmp_path, (8, 8), count=1, mode="L"), tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.mode == "RGB"
        assert sheet.getpixel((GAP, GAP)) == (76, 76, 76)


def test_no_picture_at_all_is_an_error_that_names_the_sheet(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no picture for the contact sheet .*sheet\.png"):
        contact_sheet([], tmp_path / "sheet.png")
