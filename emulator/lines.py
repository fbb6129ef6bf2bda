"""Lines of a summary: drops against a swept number, in a panel for each combination of the other swept values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from emulator.axes import axis_label, mark_outside, set_axes
from emulator.drawing import Drawing
from emulator.looks import REFERENCE_COLOUR, Look, draw_line
from emulator.plot_spec import Plot

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


def draw_lines(figure: Figure, drawing: Drawing, key: str) -> None:
    """Draw a panel for each group of rows, with the swept number `key` as its horizontal axis."""
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


def _draw_reference(panel: Axes, drawing: Drawing, rows: pd.DataFrame, key: str) -> Line2D:
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
