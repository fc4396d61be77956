"""A folder of images: classes, formats, transparency, orientation, cropping, and what is refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffrun_contracts.params.dataset import Dataset
from diffrun_worker.data import Images, load_images
from diffrun_worker.data.decoding import decode
from diffrun_worker.errors import PermanentError
from diffrun_worker.workspace import Workspace

RED, WHITE = (255, 0, 0), (255, 255, 255)
EXIF_ORIENTATION = 0x0112


def save(path: Path, image: Image.Image, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def plain(colour: Any = RED, mode: str = "RGB", size: tuple[int, int] = (8, 8)) -> Image.Image:
    return Image.new(mode, size, colour)


def load(root: Path, fields: Mapping[str, object] | None = None, **wanted: int) -> Images:
    spec = Dataset.model_validate({"imageFolder": {"path": "photos"}, **(fields or {})})
    return load_images(spec, Workspace(str(root)), **{"image_size": 8, **wanted})


def refused(root: Path, fields: Mapping[str, object] | None = None) -> tuple[str, str]:
    with pytest.raises(PermanentError) as caught:
        load(root, fields)
    return caught.value.code, caught.value.message


def one(root: Path, **wanted: int) -> np.ndarray[Any, Any]:
    """The only image, [C, S, S]."""
    return load(root, **wanted).pixels[0].numpy()


def test_subfolders_are_classes_in_the_order_of_their_names(tmp_path: Path) -> None:
    save(tmp_path / "photos/dog/a.png", plain((0, 0, 1)))
    save(tmp_path / "photos/cat/b.PNG", plain((0, 0, 2)))
    save(tmp_path / "photos/cat/more/a.png", plain((0, 0, 3)))
    (tmp_path / "photos/cat/notes.txt").write_text("not an image")
    images = load(tmp_path)
    assert images.classes == ("cat", "dog")
    assert images.require_labels().tolist() == [0, 0, 1]
    assert images.pixels[:, 2, 0, 0].tolist() == [2, 3, 1]
    assert not images.flip, "nobody knows whether a class tells left from right"


def test_images_side_by_side_have_no_classes_and_may_be_mirrored(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        save(tmp_path / f"photos/{number:02}.png", plain((number, 0, 0)))
    save(tmp_path / "photos/.thumbnail.png", plain())
    images = load(tmp_path)
    assert images.pixels[:, 0, 0, 0].tolist() == [1, 9, 10]
    assert (images.labels, images.classes, images.flip) == (None, (), True)


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp"])
def test_every_format_decodes(tmp_path: Path, suffix: str) -> None:
    save(tmp_path / f"photos/a.{suffix}", plain())
    assert np.abs(one(tmp_path).reshape(3, -1).T.astype(int) - RED).max() <= 4, "JPEG and WebP lose a little"


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    image.paste((255, 0, 0, 128), (0, 0, 8, 4))
    save(tmp_path / "photos/a.png", image)
    pixels = one(tmp_path)
    assert pixels[:, 7, 0].tolist() == list(WHITE)
    assert pixels[:, 0, 0].tolist() == [255, 127, 127]


def test_a_palette_s_transparent_colour_is_white_too(tmp_path: Path) -> None:
    image = plain().convert("P")
    save(tmp_path / "photos/a.png", image, transparency=image.getpixel((0, 0)))
    assert one(tmp_path)[:, 0, 0].tolist() == list(WHITE)


def test_a_photo_is_turned_as_its_camera_was(tmp_path: Path) -> None:
    upright = Image.new("RGB", (8, 8))
    upright.paste(RED, (0, 0, 8, 4))
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6  # to be turned clockwise by 90 degrees
    save(tmp_path / "photos/a.png", upright.rotate(90), exif=exif)
    assert np.array_equal(one(tmp_path), np.asarray(upright).transpose(2, 0, 1))


def test_the_largest_centred_square_is_kept(tmp_path: Path) -> None:
    wide = Image.new("RGB", (24, 8))
    wide.paste(RED, (8, 0, 16, 8))
    save(tmp_path / "photos/a.png", wide)
    save(tmp_path / "photos/b.png", wide.rotate(90, expand=True))
    pixels = load(tmp_path).pixels
    assert (pixels[:, 0] == 255).all()
    assert (pixels[:, 1:] == 0).all()


def test_a_square_is_resized_as_pillow_does_it(tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8))
    save(tmp_path / "photos/a.png", noise)
    expected = np.asarray(noise.resize((8, 8), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.array_equal(one(tmp_path), expected)


@pytest.mark.parametrize(
    ("image", "grey"),
    [(plain(100, "L"), 100), (plain(True, "1"), 255), (plain(100 * 256 + 77, "I;16"), 100)],
    ids=["8-bit", "1-bit", "16-bit"],
)
def test_grey_images_of_any_depth_become_colour(tmp_path: Path, image: Image.Image, grey: int) -> None:
    save(tmp_path / "photos/a.png", image)
    assert one(tmp_path)[:, 3, 3].tolist() == [grey] * 3
    assert one(tmp_path, channels=1).shape == (1, 8, 8)


def test_images_keep_their_order_however_many_threads_decode(tmp_path: Path) -> None:
    for number in range(150):
        save(tmp_path / f"photos/{number:03}.png", plain((number, 0, 0)))
    told: list[tuple[int, int]] = []
    spec = Dataset.model_validate({"imageFolder": {"path": "photos"}, "imageSize": 4})
    images = load_images(spec, Workspace(str(tmp_path)), progress=lambda done, total: told.append((done, total)))
    assert images.pixels[:, 0, 0, 0].tolist() == list(range(150))
    assert told == [(done, 150) for done in range(1, 151)]


def test_loading_can_be_stopped(tmp_path: Path) -> None:
    save(tmp_path / "photos/a.png", plain())

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_images(
            Dataset.model_validate({"imageFolder": {"path": "photos"}, "imageSize": 8}),
            Workspace(str(tmp_path)),
            check=stop,
        )


def test_an_image_that_does_not_decode_is_told_by_its_path(tmp_path: Path) -> None:
    save(tmp_path / "photos/cat/a.png", plain())
    (tmp_path / "photos/cat/b.jpg").write_text("<html>")
    assert refused(tmp_path) == (
        "CorruptDataset",
        "data: cat/b.jpg does not decode as an image: it is in no format that is known; repair it or remove it",
    )


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_half_an_image_is_told_by_its_path(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photos/a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    save(path, Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code, message = refused(tmp_path)
    assert code == "CorruptDataset"
    assert message.startswith(f"data: a.{suffix} does not decode as an image: ")
    assert str(tmp_path) not in message


def test_an_image_that_claims_to_be_huge_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "photos/a.png", plain())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 16)
    code, message = refused(tmp_path)
    assert code == "CorruptDataset"
    assert "decompression bomb" in message


def test_a_file_that_vanishes_is_the_disk_s_trouble_and_not_the_image_s(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        decode("a.png", tmp_path / "a.png", 8, 3)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    assert refused(tmp_path) == (
        "DatasetNotFound",
        "data.imageFolder.path: photos does not exist in the workspace; expected a folder with PNG, JPEG or WebP "
        "images, or with a subfolder of them for each class",
    )


@pytest.mark.parametrize(("there", "holds"), [([], "nothing"), (["a.gif", "b.tif"], "a.gif, b.tif")])
def test_a_folder_without_images_is_told_with_what_it_holds(tmp_path: Path, there: list[str], holds: str) -> None:
    (tmp_path / "photos").mkdir()
    for name in there:
        (tmp_path / "photos" / name).write_bytes(b"")
    assert refused(tmp_path) == (
        "DatasetNotFound",
        f"data.imageFolder.path: photos has no image; it holds {holds}; expected PNG, JPEG or WebP images, or with a "
        "subfolder of them for each class",
    )


def test_images_both_beside_subfolders_and_inside_them_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "photos/a.png", plain())
    save(tmp_path / "photos/cat/b.png", plain())
    code, message = refused(tmp_path)
    assert code == "InvalidParams"
    assert "photos has images both beside its subfolders (such as a.png) and inside them; keep either" in message


def test_a_class_without_images_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "photos/cat/b.png", plain())
    (tmp_path / "photos/dog").mkdir()
    assert refused(tmp_path) == (
        "CorruptDataset",
        "data.imageFolder.path: the subfolders dog of photos have no image, and each is a class; "
        "fill them or remove them",
    )


@pytest.mark.parametrize("link", ["a.png", "cat"])
def test_a_link_out_of_the_workspace_is_refused(tmp_path: Path, link: str) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    save(outside / "a.png", plain())
    (root / "photos").mkdir(parents=True)
    (root / "photos" / link).symlink_to(outside / "a.png" if link == "a.png" else outside)
    assert refused(root)[0] == "PathOutsideWorkspace"


def test_the_held_out_part_of_a_folder_is_another_folder(tmp_path: Path) -> None:
    save(tmp_path / "photos/a.png", plain())
    assert refused(tmp_path, {"test": True}) == (
        "InvalidParams",
        "data.test: a folder has no held-out part; give another folder in imageFolder.path",
    )


def test_images_of_any_size_need_one_to_be_brought_to(tmp_path: Path) -> None:
    save(tmp_path / "photos/a.png", plain())
    with pytest.raises(PermanentError, match=r"data\.imageSize: it is needed"):
        load_images(Dataset.model_validate({"imageFolder": {"path": "photos"}}), Workspace(str(tmp_path)))
