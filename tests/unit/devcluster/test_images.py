"""The images' names follow their content, and their Dockerfiles keep what the fast way relies on."""

import re
import shutil
from pathlib import Path

import pytest

from diffrun_devcluster import images
from diffrun_devcluster.settings import Layout, layout

REPO = layout({"HOME": "/"}).repo


@pytest.fixture
def checkout(tmp_path: Path) -> Layout:
    for folder in ("contracts", "operator", "worker"):
        (tmp_path / folder / "src").mkdir(parents=True)
        (tmp_path / folder / "src" / "module.py").write_text("x = 1\n")
        (tmp_path / folder / "pyproject.toml").write_text("[project]\n")
    for folder in ("containers", "locks"):
        shutil.copytree(REPO / folder, tmp_path / folder)
    return Layout(tmp_path, tmp_path / "cache")


def test_a_change_of_code_changes_the_tag_and_not_the_dependencies(checkout: Layout) -> None:
    before = images.reference(checkout, images.OPERATOR), images.deps_key(checkout, images.OPERATOR)
    (checkout.repo / "operator" / "src" / "module.py").write_text("x = 2\n")
    after = images.reference(checkout, images.OPERATOR), images.deps_key(checkout, images.OPERATOR)
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_the_operators_code_leaves_the_workers_image_alone(checkout: Layout) -> None:
    before = images.reference(checkout, images.WORKER)
    (checkout.repo / "operator" / "src" / "module.py").write_text("x = 2\n")
    assert images.reference(checkout, images.WORKER) == before


def test_a_change_of_a_lock_changes_what_stands_on_it(checkout: Layout) -> None:
    keys = [images.deps_key(checkout, part) for part in images.PARTS]
    with (checkout.repo / "locks" / "worker.txt").open("a") as lock:
        lock.write("# newer\n")
    changed = [images.deps_key(checkout, part) for part in images.PARTS]
    different = [part.name for part, old, new in zip(images.PARTS, keys, changed, strict=True) if old != new]
    assert different == ["worker", "testkit"]


def test_names_resolve_without_a_default_registry(checkout: Layout) -> None:
    for part in images.PARTS:
        pattern = rf"docker\.io/diffrun/{part.name}:[0-9a-f]{{12}}"
        assert re.fullmatch(pattern, images.reference(checkout, part))


def test_a_part_that_is_not_there_is_left_out(checkout: Layout) -> None:
    assert images.TESTKIT not in images.present(checkout)
    assert images.WORKER in images.present(checkout)


@pytest.mark.parametrize("part", images.PARTS, ids=lambda part: part.name)
def test_images_run_as_a_numeric_user_that_is_not_root(part: images.Part) -> None:
    text = images.dockerfile(layout({"HOME": "/"}), part).read_text()
    if part.stands_on:
        assert not re.search(r"FROM deps\n(?:.*\n)*USER", text)
        return
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE)[-1] == "65532:65532"


@pytest.mark.parametrize("part", [part for part in images.PARTS if part.code], ids=lambda part: part.name)
def test_the_last_stage_adds_the_code_and_nothing_else(part: images.Part) -> None:
    text = images.dockerfile(layout({"HOME": "/"}), part).read_text()
    last = text[text.rindex("\nFROM ") + 1 :].splitlines()
    files = [f"COPY {source} /{place}" for source, place in part.files]
    assert last == ["FROM deps", *files, "COPY --from=code /opt/diffrun/app /opt/diffrun/app"]


@pytest.mark.parametrize("part", images.PARTS, ids=lambda part: part.name)
def test_docker_is_given_whatever_an_image_copies(part: images.Part) -> None:
    place = layout({"HOME": "/"})
    given = (place.repo / ".dockerignore").read_text().splitlines()
    wanted = [*part.code, *(source for source, _ in part.files), *(["locks"] if part.locks else [])]
    assert [name for name in wanted if f"!{name}" not in given] == []


@pytest.mark.parametrize("part", [images.OPERATOR, images.GATEWAY], ids=lambda part: part.name)
def test_what_never_computes_is_locked_without_what_computing_needs(part: images.Part) -> None:
    pinned = {
        name for lock in part.locks for name in re.findall(r"^([\w.-]+)==", (REPO / "locks" / lock).read_text(), re.M)
    }
    assert "pydantic" in pinned
    assert not {name for name in pinned if name.startswith(("torch", "nvidia-", "diffusers", "safetensors"))}
