"""The picture of a summary: drops against a swept number, or bars, as the scenario's section `plot` asks for it.

Pictures of trainings (`policies.curves`) have their figure, axes and lines from here too.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from emulator.looks import (
    BLACK,
    GREY,
    HATCHES,
    REFERENCE_COLOUR,
    Look,
    add_legend,
    draw_line,
    fit_texts,
    looks_of,
    new_figure,
    style,
    text_width,
    wrapped,
)
from emulator.picture import Level, axis_of, quantities
from emulator.plot_spec import Plot
from emulator.tables import UNITS, text_of, whole_file
from emulator.yaml_tree import number_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

DROPS = "dropped jobs per queue and 50 ms"
MOST_GROUPS = 12
"""Panels, or groups of bars, that one picture shows."""

SYMBOLS = {"delta_t": "Δt", "nodes": "N", "topology.nodes": "N"} | {
    f"topology.{key}": key for key in ("side", "order", "depth", "degree", "degrees")
}
"""What titles of panels call some keys of a scenario."""

SIZES = {"topology.nodes", "topology.side", "topology.order", "topology.depth"}
"""Keys that the number of nodes follows from."""

_USUAL = Plot()


class Group(NamedTuple):
    """The rows of a summary that share a panel, or a group of bars."""

    name: str
    rows: pd.DataFrame


class _Drawing(NamedTuple):
    """What is drawn, and how."""

    groups: list[Group]
    looks: dict[str, Look]
    plot: Plot
    swept: Sequence[str]
    levels: Mapping[tuple[Any, ...], Level]
    drops: str
    """What stands along the axis of the drops."""

    def levels_of(self, rows: pd.DataFrame) -> list[Level]:
        """Return the number to compare with at each row of a summary."""
        return [self.levels[tuple(values)] for values in rows[list(self.swept)].to_numpy().tolist()]

    @property
    def reference_label(self) -> str:
        """What the legend calls the number to compare with."""
        assert self.plot.reference is not None
        return self.plot.reference.label or self.plot.reference.key


def summary_picture(
    summary: pd.DataFrame,
    swept: Sequence[str],
    path: Path,
    title: str,
    plot: Plot = _USUAL,
    levels: Mapping[tuple[Any, ...], Level] | None = None,
) -> None:
    """Write `summary_figure` as a PNG file; the same summary gives the same bytes."""
    write_figure(summary_figure(summary, swept, title, plot, levels), path)


def summary_figure(
    summary: pd.DataFrame,
    swept: Sequence[str],
    title: str,
    plot: Plot = _USUAL,
    levels: Mapping[tuple[Any, ...], Level] | None = None,
) -> Figure:
    """Return a figure of `mean_drops` and its interval, with a look for each dispatcher.

    A swept number (`delta_t` before others, or what `plot` says) is the horizontal axis, and each combination of the
    other swept values has a panel. Where no number is swept there are bars, in a group for each combination. `levels`
    holds the numbers to compare with, by the values of `swept`.
    """
    varied = [key for key in swept if summary[key].nunique() > 1]
    key = axis_of(quantities({key: summary[key].tolist() for key in varied}), plot)
    others = others_than(key, varied)
    groups = [Group("", summary)]
    if others:
        groups = [
            Group("\n".join(map(named_value, others, values)), rows)
            for values, rows in summary.groupby(others, sort=False)
        ]
    if len(groups) > MOST_GROUPS:
        title = f"{title} (first {MOST_GROUPS} of {len(groups)} combinations of {', '.join(others)})"
        groups = groups[:MOST_GROUPS]
    looks = looks_of(list(dict.fromkeys(summary["dispatcher"])))
    drawing = _Drawing(groups, looks, plot, swept, levels or {}, _drops_label(summary, plot, is_cut=key is None))
    with style():
        figure = new_figure(title)
        if key is None:
            _draw_bars(figure, drawing)
        else:
            _draw_lines(figure, drawing, key)
    return figure


def _drops_label(summary: pd.DataFrame, plot: Plot, is_cut: bool) -> str:
    """Return what stands along the axis of the drops; `is_cut` says whether bars lose their foot where it begins."""
    notes = []
    if plot.y_label is None and summary["replications"].max() > 1:
        has_interval = summary[["ci_low", "ci_high"]].notna().any(axis=None)
        notes = ["mean and 95 % interval" if has_interval else "mean"]
    if is_cut and _is_broken(plot):
        notes.append(f"axis begins at {text_of(plot.y_min)}")
    return (plot.y_label or DROPS) + (f"\n({'; '.join(notes)})" if notes else "")


def _is_broken(plot: Plot) -> bool:
    """Return whether the foot of bars, 0, lies below the axis."""
    return plot.y_min is not None and plot.y_min > 0.0


def others_than(key: str | None, varied: Sequence[str]) -> list[str]:
    """Return the keys that tell rows apart where the axis `key` does not, of those that take several values."""
    return [other for other in varied if other != key and not (key == "nodes" and other in SIZES)]


def write_figure(figure: Figure, path: Path) -> None:
    """Write a PNG file; the same figure gives the same bytes."""
    with whole_file(path) as file, style():
        figure.savefig(file, format="png", metadata={"Software": None})


def named_value(key: str, value: object) -> str:
    """Return what panels and legends call a value of a key: Δt = 5 ms."""
    unit = UNITS.get(key)
    return f"{SYMBOLS.get(key, key)} = {text_of(value)}{f' {unit}' if unit else ''}"


def axis_label(key: str) -> str:
    """Return what stands along an axis of a key: Δt (ms)."""
    unit = UNITS.get(key)
    names = {"delta_t": "Δt", "nodes": "number of nodes N", "topology.nodes": "number of nodes N"}
    return f"{names.get(key, key)} ({unit})" if unit else names.get(key, key)


def _draw_lines(figure: Figure, drawing: _Drawing, key: str) -> None:
    groups, plot = drawing.groups, drawing.plot
    columns = math.ceil(math.sqrt(len(groups)))
    rows = math.ceil(len(groups) / columns)
    width = max(8.0, 2.8 * columns + 2.0)
    figure.set_size_inches(width, max(4.5, 2.6 * rows + 1.0))
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat
    lines: list[Line2D] = []
    for place, panel in enumerate(panels):
        if place >= len(groups):
            panel.remove()
            continue
        panel.set_title(groups[place].name, fontsize="small")
        panel.grid(alpha=0.3)
        panel.tick_params(labelbottom=place + columns >= len(groups))
        in_panel = []
        for dispatcher, look in drawing.looks.items():
            rows_shown = groups[place].rows[groups[place].rows["dispatcher"] == dispatcher].sort_values(key)
            in_panel.append(_draw_means(panel, rows_shown, key, dispatcher, look, plot))
        if drawing.levels:
            in_panel.append(_draw_reference(panel, drawing, groups[place].rows, key))
        lines = lines or in_panel
    values = sorted({value for group in groups for value in group.rows[key].tolist()})
    set_axes(figure, plot, values, lines, axis_label(key), drawing.drops)


def set_axes(
    figure: Figure, plot: Plot, values: list[float], lines: Sequence[Line2D], x_label: str, y_label: str
) -> None:
    """Give a figure its scale, limits, labels and ticks, and a legend that names `lines`.

    `values` are those along the horizontal axis in their order.
    """
    axes = figure.axes[0]
    axes.set_ylim(plot.bottom, plot.y_max)
    figure.supxlabel(plot.x_label or x_label, fontsize="medium")
    figure.supylabel(y_label, fontsize="medium")
    add_legend(figure, lines)
    fit_texts(figure)
    _set_x_axis(axes, plot, values, axes.get_window_extent().width / figure.dpi)


def _draw_means(panel: Axes, rows: pd.DataFrame, key: str, dispatcher: str, look: Look, plot: Plot) -> Line2D:
    means = rows["mean_drops"]
    if plot.interval == "band":
        panel.fill_between(rows[key], rows["ci_low"], rows["ci_high"], color=look.colour, alpha=0.2, linewidth=0)
    barred = rows[_without_neighbours(rows["ci_low"]) if plot.interval == "band" else rows["ci_low"].notna()]
    if len(barred):
        ends = [barred["mean_drops"] - barred["ci_low"], barred["ci_high"] - barred["mean_drops"]]
        panel.errorbar(barred[key], barred["mean_drops"], yerr=ends, fmt="none", ecolor=look.colour, capsize=3)
    mark_outside(panel, plot, rows[key], means, look.colour)
    return draw_line(panel, rows[key], means, dispatcher, look)


def _without_neighbours(ends: pd.Series[float]) -> pd.Series[bool]:
    """Return which intervals stand alone, where a band has no width."""
    known = ends.notna()
    return known & ~known.shift(1, fill_value=False) & ~known.shift(-1, fill_value=False)


def mark_outside(
    axes: Axes,
    plot: Plot,
    places: Iterable[float],
    values: Iterable[float],
    colour: str,
    upright: bool = True,
    **style: Any,
) -> None:
    """Draw an arrow where the axis of the drops ends for each value that `plot` leaves beyond that end."""
    from matplotlib.markers import CARETDOWN, CARETLEFT, CARETRIGHT, CARETUP

    points = list(zip(places, values, strict=True))
    for end, is_beyond, arrow in (
        (plot.bottom, operator.lt, CARETDOWN if upright else CARETLEFT),
        (plot.y_max, operator.gt, CARETUP if upright else CARETRIGHT),
    ):
        outside = [(place, end) for place, value in points if end is not None and is_beyond(value, end)]
        if outside:
            x, y = zip(*(point if upright else point[::-1] for point in outside), strict=True)
            style |= {"marker": arrow, "markersize": 8, "color": colour, "markeredgecolor": "white"}
            axes.plot(x, y, linestyle="none", clip_on=False, zorder=3, **style)


def _draw_reference(panel: Axes, drawing: _Drawing, rows: pd.DataFrame, key: str) -> Line2D:
    """Draw the number to compare with: straight across the panel, unless it changes along the axis."""
    rows = rows.drop_duplicates(key).sort_values(key)
    levels = drawing.levels_of(rows)
    places, transform = rows[key].tolist(), panel.transData
    if len(set(levels)) == 1:
        places, levels, transform = [0.0, 1.0], levels[:1] * 2, panel.get_yaxis_transform()
    values, lows, highs = zip(*levels, strict=True)
    style: dict[str, Any] = {"color": REFERENCE_COLOUR, "transform": transform}
    panel.fill_between(places, lows, highs, alpha=0.15, linewidth=0, **style)
    mark_outside(panel, drawing.plot, places, values, REFERENCE_COLOUR, transform=transform)
    (line,) = panel.plot(places, values, linewidth=1.2, label=drawing.reference_label, **style)
    return line


def _set_x_axis(axes: Axes, plot: Plot, values: list[float], width: float) -> None:
    """Put ticks at the values of the horizontal axis, `width` inches long, if their numbers have room there."""
    log_x = plot.log_x
    if log_x is None:
        log_x = plot.kind != "learning_curve" and 0.0 < values[0] < values[-1] / 50.0
    if log_x:
        axes.set_xscale("log")
        values = [value for value in values if value > 0.0]
    texts = list(map(number_text, values))
    places = [math.log(value) for value in values] if log_x else values
    span = places[-1] - places[0]
    shown = _with_room([width * (place - places[0]) / span if span else 0.0 for place in places], texts)
    # Of a logarithmic axis some values say more than powers of ten; of others it is all or none.
    if log_x or len(shown) == len(values):
        axes.xaxis.minorticks_off()
        axes.set_xticks([values[number] for number in shown], [texts[number] for number in shown])


def _with_room(places: list[float], texts: list[str]) -> list[int]:
    """Return the numbers of the texts that stand beside each other, the last one among them; `places` in inches."""
    shown: list[int] = []
    start = math.inf
    for number in reversed(range(len(texts))):
        half = text_width(texts[number]) / 2.0
        if places[number] + half < start:
            shown.insert(0, number)
            start = places[number] - half - 0.08
    return shown


def _draw_bars(figure: Figure, drawing: _Drawing) -> None:
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
        _draw_bars_of(axes, drawing, dispatcher, look, [place * slots + number for place in range(len(groups))])
        for number, (dispatcher, look) in enumerate(drawing.looks.items())
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


def _draw_bars_of(axes: Axes, drawing: _Drawing, dispatcher: str, look: Look, places: list[int]) -> BarContainer:
    """Draw a dispatcher's bar in each group, at its place."""
    import pandas as pd

    upright = drawing.plot.kind == "columns"
    draw: Any = axes.bar if upright else axes.barh
    rows = pd.concat(group.rows.assign(place=place) for group, place in zip(drawing.groups, places, strict=True))
    rows = rows[rows["dispatcher"] == dispatcher]
    means = rows["mean_drops"]
    mark_outside(axes, drawing.plot, rows["place"], means, look.colour, upright)
    return draw(
        rows["place"],
        means,
        **{"yerr" if upright else "xerr": [means - rows["ci_low"], rows["ci_high"] - means]},
        color=look.colour,
        hatch=HATCHES[look.dash],
        edgecolor="white",
        ecolor=GREY if look.colour == BLACK else BLACK,
        capsize=3,
        label=dispatcher,
    )


def _draw_level(axes: Axes, drawing: _Drawing, group: Group, ends: tuple[float, float]) -> Line2D:
    """Draw the number that a group of bars compares with, from one of its ends to the other."""
    upright = drawing.plot.kind == "columns"
    level = drawing.levels_of(group.rows)[0]
    fill: Any = axes.fill_between if upright else axes.fill_betweenx
    fill(ends, level.low, level.high, alpha=0.15, linewidth=0, color=REFERENCE_COLOUR)
    values = (level.value, level.value)
    mark_outside(axes, drawing.plot, ends, values, REFERENCE_COLOUR, upright)
    points = (ends, values) if upright else (values, ends)
    (line,) = axes.plot(*points, linewidth=1.2, label=drawing.reference_label, color=REFERENCE_COLOUR)
    return line


def _label_bars(figure: Figure, drawing: _Drawing, names: dict[float, str], ends: tuple[float, float]) -> None:
    """Put names, by their places, along one axis, from one end to the other, and the drops along the other axis."""
    (axes,), plot = figure.axes, drawing.plot
    upright, places, texts = plot.kind == "columns", list(names), list(names.values())
    along, across = (axes.xaxis, axes.yaxis) if upright else (axes.yaxis, axes.xaxis)
    along.set_ticks(places, texts)
    along.set_label_text(plot.x_label or "")
    across.set_label_text(drawing.drops)
    if upright:
        axes.set(xlim=ends, ylim=(plot.bottom, plot.y_max))
    else:
        axes.set(ylim=ends[::-1], xlim=(plot.bottom, plot.y_max))
    if _is_broken(plot):
        _break_axis(axes, upright)
    across.grid(alpha=0.3)
    axes.set_axisbelow(True)
    if upright:
        _turn_names(axes, texts, [place / (ends[1] - ends[0]) for place in places])
    fit_texts(figure)


def _turn_names(axes: Axes, names: list[str], places: list[float]) -> None:
    """Turn the names of columns that have no room beside each other; `places` are shares of the axis."""
    figure: Any = axes.figure
    figure.draw_without_rendering()
    width = axes.get_window_extent().width / figure.dpi
    if len(_with_room([width * place for place in places], names)) < len(names):
        axes.tick_params("x", rotation=90)
        figure.set_figheight(figure.get_figheight() + max(0.0, max(map(text_width, names)) - 1.2))


def _break_axis(axes: Axes, upright: bool) -> None:
    """Strike the axis of the drops through where it begins, as the lengths of bars no longer show their ratios."""
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
