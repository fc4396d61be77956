"""The pictures of all charts, which take seconds to draw; what each shows is in `tests/unit/worker/inference`."""

import io

import numpy as np
from PIL import Image

from diffrun_worker.inference.aggregates import Aggregate
from diffrun_worker.inference.plots import PLOTS, render_all


def test_every_chart_is_a_picture_and_so_is_the_dashboard_of_them_all() -> None:
    data = Aggregate(tuple(range(12, 0, -1)), tuple(np.linspace(0.01, 0.99, 12).tolist()))
    for index in range(20):
        curve = (1 + index / 100) * np.abs(np.sin(np.arange(12) + 0.1 * index)) + 0.1
        data.add(index, np.stack([curve, curve / 10]), 0.5 + 0.01 * (index % 7))

    files = dict(render_all(data, "A"))

    assert list(files) == ["inference_dashboard", *PLOTS]
    for png in files.values():
        assert Image.open(io.BytesIO(png)).format == "PNG"
    width, height = Image.open(io.BytesIO(files["inference_dashboard"])).size
    assert width > 1500
    assert height > 1200
