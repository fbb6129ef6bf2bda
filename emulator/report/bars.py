"""Bars of a summary, which lie or stand: a group for each combination of swept values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emulator.report.axes import mark_outside, with_room
from emulator.report.drawing import Drawing, Group
from emulator.report.style import BLACK, GREY, HATCHES, REFERENCE_COLOUR, add_legend, fit_texts, text_width, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


def draw_bars(figure: Figure, drawing: Drawing) -> None:
    """Draw bars that lie, so that names of any length stand beside each other; columns if asked for."""
    groups, dispatchers = drawing.groups, list(drawing.looks)
    grouped, upright = len(groups) > 1, drawing.plot.kind == "columns"
    slots = len(dispatchers) + grouped  # room of a group
    names = [wrapped(name) for name in ([group.name for group in groups] if grouped else dispatchers)]
    lines = max(name.count("\n") + 1 for name in names)
    length = max(2.5, max(0.2 * slots if grouped else 0.36, 0.2 * lines) * len(names) + 1.2)
    figure.set_size_inches((max(6.0, 1.6 * length), 4.5) if upright else (8.0, length))
    axes = figure.subplots()
    bars = [
        _draw_bars_of(axes, drawing, dispatcher, range(number, slots * len(groups), slots))
        for number, dispatcher in enumerate(dispatchers)
    ]
    reach = 0.5 if grouped else 0.75
    levels = [
        _draw_level(axes, drawing, group, (place * slots - reach, place * slots + len(dispatchers) - 1 + reach))
        for place, group in enumerate(groups if drawing.levels else [])
    ]
    places = [float(number) for number in range(len(dispatchers))]
    if grouped:
        places = [place * slots + (len(dispatchers) - 1) / 2 for place in range(len(groups))]
    if levels or grouped:
        add_legend(figure, [*levels[:1], *(bars if grouped else [])])
    ends = (-0.75, slots * len(groups) - grouped - 0.25)
    _label_bars(figure, drawing, dict(zip(places, names, strict=True)), ends)


def _draw_bars_of(axes: Axes, drawing: Drawing, dispatcher: str, places: Sequence[int]) -> BarContainer:
    """Draw a dispatcher's bar in each group, at its place."""
    import pandas as pd

    upright, look = drawing.plot.kind == "columns", drawing.looks[dispatcher]
    draw: Any = axes.bar if upright else axes.barh
    rows = pd.concat(group.rows.assign(place=place) for group, place in zip(drawing.groups, places, strict=True))
    rows = rows[rows["dispatcher"] == dispatcher]
    names = drawing.names
    means = rows[names.value]
    mark_outside(axes, drawing.plot.ends, rows["place"], means, look.colour, upright)
    return draw(
        rows["place"],
        means,
        **{"yerr" if upright else "xerr": [means - rows[names.low], rows[names.high] - means]},
        color=look.colour,
        hatch=HATCHES[look.dash],
        edgecolor="white",
        ecolor=GREY if look.colour == BLACK else BLACK,
        capsize=3,
        label=dispatcher,
    )


def _draw_level(axes: Axes, drawing: Drawing, group: Group, ends: tuple[float, float]) -> Line2D:
    """Draw the number that a group of bars compares with, from one of its ends to the other."""
    upright = drawing.plot.kind == "columns"
    level, low, high = drawing.levels_of(group.rows)[0]
    fill: Any = axes.fill_between if upright else axes.fill_betweenx
    fill(ends, low, high, alpha=0.15, linewidth=0, color=REFERENCE_COLOUR)
    values = (level, level)
    mark_outside(axes, drawing.plot.ends, ends, values, REFERENCE_COLOUR, upright)
    points = (ends, values) if upright else (values, ends)
    (line,) = axes.plot(*points, linewidth=1.2, label=drawing.reference_label, color=REFERENCE_COLOUR)
    return line


def _label_bars(figure: Figure, drawing: Drawing, names: dict[float, str], ends: tuple[float, float]) -> None:
    """Put names, by their places, along one axis, from one end to the other, and what is shown along the other axis."""
    (axes,), plot = figure.axes, drawing.plot
    upright = plot.kind == "columns"
    along, across = (axes.xaxis, axes.yaxis) if upright else (axes.yaxis, axes.xaxis)
    along.set_ticks(list(names), list(names.values()))
    along.set_label_text(plot.x_label or "")
    across.set_label_text(drawing.label)
    if upright:
        axes.set(xlim=ends, ylim=plot.ends)
    else:
        axes.set(ylim=ends[::-1], xlim=plot.ends)
    if plot.is_broken:
        _break_axis(axes, upright)
    across.grid(alpha=0.3)
    axes.set_axisbelow(True)
    if upright:
        _turn_names(axes, names, ends[1] - ends[0])
    fit_texts(figure)


def _turn_names(axes: Axes, names: dict[float, str], length: float) -> None:
    """Turn the names of columns that have no room beside each other on an axis of so many units."""
    figure: Any = axes.figure
    figure.draw_without_rendering()
    width = axes.get_window_extent().width / figure.dpi
    if len(with_room([width * (place / length) for place in names], list(names.values()))) < len(names):
        axes.tick_params("x", rotation=90)
        figure.set_figheight(figure.get_figheight() + max(0.0, max(map(text_width, names.values())) - 1.2))


def _break_axis(axes: Axes, upright: bool) -> None:
    """Strike the axis of what is shown through where it begins, as the lengths of bars no longer show their ratios."""
    axes.text(
        *((0.0, 0.03) if upright else (0.015, 0.0)),
        "//",
        rotation=90 if upright else 0,
        ha="center",
        va="center",
        fontsize="small",
        transform=axes.transAxes,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.0},
    )
