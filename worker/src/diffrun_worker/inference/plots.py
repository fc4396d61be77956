"""The nine charts of an inference and the dashboard that shows all of them, as PNG files.

Hundreds of samples are never hundreds of lines: each chart shows the median with the bands that hold half and 80 % of
them. Colours are from Okabe & Ito's palette and cividis, which colour-blind readers tell apart.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from diffrun_worker.inference.aggregates import LATENT_L2, PIXEL_DELTA, Aggregate, Floats
from diffrun_worker.inference.output import DASHBOARD
from diffrun_worker.inference.tracker import derive

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#555555"
_FEW = 6
"""So many samples are shown as lines of their own."""
_DPI = 110
_STEP_LABEL = "denoising step"
_L2_LABEL = "latent L2  ‖Δx‖₂"
_MAX_BINS = 40

Draw = Callable[[Axes, Aggregate], None]


def latent_l2_per_step(ax: Axes, data: Aggregate) -> None:
    """How far each step moves a sample."""
    _bands(ax, data.curves(LATENT_L2), BLUE)
    _step_axes(ax, data, "How far each step moves a sample", _L2_LABEL)


def cumulative_l2(ax: Axes, data: Aggregate) -> None:
    """How far it has come."""
    _bands(ax, np.cumsum(data.curves(LATENT_L2), axis=1), BLUE)
    _step_axes(ax, data, "Length of the way so far", "cumulative L2  Σ‖Δx‖₂")


def l2_velocity(ax: Axes, data: Aggregate) -> None:
    """Whether it speeds up or slows down."""
    curves = data.curves(LATENT_L2)
    _, velocity = derive(curves.T)
    ax.axhline(0, color=GREY, linewidth=0.8)
    _bands(ax, velocity.T, GREEN)
    _step_axes(ax, data, "Speeding up (above 0) or slowing down", "L2 velocity  ‖Δxᵢ‖₂ − ‖Δxᵢ₋₁‖₂", from_zero=False)
    _without_spikes(ax, velocity.T)


def pixel_delta_per_step(ax: Axes, data: Aggregate) -> None:
    """How much a viewer sees change."""
    _bands(ax, 100 * data.curves(PIXEL_DELTA), ORANGE)
    _step_axes(ax, data, "How much of the picture each step changes", "mean |Δpixel|  (% of full range)")


def schedule_overlay(ax: Axes, data: Aggregate) -> None:
    """What the noise schedule has to do with it."""
    right = ax.twinx()
    right.plot(range(data.steps), data.schedule, color=ORANGE, linestyle="--", linewidth=1.6, label="ᾱ")
    right.set(ylim=(0, 1.02), ylabel="signal share ᾱ of the schedule (dashed)")
    right.yaxis.label.set_color(ORANGE)
    right.tick_params(axis="y", colors=ORANGE)
    right.spines[["top"]].set_visible(False)
    ax.plot(range(data.steps), data.mean(LATENT_L2), color=BLUE, linewidth=1.8, **_marks(data.steps))
    _step_axes(ax, data, "Movement beside the noise schedule", f"mean {_L2_LABEL}", note=f"mean of {data.count}")


def generation_times(ax: Axes, data: Aggregate) -> None:
    """How long each sample took."""
    videos = data.videos()
    seconds = np.array([video.generation_time for _, video in videos])
    ax.plot([index for index, _ in videos], seconds, ".", color=BLUE, markersize=_dot(len(videos)), alpha=0.6)
    if len(seconds):
        middle = float(np.median(seconds))
        ax.axhline(middle, color=ORANGE, linewidth=1.4)
        _note(ax, f"median {middle:.3g} s, slowest {float(seconds.max()):.3g} s")
    _title(ax, "Time per sample")
    ax.set(xlabel="sample", ylabel="generation time (s)")
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))


def generation_time_distribution(ax: Axes, data: Aggregate) -> None:
    """How much that varies."""
    seconds = np.array([video.generation_time for _, video in data.videos()])
    _histogram(ax, seconds, BLUE, "s")
    _title(ax, "Spread of the time per sample")
    ax.set(xlabel="generation time (s)", ylabel="samples")


def total_l2_distribution(ax: Axes, data: Aggregate) -> None:
    """How long the whole ways are."""
    _histogram(ax, np.array([video.total_l2 for _, video in data.videos()]), GREEN, "")
    _title(ax, "Length of the whole way")
    ax.set(xlabel="total L2  Σ‖Δx‖₂", ylabel="samples")


def latent_l2_heatmap(ax: Axes, data: Aggregate) -> None:
    """Every kept sample at once: a row that differs from its neighbours stands out."""
    curves = data.curves(LATENT_L2)
    _title(ax, "How far each step moves each sample")
    ax.set(xlabel=_STEP_LABEL, ylabel="samples, in order")
    if not curves.size:
        return
    low, high = np.quantile(curves, (0.01, 0.99))
    _note(ax, f"{len(curves)} of {data.count} samples; one row each")
    image = ax.imshow(curves, aspect="auto", cmap="cividis", vmin=low, vmax=high, interpolation="nearest")
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02, extend="both")
    bar.set_label(_L2_LABEL)
    ax.grid(visible=False)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, nbins=6))


PLOTS: Mapping[str, Draw] = MappingProxyType(
    {
        draw.__name__: draw
        for draw in (
            latent_l2_per_step,
            cumulative_l2,
            l2_velocity,
            pixel_delta_per_step,
            schedule_overlay,
            latent_l2_heatmap,
            generation_times,
            generation_time_distribution,
            total_l2_distribution,
        )
    }
)
"""The nine charts by the names of their files, in the order of the dashboard."""


def render_all(data: Aggregate, title: str) -> Iterator[tuple[str, bytes]]:
    """The dashboard, then each chart: names without `.png`, and PNG files."""
    yield DASHBOARD, dashboard(data, title)
    for name in PLOTS:
        yield name, chart(name, data)


def chart(name: str, data: Aggregate) -> bytes:
    """One chart as a PNG. Raises KeyError for a name that is none of `PLOTS`."""
    figure = Figure(figsize=(6.4, 4.2), dpi=_DPI, layout="constrained")
    _draw(figure.add_subplot(), name, data)
    return _png(figure)


def dashboard(data: Aggregate, title: str) -> bytes:
    """All nine charts, three by three, as a PNG."""
    layout = ConstrainedLayoutEngine(wspace=0.04, hspace=0.05)
    figure = Figure(figsize=(16.5, 12.2), dpi=_DPI, layout=layout)
    figure.suptitle(title, fontsize=15, fontweight="bold")
    for place, name in enumerate(PLOTS, 1):
        _draw(figure.add_subplot(3, 3, place), name, data)
    return _png(figure)


def _draw(ax: Axes, name: str, data: Aggregate) -> None:
    ax.grid(visible=True, color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    PLOTS[name](ax, data)
    if not data.count:
        ax.text(0.5, 0.5, "no samples", transform=ax.transAxes, ha="center", color=GREY)


def _bands(ax: Axes, curves: Floats, colour: str) -> None:
    """[M, T] as a median in its bands; a few curves as themselves."""
    count, steps = curves.shape
    if not count:
        return
    x = np.arange(steps)
    if count <= _FEW:
        for curve in curves:
            ax.plot(x, curve, color=colour, alpha=0.45, linewidth=1.0, **_marks(steps))
        _note(ax, f"{count} sample{'s' if count > 1 else ''}")
        return
    low, quarter, middle, three_quarters, high = np.quantile(curves, (0.1, 0.25, 0.5, 0.75, 0.9), axis=0)
    ax.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    ax.fill_between(x, quarter, three_quarters, color=colour, alpha=0.32, linewidth=0)
    ax.plot(x, middle, color=colour, linewidth=1.8, **_marks(steps))
    _note(ax, f"median, 50 % and 80 % of {count}")


def _step_axes(
    ax: Axes, data: Aggregate, title: str, ylabel: str, *, from_zero: bool = True, note: str | None = None
) -> None:
    _title(ax, title)
    ax.set(xlabel=_STEP_LABEL, ylabel=ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    ax.margins(x=0.01)
    if from_zero and data.count:
        ax.set_ylim(bottom=0)
    if note and data.count:
        _note(ax, note)


def _without_spikes(ax: Axes, curves: Floats) -> None:
    """Gives the axis to nearly all of [M, T]: one step of another scale would press the rest flat. Says what is cut."""
    if not curves.size:
        return
    steps = np.median(curves, axis=0)  # [T]
    low, high = np.quantile(steps, 0.05, method="higher"), np.quantile(steps, 0.95, method="lower")
    reach = 1.5 * max(float(high - low), 1e-12)
    outside = np.flatnonzero((steps < low - reach) | (steps > high + reach))
    if not len(outside):
        return
    ax.set_ylim(low - reach, high + reach)
    listed = ", ".join(f"step {step}: {steps[step]:.2g}" for step in outside[:3])
    ax.text(0.98, 0.03, f"off the scale: {listed}", transform=ax.transAxes, ha="right", fontsize=8.5, color=GREY)


def _histogram(ax: Axes, values: Floats, colour: str, unit: str) -> None:
    if not len(values):
        return
    bins = min(_MAX_BINS, max(5, int(np.sqrt(len(values)))))
    # Values that are nearly alike shall look alike: the axis is never narrower than a tenth of them.
    centre = float(values.max() + values.min()) / 2
    half = max(float(values.max() - values.min()) * 0.51, 0.05 * abs(centre), 1e-12)
    edges = np.linspace(centre - half, centre + half, bins + 1).tolist()
    ax.hist(values, bins=edges, color=colour, alpha=0.8, edgecolor="white", linewidth=0.5)
    middle = float(np.median(values))
    ax.axvline(middle, color=ORANGE, linewidth=1.6)
    _note(ax, f"median {middle:.3g} {unit}".rstrip())
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))


def _title(ax: Axes, text: str) -> None:
    ax.set_title(text, loc="left", fontsize=11.5, pad=16)


def _marks(steps: int) -> dict[str, Any]:
    """A few steps are points that a line connects."""
    return {"marker": "o", "markersize": 3.5} if steps <= 30 else {}


def _dot(count: int) -> float:
    return 7.0 if count <= 50 else 4.0 if count <= 500 else 2.0


def _note(ax: Axes, text: str) -> None:
    """What the marks are, between the title and the axes, where no mark can be."""
    ax.annotate(
        text, (0, 1), xycoords="axes fraction", xytext=(0, 3), textcoords="offset points",
        ha="left", va="bottom", fontsize=8.5, color=GREY,
    )  # fmt: skip


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", metadata={"Software": None})  # the same data, the same bytes
    return buffer.getvalue()
