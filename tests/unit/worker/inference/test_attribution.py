"""Attribution maps against differences whose place is known."""

import pytest
import torch
from torch import Tensor

from diffrun_worker.errors import PermanentError
from diffrun_worker.inference.attribution import (
    AttributionMap,
    Weighting,
    guided_difference,
    spatial_attribution,
    to_heatmap,
)


def predictions(difference: Tensor) -> tuple[Tensor, Tensor]:
    """ε_c and ε∅ of a known difference [N, C, H, W]."""
    unconditional = torch.randn(difference.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return unconditional + difference.double(), unconditional


def test_a_difference_at_one_pixel_is_attributed_to_that_pixel() -> None:
    difference = torch.zeros(2, 1, 4, 4)
    difference[0, 0, 1, 2] = -3.0
    difference[1, 0, 3, 0] = 0.5

    maps = spatial_attribution(*predictions(difference))

    expected = torch.zeros(2, 4, 4, dtype=torch.float64)
    expected[0, 1, 2] = expected[1, 3, 0] = 1.0
    torch.testing.assert_close(maps, expected)


def test_channels_add_up_as_a_length() -> None:
    difference = torch.zeros(1, 3, 1, 2)
    difference[0, :, 0, 0] = torch.tensor([2.0, -3.0, 6.0])  # length 7
    difference[0, 0, 0, 1] = 1.0

    maps = spatial_attribution(*predictions(difference))

    torch.testing.assert_close(maps, torch.tensor([[[7 / 8, 1 / 8]]], dtype=torch.float64))


def test_no_difference_is_spread_evenly() -> None:
    maps = spatial_attribution(*predictions(torch.zeros(1, 1, 2, 5)))

    torch.testing.assert_close(maps, torch.full((1, 2, 5), 0.1, dtype=torch.float64))


@pytest.mark.parametrize(
    ("weighting", "left"),
    [(Weighting.UNIFORM, 0.5), (Weighting.MAGNITUDE, 0.25)],
)
def test_steps_are_weighed_as_asked(weighting: Weighting, left: float) -> None:
    first, second = torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 2)
    first[..., 0] = 1.0
    second[..., 1] = 3.0

    trajectory = AttributionMap(weighting)
    trajectory.add(*predictions(first))
    trajectory.add(*predictions(second))

    assert trajectory.steps == 2
    torch.testing.assert_close(trajectory.result(), torch.tensor([[[left, 1 - left]]], dtype=torch.float64))


def test_the_guided_difference_takes_one_forward_and_each_sample_its_own() -> None:
    calls = []

    def unet(x: Tensor, timestep: int, class_labels: Tensor, return_dict: bool) -> tuple[Tensor]:
        calls.append(class_labels.tolist())
        return (x * class_labels[:, None, None, None],)

    x = torch.tensor([1.0, 10.0])[:, None, None, None].expand(2, 1, 2, 2)
    difference = guided_difference(unet, x, 500, target=7, null=4)

    assert calls == [[7, 7, 4, 4]]
    assert difference[:, 0, 0, 0].tolist() == [3.0, 30.0]


def test_a_network_in_half_precision_is_given_its_own_type() -> None:
    class Half:
        dtype = torch.bfloat16

        def __call__(self, x: Tensor, timestep: int, class_labels: Tensor, return_dict: bool) -> tuple[Tensor]:
            assert x.dtype is self.dtype
            return (x * class_labels.to(x.dtype)[:, None, None, None],)

    difference = guided_difference(Half(), torch.ones(1, 1, 2, 2), 500, target=7, null=4)

    assert difference.dtype is torch.float32
    assert difference.unique().tolist() == [3.0]


def test_a_heatmap_is_white_where_the_map_peaks() -> None:
    heat = to_heatmap(torch.tensor([[[0.0, 0.5], [0.25, 0.25]], [[0.25, 0.25], [0.25, 0.25]]]))

    assert heat.shape == (2, 1, 2, 2)
    assert heat[0, 0].tolist() == [[0, 255], [128, 128]]
    assert heat[1].unique().tolist() == [255]


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(PermanentError, match=r"\[1, 1, 2, 2\] and \[1, 1, 2, 3\]"):
        spatial_attribution(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 3))
    trajectory = AttributionMap()
    with pytest.raises(PermanentError, match="no step"):
        trajectory.result()
    trajectory.add(*predictions(torch.ones(1, 1, 2, 2)))
    with pytest.raises(PermanentError, match=r"\[2, 2, 2\] after maps of \[1, 2, 2\]"):
        trajectory.add(*predictions(torch.ones(2, 1, 2, 2)))
