"""The pins of the cluster's programs."""

import re

import pytest

from diffrun_devcluster import gotools
from diffrun_devcluster.errors import MissingToolError
from diffrun_devcluster.settings import KUBERNETES, layout

PLACE = layout({"HOME": "/"})
PROGRAMS = gotools.USER_PROGRAMS + gotools.NODE_PROGRAMS


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_program_is_a_tool_of_a_module_with_sums(program: gotools.Program) -> None:
    folder = PLACE.recipes / "gomods" / program.module
    assert re.search(rf"^(tool |\t){re.escape(program.package)}$", (folder / "go.mod").read_text(), re.MULTILINE)
    assert (folder / "go.sum").stat().st_size > 0


def test_kubernetes_and_its_staging_modules_are_of_one_version() -> None:
    text = (PLACE.recipes / "gomods" / "kubernetes" / "go.mod").read_text()
    assert f"k8s.io/kubernetes {KUBERNETES}" in text
    staging = set(re.findall(r"=> k8s\.io/\S+ (\S+)", text))
    assert staging == {KUBERNETES.replace("v1.", "v0.", 1)}


@pytest.mark.parametrize(("version", "fine"), [("go1.19.8", False), ("go1.24.0", True), ("go1.26.8", True)])
def test_an_old_go_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch, version: str, fine: bool) -> None:
    monkeypatch.setattr(gotools, "run", lambda *_, **__: f"{version}\n")
    if fine:
        gotools.check_go()
        return
    with pytest.raises(MissingToolError, match="too old") as error:
        gotools.check_go()
    assert "go.dev" in error.value.remedy
