"""Which samples a shard draws, and in which batches.

Sample i of a block has seed `first_seed + i` wherever it is drawn; shards are contiguous.
"""

from collections.abc import Callable, Iterator

import torch

from diffrun_worker.errors import ErrorCode, PermanentError

MAX_HALVINGS = 4


def shard_indexes(samples: int, shard: int, shards: int) -> range:
    """The sample indexes of one shard; sizes differ by one at most.

    Raises ValueError unless 0 <= shard < shards.
    """
    if not 0 <= shard < shards:
        raise ValueError(f"shard must be from 0 to {shards - 1}; got {shard}")
    return range(samples * shard // shards, samples * (shard + 1) // shards)


def batches(indexes: range, size: int) -> Iterator[range]:
    """The indexes in contiguous runs of `size`, the last one shorter."""
    for start in range(indexes.start, indexes.stop, size):
        yield range(start, min(start + size, indexes.stop))


def run_batches(indexes: range, size: int, run: Callable[[range], None]) -> None:
    """Calls `run` on batch after batch; where CUDA runs out of memory, on batches of half the size from there on.

    A batch size never changes an image, so that this is safe. It gives up after `MAX_HALVINGS`, or at one sample.
    Raises PermanentError `CudaOutOfMemory`.
    """
    asked, halvings, start = size, 0, indexes.start
    while start < indexes.stop:
        batch = range(start, min(start + size, indexes.stop))
        try:
            run(batch)
        except torch.cuda.OutOfMemoryError as error:
            if len(batch) == 1 or halvings == MAX_HALVINGS:
                raise PermanentError(
                    ErrorCode.CUDA_OUT_OF_MEMORY,
                    f"batchSize: {len(batch)} samples together do not fit into the GPU's memory (batchSize is {asked}, "
                    "halved as far as allowed); lower batchSize, set dtype: bfloat16, or use a GPU with more memory",
                ) from error
            halvings += 1
            size = (len(batch) + 1) // 2
        else:
            start = batch.stop
            continue
        # Outside the except clause, where the traceback no longer holds the failed batch's tensors.
        torch.cuda.empty_cache()
