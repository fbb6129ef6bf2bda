"""The picture of a summary: drops against a swept number, or bars, as the scenario's section `plot` asks for it.

Pictures of trainings (`policies.curves`) have their figure, axes and lines from here too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from emulator.looks import (
    BLACK,
    GREY,
    HATCHES,
    REFERENCE_COLOUR,
    Look,
    draw_line,
    least_height,
    looks_of,
    new_figure,
    style,
)
from emulator.picture import Level, axis_of, quantities
from emulator.plot_spec import Plot
from emulator.tables import UNITS, text_of, whole_file
from emulator.yaml_tree import number_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DROPS = "dropped jobs per queue and 50 ms\n(mean and 95 % interval)"
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
    drawing = _Drawing(groups, looks, plot, swept, levels or {})
    with style():
        figure = new_figure(title)
        if key is None:
            _draw_bars(figure, drawing)
        else:
            _draw_lines(figure, drawing, key)
    return figure


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
    figure.set_size_inches(width, max(least_height(len(drawing.looks)), 2.6 * rows + 1.0))
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat
    for place, panel in enumerate(panels):
        if place >= len(groups):
            panel.remove()
            continue
        panel.set_title(groups[place].name, fontsize="small")
        panel.grid(alpha=0.3)
        panel.tick_params(labelbottom=place + columns >= len(groups))
        for dispatcher, look in drawing.looks.items():
            shown = groups[place].rows["dispatcher"] == dispatcher
            _draw_means(panel, groups[place].rows[shown].sort_values(key), key, dispatcher, look, plot)
        if drawing.levels:
            _draw_reference(panel, drawing, groups[place].rows, key)
    values = sorted({value for group in groups for value in group.rows[key].tolist()})
    set_axes(figure, plot, values, 0.7 * width / columns, axis_label(key), DROPS)


def set_axes(figure: Figure, plot: Plot, values: list[float], width: float, x_label: str, y_label: str) -> None:
    """Give the lines of a figure their scale, limits, ticks and legend, and the labels that `plot` does not say.

    `values` are those along the horizontal axis in their order; `width` is that of the axes, in inches.
    """
    axes = figure.axes[0]
    axes.set_ylim(plot.bottom, plot.y_max)
    _set_x_axis(axes, plot, values, width)
    figure.supxlabel(plot.x_label or x_label, fontsize="medium")
    figure.supylabel(plot.y_label or y_label, fontsize="medium")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center")


def _draw_means(panel: Axes, rows: pd.DataFrame, key: str, dispatcher: str, look: Look, plot: Plot) -> None:
    means = rows["mean_drops"]
    if plot.interval == "band":
        panel.fill_between(rows[key], rows["ci_low"], rows["ci_high"], color=look.colour, alpha=0.2, linewidth=0)
    else:
        ends = [means - rows["ci_low"], rows["ci_high"] - means]
        panel.errorbar(rows[key], means, yerr=ends, fmt="none", ecolor=look.colour, capsize=3)
    draw_line(panel, rows[key], means, dispatcher, look)


def _draw_reference(panel: Axes, drawing: _Drawing, rows: pd.DataFrame, key: str) -> None:
    """Draw the number to compare with: straight across the panel, unless it changes along the axis."""
    rows = rows.drop_duplicates(key).sort_values(key)
    levels = drawing.levels_of(rows)
    places, transform = rows[key].tolist(), panel.transData
    if len(set(levels)) == 1:
        places, levels, transform = [0.0, 1.0], levels[:1] * 2, panel.get_yaxis_transform()
    values, lows, highs = zip(*levels, strict=True)
    style: dict[str, Any] = {"color": REFERENCE_COLOUR, "transform": transform}
    panel.fill_between(places, lows, highs, alpha=0.15, linewidth=0, **style)
    panel.plot(places, values, linewidth=1.2, label=drawing.reference_label, **style)


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
        half = 0.045 * len(texts[number])
        if places[number] + half < start:
            shown.insert(0, number)
            start = places[number] - half - 0.08
    return shown


def _draw_bars(figure: Figure, drawing: _Drawing) -> None:
    """Draw bars that lie, so that names of any length stand beside each other; columns if asked for."""
    groups, dispatchers = drawing.groups, list(drawing.looks)
    grouped, upright = len(groups) > 1, drawing.plot.kind == "columns"
    slots = len(dispatchers) + grouped  # room of a group
    length = max(2.5, (0.2 if grouped else 0.36) * slots * len(groups) + 1.2)
    figure.set_size_inches((max(6.0, 1.6 * length), 4.5) if upright else (8.0, length))
    axes = figure.subplots()
    for number, (dispatcher, look) in enumerate(drawing.looks.items()):
        _draw_bars_of(axes, drawing, dispatcher, look, [place * slots + number for place in range(len(groups))])
    for place, group in enumerate(groups if drawing.levels else []):
        reach = 0.5 if grouped else 0.75
        ends = (place * slots - reach, place * slots + len(dispatchers) - 1 + reach)
        level = drawing.levels_of(group.rows)[0]
        style: dict[str, Any] = {"color": REFERENCE_COLOUR}
        label = drawing.reference_label if place == 0 else None
        (axes.fill_between if upright else axes.fill_betweenx)(ends, level.low, level.high, alpha=0.15, lw=0, **style)
        line = (ends, [level.value] * 2)
        axes.plot(*(line if upright else line[::-1]), linewidth=1.2, label=label, **style)
    names, places = dispatchers, [float(number) for number in range(len(dispatchers))]
    if grouped:
        names = [group.name for group in groups]
        places = [place * slots + (len(dispatchers) - 1) / 2 for place in range(len(groups))]
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    shown = [name for name in handles if grouped or name not in dispatchers]
    if shown:
        figure.legend([handles[name] for name in shown], shown, loc="outside right center")
    ends = (-0.75, slots * len(groups) - grouped - 0.25)
    _label_bars(axes, drawing.plot, dict(zip(places, names, strict=True)), ends, 0.75 * figure.get_figwidth())


def _draw_bars_of(axes: Axes, drawing: _Drawing, dispatcher: str, look: Look, places: list[int]) -> None:
    """Draw a dispatcher's bar in each group, at its place."""
    import pandas as pd

    upright = drawing.plot.kind == "columns"
    draw: Any = axes.bar if upright else axes.barh
    rows = pd.concat(group.rows.assign(place=place) for group, place in zip(drawing.groups, places, strict=True))
    rows = rows[rows["dispatcher"] == dispatcher]
    means = rows["mean_drops"]
    draw(
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


def _label_bars(axes: Axes, plot: Plot, names: dict[float, str], ends: tuple[float, float], width: float) -> None:
    """Put names, by their places, along one axis, from one end to the other, and the drops along the other axis.

    `width` is that of the axes, in inches.
    """
    drops, others = plot.y_label or DROPS, plot.x_label or ""
    places, texts = list(names), list(names.values())
    if plot.kind == "columns":
        inches = [width * place / (ends[1] - ends[0]) for place in places]
        fits = len(_with_room(inches, texts)) == len(texts)
        axes.set_xticks(places, texts, rotation=0 if fits else 90)
        axes.set(xlim=ends, ylim=(plot.bottom, plot.y_max), xlabel=others, ylabel=drops)
    else:
        axes.set_yticks(places, texts)
        axes.set(ylim=ends[::-1], xlim=(plot.bottom, plot.y_max), xlabel=drops, ylabel=others)
    axes.grid(axis="y" if plot.kind == "columns" else "x", alpha=0.3)
    axes.set_axisbelow(True)
