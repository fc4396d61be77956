"""Each test process has an installation of its own, so that scenarios run side by side and break only their own.

`pytest -n 4` makes four namespaces, four releases, four Redis servers. Within a process the scenarios follow
one another, so that one may stop the operator or Redis and start it again.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from scenario import Runs

from diffrun_devcluster.kubectl import Kubectl
from diffrun_devcluster.release import Images, Release, hub_endpoint, install_crds, install_hub


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def cluster() -> Kubectl:
    """The development cluster that `make up` has made."""
    if "KUBECONFIG" not in os.environ:
        pytest.exit('no cluster: `make up images`, then `eval "$(make --silent shell-env)"`', returncode=2)
    return Kubectl(kubeconfig=Path(os.environ["KUBECONFIG"]))


@pytest.fixture(scope="session")
def images() -> Images:
    """The images that `make images` has loaded."""
    return Images.load()


@pytest.fixture(scope="session")
def hub(cluster: Kubectl, images: Images, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Hub-compatible server, one for all test processes; its URL inside the cluster."""
    with FileLock(tmp_path_factory.getbasetemp().parent / "cluster.lock"):
        install_crds(cluster)
        install_hub(cluster, images)
    return hub_endpoint()


@pytest.fixture(scope="session")
def release(cluster: Kubectl, images: Images, hub: str, worker_id: str) -> Iterator[Release]:
    """This process' own installation."""
    name = f"diffrun-{worker_id}"
    installed = Release(cluster, name=name, namespace=name, images=images, hub=hub)
    installed.install()
    yield installed
    installed.uninstall()


@pytest.fixture
def runs(release: Release) -> Iterator[Runs]:
    """Runs in this process' namespace, gone after the test."""
    made = Runs(release.kubectl)
    yield made
    for name in made.made:
        release.kubectl.run("delete", "dfr", name, "--ignore-not-found", "--wait=false")


@pytest.fixture
def approver(release: Release) -> str:
    """A service account that may approve in this process' namespace."""
    return release.ensure_approver("alice")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Adds what a person would look at to a failed scenario's report."""
    report = yield
    release = getattr(item, "funcargs", {}).get("release")
    if report.failed and isinstance(release, Release):
        report.sections.append(("the namespace", release.describe()))
    return report
