"""Trainings small enough for a shared core: a UNet of some ten thousand weights on 8×8 digits, and what they leave."""

import json
from pathlib import Path
from typing import Any

from diffrun_contracts import names

Manifest = dict[str, Any]

UNET = {
    "block_out_channels": [16, 16],
    "down_block_types": ["DownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "UpBlock2D"],
    "layers_per_block": 1,
    "norm_num_groups": 8,
}
FAST = {"name": "DDIM", "steps": 4}
ONE_CORE = {"resources": {"requests": {"cpu": "10m"}, "limits": {"cpu": "1"}}}
"""A pod with a limit has as many threads: two a pod on a node of two cores would mostly wait for each other."""


def training(name: str, *, conditional: bool = False, size: int = 8, **params: Any) -> Manifest:
    """A block that trains on the digits; further parameters of `train` by their API names."""
    model = {"name": "unet2d", "config": {**UNET, "sample_size": size}}
    return {
        "name": name,
        "train": {
            "model": model | ({"conditional": True} if conditional else {}),
            "data": {"digits": {}, "imageSize": size},
            "batchSize": 32,
            "steps": 30,
            "optimizer": {"warmupSteps": 5, "learningRate": 1e-3},
            "sampleGrid": {"everySteps": 1000, "samples": 2, "sampler": FAST},
            **params,
        },
        **ONE_CORE,
    }


def curve(folder: Path, block: str, attempt: int = 1, retry: int = 0) -> dict[int, float]:
    """`train/loss` by step, of rank 0's pod of one try, from its durable events."""
    path = folder / block / str(attempt) / "0" / str(retry) / names.EVENTS_FILE
    return {point["step"]: point["value"] for point in points(path) if point["name"] == "train/loss"}


def points(path: Path) -> list[dict[str, Any]]:
    """Every metric point of one pod."""
    bodies = [json.loads(line)["body"] for line in path.read_text().splitlines()]
    return [point for body in bodies if body["type"] == "metric" for point in body["points"]]


def artifacts(folder: Path, block: str, schema_type: str) -> list[dict[str, Any]]:
    """The artifacts of a block's first attempt, over all shards and tries."""
    found = folder.glob(f"{block}/1/*/*/{names.MANIFEST_FILE}")
    listed = [artifact for path in found for artifact in json.loads(path.read_text())["artifacts"]]
    return [artifact for artifact in listed if artifact["schemaType"] == schema_type]
