"""What of the Hugging Face Hub a block reaches: its pods alone get the way out, and the token.

A token goes to the Hub and nowhere else, so that weights fetched from an address of the user's come without one.
"""

from typing import Any

from diffrun_contracts import names
from diffrun_contracts.params import DownloadCheckpoint
from diffrun_contracts.params.dataset import Dataset, HubDataset
from diffrun_contracts.spec import Block
from diffrun_operator.settings import Settings


def leaves_the_cluster(block: Block) -> bool:
    """Whether the block fetches something by HTTPS."""
    weights = block.evaluate.weights if block.evaluate is not None else None
    return _repository(block) is not None or (weights is not None and weights.url is not None)


def token_env(block: Block, settings: Settings) -> list[dict[str, Any]]:
    """HF_TOKEN for a block that reads from the Hub. A Secret that it names must exist; the installation's need not."""
    repository = _repository(block)
    if repository is None:
        return []
    if repository.token_secret is not None:
        return [_from_secret(repository.token_secret.name, repository.token_secret.key, optional=False)]
    default = settings.hub.token_secret
    return [_from_secret(default.name, default.key, optional=True)] if default else []


def _repository(block: Block) -> DownloadCheckpoint | HubDataset | None:
    """What the block reads from the Hub; at most one repository, so that there is at most one token."""
    if block.download_checkpoint is not None:
        return block.download_checkpoint
    data = _dataset(block)
    return data.hub if data is not None else None


def _dataset(block: Block) -> Dataset | None:
    if block.train is not None:
        return block.train.data
    if block.evaluate is not None:
        return block.evaluate.reference.data
    return block.diagnose.data if block.diagnose is not None else None


def _from_secret(secret: str, key: str, *, optional: bool) -> dict[str, Any]:
    reference = {"name": secret, "key": key, "optional": optional}
    return {"name": names.ENV_HF_TOKEN, "valueFrom": {"secretKeyRef": reference}}
