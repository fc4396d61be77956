"""A download of the checkpoint of the Hub's look-alike, and which of its files were fetched."""

from typing import Any

from diffrun_contracts.params import DownloadCheckpoint as Params
from diffrun_testkit.servers import HubThread
from diffrun_worker.block import Outputs
from diffrun_worker.blocks.download import DownloadCheckpoint
from diffrun_worker.testing import RecordingContext

REPO = "google/ddpm-cat-256"


def download(ctx: RecordingContext, repo: str = REPO, **params: Any) -> Outputs:
    return DownloadCheckpoint().run(Params(repo=repo, **params), ctx)


def downloads(hub: HubThread) -> list[str]:
    """Paths of the files that were fetched, by name."""
    return [path.rsplit("/", 1)[-1] for method, path in hub.server.requests if method == "GET" and "/resolve/" in path]
