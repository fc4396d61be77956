import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.sampling.batching import run_batches, shard_indexes


@given(samples=st.integers(1, 500), shards=st.integers(1, 50))
def test_shards_split_the_samples_evenly_and_leave_none_out(samples: int, shards: int) -> None:
    parts = [shard_indexes(samples, shard, shards) for shard in range(shards)]
    assert [index for part in parts for index in part] == list(range(samples))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("shard", [-1, 2])
def test_a_shard_that_does_not_exist_is_refused(shard: int) -> None:
    with pytest.raises(ValueError, match="shard must be from 0 to 1"):
        shard_indexes(4, shard, 2)


def test_batches_are_contiguous_and_the_last_one_is_shorter() -> None:
    seen: list[range] = []
    run_batches(range(3, 10), 3, seen.append)
    assert seen == [range(3, 6), range(6, 9), range(9, 10)]


def limited(limit: int, seen: list[range]):  # type: ignore[no-untyped-def]
    def run(batch: range) -> None:
        if len(batch) > limit:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        seen.append(batch)

    return run


def test_a_batch_that_does_not_fit_is_halved_from_there_on() -> None:
    seen: list[range] = []
    run_batches(range(10), 8, limited(2, seen))
    assert seen == [range(0, 2), range(2, 4), range(4, 6), range(6, 8), range(8, 10)]


@pytest.mark.parametrize(("size", "limit"), [(4, 0), (1000, 10)], ids=["one sample is too large", "halved four times"])
def test_what_never_fits_fails_with_the_remedy(size: int, limit: int) -> None:
    with pytest.raises(PermanentError) as caught:
        run_batches(range(1000), size, limited(limit, []))
    assert caught.value.code == ErrorCode.CUDA_OUT_OF_MEMORY
    assert f"batchSize is {size}" in caught.value.message
    assert "lower batchSize, set dtype: bfloat16" in caught.value.message
