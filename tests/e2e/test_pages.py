"""The pages on the cluster: an approver decides in a real browser, and strangers see nothing."""

import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from forwarding import forwarded
from runs import block, quick, run
from scenario import Runs

from diffrun_devcluster.kubectl import Kubectl, condition, eventually
from diffrun_devcluster.release import Images, Release


@pytest.fixture(scope="module")
def pages(cluster: Kubectl, images: Images, hub: str, worker_id: str) -> Iterator[Release]:
    """An installation with its gateway."""
    name = f"diffrun-pages-{worker_id}"
    installed = Release(cluster, name=name, namespace=name, images=images, hub=hub, pages=True)
    installed.install()
    yield installed
    installed.uninstall()


def test_a_gate_is_approved_in_the_browser_and_the_run_goes_on(pages: Release, root: Path) -> None:
    runs = Runs(pages.kubectl)
    pages.ensure_approver("alice")
    preview = block("preview", params={"steps": 20, "artifacts": 2}, gate={"prompt": "Good enough?"})
    name = runs.start(run("in-browser", preview, quick("full")))
    runs.until_condition(name, "GatePending")
    with forwarded(pages) as url:
        settings = {
            "DIFFRUN_URL": url,
            "DIFFRUN_NAMESPACE": pages.namespace,
            "DIFFRUN_RUN": name,
            "DIFFRUN_TOKEN": pages.kubectl.run("create", "token", "alice").strip(),
        }
        done = subprocess.run(
            ["npx", "playwright", "test", "--config", "cluster.config.ts"],
            cwd=root / "tests" / "browser",
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    ended = runs.finished(name)
    assert condition(ended, "Succeeded")["status"] == "True"
    assert ended["status"]["gates"]["preview"]["decidedBy"].endswith(":alice")


@pytest.mark.parametrize("token", ["", "Bearer nothing"])
def test_without_a_token_that_kubernetes_knows_nothing_is_shown(pages: Release, token: str) -> None:
    with forwarded(pages) as url:
        request = urllib.request.Request(f"{url}/api/runs", headers={"Authorization": token} if token else {})

        def refused() -> int:
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return int(answer.status)
            except urllib.error.HTTPError as error:
                return error.code

        assert eventually(refused, 30, "the gateway answers") == 401
