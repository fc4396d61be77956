"""Summaries against answers known by hand."""

import json
import math

import numpy as np
import pytest
import torch

from diffrun_worker.errors import PermanentError
from diffrun_worker.inference.stats import cosine_similarity, l2_norms, summarize, summarize_each


def test_a_summary_of_known_numbers() -> None:
    summary = summarize(torch.tensor([[3.0, -4.0], [0.0, 1.0]]), quantiles=(0, 0.25, 0.5, 1))

    assert summary.count == 4
    assert summary.non_finite == 0
    assert summary.mean == 0.0
    assert summary.std == pytest.approx(math.sqrt(26 / 4))
    assert (summary.minimum, summary.maximum) == (-4.0, 3.0)
    assert summary.l1 == 8.0
    assert summary.l2 == pytest.approx(math.sqrt(26))
    assert summary.linf == 4.0
    assert summary.quantiles == {"0": -4.0, "0.25": -1.0, "0.5": 0.5, "1": 3.0}


def test_quantiles_are_numpys() -> None:
    values = torch.randn(1001, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shares = (0.05, 0.333, 0.95)

    quantiles = summarize(values, shares).quantiles

    expected = np.quantile(values.numpy(), shares)
    np.testing.assert_allclose(list(quantiles.values()), expected, rtol=1e-12)


def test_what_is_not_finite_is_counted_and_left_out() -> None:
    summary = summarize(torch.tensor([1.0, math.nan, math.inf, 3.0]))

    assert (summary.count, summary.non_finite) == (4, 2)
    assert summary.mean == 2.0
    assert summary.maximum == 3.0


def test_a_tensor_without_a_finite_value_has_no_mean() -> None:
    summary = summarize(torch.tensor([math.nan]))

    assert summary.non_finite == 1
    assert math.isnan(summary.mean)
    assert math.isnan(summary.quantiles["0.5"])


def test_a_mean_far_from_zero_keeps_its_digits() -> None:
    values = torch.full((100_000,), 1e4 + 0.125, dtype=torch.float32)

    assert summarize(values).mean == 1e4 + 0.125
    assert summarize(values).std == 0.0


def test_a_summary_travels_as_json() -> None:
    document = json.loads(json.dumps(summarize(torch.ones(3)).to_dict()))

    assert document["l2"] == pytest.approx(math.sqrt(3))
    assert document["quantiles"]["0.5"] == 1.0


def test_each_sample_of_a_batch_has_a_summary_of_its_own() -> None:
    batch = torch.tensor([1.0, 5.0])[:, None, None, None].expand(2, 1, 2, 2)

    assert [summary.mean for summary in summarize_each(batch)] == [1.0, 5.0]
    assert l2_norms(batch).tolist() == [2.0, 10.0]


def test_cosine_similarity_of_known_directions() -> None:
    first = torch.tensor([[1.0, 0.0], [1.0, 0.0], [2.0, 2.0], [0.0, 0.0]])
    second = torch.tensor([[3.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])

    similarity = cosine_similarity(first, second)

    torch.testing.assert_close(similarity, torch.tensor([1, -1, math.sqrt(0.5), 0], dtype=torch.float64))


def test_what_cannot_be_summed_up_is_named() -> None:
    with pytest.raises(PermanentError, match="empty"):
        summarize(torch.zeros(0))
    with pytest.raises(PermanentError, match=r"quantiles.*1\.5"):
        summarize(torch.ones(2), (0.5, 1.5))
    with pytest.raises(PermanentError, match="complex"):
        summarize(torch.ones(2, dtype=torch.complex64))
    with pytest.raises(PermanentError, match="shapes must agree"):
        cosine_similarity(torch.ones(2, 3), torch.ones(2, 4))
