"""What the README asks of a fresh machine is what the code asks of it."""

import json
import re
import tomllib
from io import StringIO
from pathlib import Path

import pytest

from diffrun_devcluster import images
from diffrun_devcluster.gotools import OLDEST_GO
from diffrun_devcluster.progress import Progress
from diffrun_devcluster.settings import Layout

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
PASSAGE = README[README.index("A fresh machine needs") :].split("\n\n")[0].replace("\n", " ")


@pytest.mark.parametrize(("program", "oldest"), [
    ("Python", tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]),
    ("Node.js", json.loads((ROOT / "inspectors/web/package.json").read_text())["engines"]["node"]),
    ("Go", ">=" + ".".join(map(str, OLDEST_GO))),
], ids=["Python", "Node", "Go"])  # fmt: skip
def test_the_oldest_versions_are_those_of_the_code(program: str, oldest: str) -> None:
    assert f"{program} {oldest.removeprefix('>=')} or newer" in PASSAGE


def test_the_disk_asked_for_is_more_than_the_largest_build_checks_for(tmp_path: Path) -> None:
    free, stays = map(int, re.findall(r"(\d+) GiB of free disk, of which (\d+) stay", PASSAGE)[0])
    largest = max(stage.disk for stage in images.stages(Layout(ROOT, tmp_path), Progress(StringIO()))) >> 30
    assert largest < free
    assert stays < free
