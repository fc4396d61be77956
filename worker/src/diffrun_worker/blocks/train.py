"""The block that trains a model.

Its output `model_path` holds the averaged weights, in the layout that every block of diffrun and diffusers itself
load. Its training states lie beside that folder, and whoever runs the same block again goes on from the newest.
"""

import os
from collections.abc import Mapping
from typing import ClassVar

import torch

from diffrun_contracts import names
from diffrun_contracts import params as contract
from diffrun_worker.block import BlockContext, Outputs
from diffrun_worker.blocks.preparation import configure_torch
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.training.config import resolve
from diffrun_worker.training.distributed import join
from diffrun_worker.training.session import train


class Train:
    """Trains a model."""

    Params: ClassVar = contract.Train

    def run(self, params: contract.Train, ctx: BlockContext) -> Outputs:
        """Raises PermanentError for whatever cannot be trained, TemporaryError where other workers are missing.

        See `diffrun_worker.training.session.train`.
        """
        config = resolve(params, ctx.seed)
        device = _device(ctx.device, os.environ)
        configure_torch(device.type)
        try:
            with join(config.workers, device) as world:
                trained = train(config, ctx, world, device)
        except torch.OutOfMemoryError as error:
            raise PermanentError(
                ErrorCode.CUDA_OUT_OF_MEMORY,
                f"batchSize: a step of {config.batch_size // config.workers} images does not fit into the GPU's "
                "memory; lower batchSize, set precision: bfloat16, or share it out over more workers",
            ) from error
        return {
            "model_path": trained.model_path,
            "model": str(config.model),
            "parameters": trained.parameters,
            "steps": trained.steps,
            "epochs": trained.epochs,
            **({} if trained.final_loss is None else {"final_loss": trained.final_loss}),
            "dataset": trained.images.name,
            "dataset_images": len(trained.images),
            "dataset_digest": trained.images.digest,
        }


def _device(device: str, environment: Mapping[str, str]) -> torch.device:
    """The context's; of several GPUs of one machine that which torchrun gives this process."""
    chosen = torch.device(device)
    local = environment.get(names.ENV_LOCAL_RANK, "")
    if chosen.type != "cuda" or not local.isdecimal():
        return chosen
    chosen = torch.device("cuda", int(local))
    torch.cuda.set_device(chosen)
    return chosen
