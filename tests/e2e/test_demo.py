"""`make demo` as it is typed, and what a reader of the samples does after it."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from forwarding import forwarded
from PIL import Image
from scenario import Runs

from diffrun_devcluster.kubectl import Kubectl, condition
from diffrun_devcluster.release import Images, Release


@pytest.fixture(scope="module")
def demonstrated(cluster: Kubectl, images: Images, hub: str, worker_id: str, root: Path) -> Iterator[Release]:
    """What the demo is to install: it does so itself, and the test takes it away."""
    name = f"diffrun-demo-{worker_id}"
    installed = Release(cluster, name=name, namespace=name, images=images, hub=hub)
    yield installed
    installed.uninstall()
    shutil.rmtree(root / "out" / name, ignore_errors=True)


@pytest.fixture(scope="module")
def said(root: Path, demonstrated: Release) -> str:
    """What the demo prints in a release of its own, asking nobody."""
    env = {**demonstrated.cluster.environment(), "DIFFRUN_RELEASE": demonstrated.name, "APPROVE": "auto"}
    done = subprocess.run(
        [sys.executable, "-m", "demo"], cwd=root, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr + demonstrated.describe()
    return done.stdout


def test_the_demo_ends_with_the_runs_line_and_with_who_approved_it(said: str, demonstrated: Release) -> None:
    heading, line = next(re.finditer(r"^(NAME +SUCCEEDED.*)\n(.*)$", said, re.MULTILINE)).groups()
    assert heading.split() == ["NAME", "SUCCEEDED", "REASON", "BLOCK", "DONE", "PROGRESS", "AGE"]
    assert line.split()[:4] == ["ddpm-cat", "True", "AllBlocksSucceeded", "3/3"]
    assert f"by system:serviceaccount:{demonstrated.namespace}:alice,\n" in said
    assert re.search(r"^Step to step: download complete → Job of preview created: \d+\.\d{3} s$", said, re.MULTILINE)
    assert re.search(r"^The demo took \d+ s\.$", said.splitlines()[-1])


@pytest.mark.parametrize(("block", "count"), [("preview", 2), ("full", 16)])
def test_the_demos_pngs_lie_where_it_says_and_its_contact_sheet_shows_them(
    said: str, root: Path, block: str, count: int
) -> None:
    (found,) = re.findall(rf"^(\d+) PNGs in (\S+/{block}); all on one sheet: (\S+)$", said, re.MULTILINE)
    pictures = list((root / found[1]).rglob("*.png"))
    assert int(found[0]) == len(pictures) == count
    with Image.open(pictures[0]) as picture, Image.open(root / found[2]) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > picture.width
    if block == "full":
        assert f"\nContact sheet: {found[2]}\n" in said


def test_the_page_is_reached_as_the_demo_says(said: str, demonstrated: Release) -> None:
    (path,) = re.findall(r"^The run's page: http://127\.0\.0\.1:8080(/\S+)$", said, re.MULTILINE)
    assert f"kubectl -n {demonstrated.namespace} port-forward service/{demonstrated.name}-gateway 8080:80\n" in said
    with forwarded(demonstrated) as url, urlopen(url + path, timeout=30) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("name", ["diamond", "custom-block"])
def test_a_sample_with_a_block_of_the_test_kit_runs_after_the_demo_as_it_is_shipped(
    said: str, root: Path, demonstrated: Release, name: str
) -> None:
    runs = Runs(demonstrated.kubectl)
    runs.kubectl.run("apply", "--filename", str(root / "manifests" / "samples" / f"{name}.yaml"))
    succeeded = condition(runs.finished(name), "Succeeded")
    assert succeeded["status"] == "True", succeeded["message"]
