"""Axes of pictures: what they and their panels are called, their ticks and limits, and arrows at their ends."""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from emulator.machine.files import whole_file
from emulator.report.style import add_legend, fit_texts, style, text_width
from emulator.scenario.options import OPTION
from emulator.scenario.plot import Plot
from emulator.text import UNITS, text_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from numpy.typing import ArrayLike

SYMBOLS = {"delta_t": "Δt", "nodes": "N", "topology.nodes": "N"} | {
    f"topology.{key}": key for key in ("side", "order", "depth", "degree", "degrees")
}
"""What titles of panels call some keys of a scenario."""

NAMES = {"delta_t": "Δt"} | dict.fromkeys(["nodes", "topology.nodes"], "number of nodes N")
"""What axes call them."""

SIZES = {f"topology.{key}" for key in ("nodes", "side", "order", "depth", "dimension", "racks", "per_rack", "ports")}
"""Keys that the number of nodes follows from."""


def others_than(key: str | None, varied: Sequence[str], along: Collection[str] = ()) -> list[str]:
    """Return the keys that tell rows apart where the axis `key` does not, of those that take several values.

    Those `along` follow from the axis, as the number of nodes follows from some.
    """
    return [
        other for other in varied if other != key and other not in along and not (key == "nodes" and other in SIZES)
    ]


def moving_along(rows: pd.DataFrame, key: str | None, zipped: Sequence[Sequence[str]]) -> list[str]:
    """Return the keys that `zip` moves along with an axis, if they have one value at each place of it."""
    if key is None or key not in rows:
        return []
    sizes = SIZES if key == "nodes" else {key}
    moved = [other for group in zipped if sizes & set(group) for other in group if other not in sizes]
    return [other for other in moved if other in rows and rows.groupby(key)[other].nunique().max() <= 1]


def named_value(key: str, value: object) -> str:
    """Return what panels and legends call a value of a key: Δt = 5 ms."""
    unit = UNITS.get(key)
    return f"{SYMBOLS.get(key, key.removeprefix(OPTION))} = {text_of(value)}{f' {unit}' if unit else ''}"


def axis_label(key: str, along: Sequence[str] = ()) -> str:
    """Return what stands along an axis of a key: Δt (ms); and what moves along with it."""
    label = NAMES.get(key, key.removeprefix(OPTION)) + (f" ({UNITS[key]})" if key in UNITS else "")
    others = [NAMES.get(other, other.removeprefix(OPTION)) for other in along]
    return label + (f", and with it {' and '.join(others)}" if along else "")


def set_axes(
    figure: Figure, plot: Plot, values: list[float], lines: Sequence[Line2D], x_label: str, y_label: str
) -> None:
    """Give a figure its scale, limits, labels, a legend of `lines`, and ticks at `values`, which are in order."""
    axes = figure.axes[0]
    axes.set_ylim(*plot.ends)
    figure.supxlabel(plot.x_label or x_label, fontsize="medium")
    figure.supylabel(y_label, fontsize="medium")
    add_legend(figure, lines)
    fit_texts(figure)
    if values:
        _set_x_axis(axes, plot, values, axes.get_window_extent().width / figure.dpi)


def _set_x_axis(axes: Axes, plot: Plot, values: list[float], width: float) -> None:
    """Put ticks at the values of the horizontal axis, `width` inches long, if their numbers have room there."""
    log_x = plot.log_x
    if log_x is None:
        log_x = plot.kind != "learning_curve" and 0.0 < values[0] < values[-1] / 50.0
    if log_x:
        axes.set_xscale("log")
        values = [value for value in values if value > 0.0]
    texts = list(map(text_of, values))
    places = [math.log(value) for value in values] if log_x else values
    span = places[-1] - places[0]
    shown = with_room([width * (place - places[0]) / span if span else 0.0 for place in places], texts)
    # Of a logarithmic axis some values say more than powers of ten; of others it is all or none.
    if log_x or len(shown) == len(values):
        axes.xaxis.minorticks_off()
        axes.set_xticks([values[number] for number in shown], [texts[number] for number in shown])


def with_room(places: list[float], texts: list[str]) -> list[int]:
    """Return the numbers of the texts that stand beside each other, the last one among them; `places` in inches."""
    shown: list[int] = []
    start = math.inf
    for number in reversed(range(len(texts))):
        half = text_width(texts[number]) / 2.0
        if places[number] + half < start:
            shown.insert(0, number)
            start = places[number] - half - 0.08
    return shown


def mark_outside(
    axes: Axes,
    ends: tuple[float | None, float | None],
    places: Iterable[float],
    values: Iterable[float],
    colour: str,
    upright: bool = True,
    **style: Any,
) -> None:
    """Draw an arrow for each value beyond the `ends` of its axis, at that end; None is an end that holds all values."""
    from matplotlib.markers import CARETDOWN, CARETLEFT, CARETRIGHT, CARETUP

    points = list(zip(places, values, strict=True))
    arrows = (CARETDOWN, CARETUP) if upright else (CARETLEFT, CARETRIGHT)
    style |= {"markersize": 8, "color": colour, "markeredgecolor": "white", "linestyle": "none"}
    for end, is_beyond, arrow in zip(ends, (operator.lt, operator.gt), arrows, strict=True):
        outside = [place for place, value in points if end is not None and is_beyond(value, end)]
        if end is not None and outside:
            x, y = (outside, [end] * len(outside)) if upright else ([end] * len(outside), outside)
            axes.plot(x, y, marker=arrow, clip_on=False, zorder=3, **style)


def draw_interval(
    axes: Axes, x: ArrayLike, y: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str, kind: Literal["band", "bars"]
) -> None:
    """Draw what lies from `low` to `high`, NaN where nothing does; a band without neighbours, of no width, as a bar."""
    places, values, lows, highs = (np.asarray(numbers, dtype=np.float64) for numbers in (x, y, low, high))
    barred = ~np.isnan(lows)
    if kind == "band":
        axes.fill_between(places, lows, highs, color=colour, alpha=0.2, linewidth=0)
        is_known = np.pad(barred, 1)
        barred &= ~is_known[:-2] & ~is_known[2:]
    if barred.any():
        lengths = [(values - lows)[barred], (highs - values)[barred]]
        axes.errorbar(places[barred], values[barred], yerr=lengths, fmt="none", ecolor=colour, capsize=3)


def write_figure(figure: Figure, path: Path) -> None:
    """Write a PNG file; the same figure gives the same bytes."""
    with whole_file(path) as file, style():
        figure.savefig(file, format="png", metadata={"Software": None})
