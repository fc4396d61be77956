"""The nine charts, from any number of samples; the pictures of them all are in `tests/integration/test_charts.py`."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffrun_worker.inference import plots
from diffrun_worker.inference.aggregates import Aggregate
from diffrun_worker.inference.plots import PLOTS


def aggregate(samples: int, steps: int = 12) -> Aggregate:
    data = Aggregate(tuple(range(steps, 0, -1)), tuple(np.linspace(0.01, 0.99, steps).tolist()))
    for index in range(samples):
        curve = (1 + index / 100) * np.abs(np.sin(np.arange(steps) + 0.1 * index)) + 0.1
        data.add(index, np.stack([curve, curve / 10]), 0.5 + 0.01 * (index % 7))
    return data


def draw(name: str, data: Aggregate) -> Axes:
    axes: Axes = Figure().add_subplot()
    PLOTS[name](axes, data)
    return axes


def test_there_are_nine_charts() -> None:
    assert len(PLOTS) == 9
    assert {"latent_l2_per_step", "cumulative_l2", "l2_velocity", "generation_times"} < set(PLOTS)


@pytest.mark.parametrize("name", PLOTS)
def test_every_axis_says_what_it_shows_and_every_chart_how_many_samples_or_which_middle(name: str) -> None:
    axes = draw(name, aggregate(20))

    assert axes.get_title(loc="left")
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    assert any("20" in text.get_text() or "median" in text.get_text() for text in axes.texts)


@pytest.mark.parametrize(
    "name", ["latent_l2_per_step", "cumulative_l2", "l2_velocity", "pixel_delta_per_step", "schedule_overlay"]
)
def test_hundreds_of_samples_are_a_median_in_bands_and_never_hundreds_of_lines(name: str) -> None:
    axes = draw(name, aggregate(400))

    assert len(axes.lines) <= 2


def test_a_few_samples_are_lines_of_their_own() -> None:
    axes = draw("latent_l2_per_step", aggregate(3))

    assert len(axes.lines) == 3
    assert not axes.collections


def test_the_bands_hold_half_and_eighty_percent_of_the_samples() -> None:
    data = Aggregate((2, 1), (0.1, 0.9))
    for index in range(101):
        data.add(index, np.full((2, 2), float(index)), 1.0)

    axes = draw("latent_l2_per_step", data)

    assert axes.lines[0].get_ydata().tolist() == [50.0, 50.0]
    heights = [band.get_paths()[0].vertices[:, 1] for band in axes.collections]
    assert [(float(y.min()), float(y.max())) for y in heights] == [(10.0, 90.0), (25.0, 75.0)]


def test_one_step_of_another_scale_does_not_press_the_others_flat() -> None:
    data = Aggregate(tuple(range(20, 0, -1)), tuple(np.linspace(0, 1, 20).tolist()))
    for index in range(10):
        curve = np.linspace(1, 1.19, 20)
        curve[-1] = 50.0
        data.add(index, np.stack([curve, curve]), 1.0)

    axes = draw("l2_velocity", data)

    assert axes.get_ylim()[1] < 1
    assert any("step 19: 49" in text.get_text() for text in axes.texts)


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize(("samples", "steps"), [(0, 12), (1, 1)], ids=["none", "one of one step"])
def test_nothing_and_nearly_nothing_can_be_drawn(name: str, samples: int, steps: int) -> None:
    axes = draw(name, aggregate(samples, steps))

    axes.figure.draw_without_rendering()


def test_the_same_data_makes_the_same_bytes() -> None:
    assert plots.chart("cumulative_l2", aggregate(9)) == plots.chart("cumulative_l2", aggregate(9))
