"""Lines of a summary: a measure against a swept number, in a panel for each combination of the other swept values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emulator.report.axes import axis_label, draw_interval, mark_outside, set_axes
from emulator.report.drawing import Drawing
from emulator.report.style import GREY, REFERENCE_COLOUR, draw_line
from emulator.text import text_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


def draw_lines(figure: Figure, drawing: Drawing, key: str) -> None:
    """Draw a panel for each group over the swept number `key`, and below it its differences, if they are asked for."""
    within = drawing.plot.differences_within
    uppers, *lowers = _panels(figure, len(drawing.groups), [1.0] if within is None else [1.0, 0.4])
    lines: list[Line2D] = []
    columns = drawing.names[:3]
    for group, panel in zip(drawing.groups, uppers, strict=True):
        panel.set_title(group.name, fontsize="small")
        in_panel = [_draw_line(panel, drawing, name, group.rows, key, columns) for name in drawing.looks]
        if drawing.levels:
            in_panel.append(_draw_reference(panel, drawing, group.rows, key))
        lines = lines or in_panel
    if within is not None:
        _draw_differences(lowers[0], drawing, key, within)
    values = sorted({value for group in drawing.groups for value in group.rows[key].tolist()})
    set_axes(figure, drawing.plot, values, lines, axis_label(key, drawing.along), drawing.label)


def _panels(figure: Figure, count: int, heights: list[float]) -> list[list[Axes]]:
    """Return so many panels of each height, in a grid that is about square; those of one height share their y axis."""
    columns = math.ceil(math.sqrt(count))
    rows, height = math.ceil(count / columns), sum(heights)
    figure.set_size_inches(max(8.0, 2.8 * columns + 2.0), max(3.5, 2.6 * rows) * height + 1.0)
    grid = figure.subplots(
        rows * len(heights), columns, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights * rows}
    )
    panels: list[list[Axes]] = []
    for number in range(len(heights)):
        alike = list(grid[number :: len(heights)].flat)
        for panel in alike[count:]:
            panel.remove()
        panels.append(alike[:count])
        for place, panel in enumerate(alike[:count]):
            if place:
                panel.sharey(alike[0])
            panel.label_outer()
            panel.tick_params(labelbottom=number == len(heights) - 1 and place + columns >= count)
            panel.grid(alpha=0.3)
    return panels


def _draw_differences(panels: Sequence[Axes], drawing: Drawing, key: str, within: float) -> None:
    """Draw the differences from the first dispatcher, from minus `within` to `within`."""
    for group, panel in zip(drawing.groups, panels, strict=True):
        panel.axhline(0.0, color=GREY, linewidth=1.0)
        for dispatcher in drawing.looks:
            if dispatcher != drawing.first:
                _draw_line(panel, drawing, dispatcher, group.rows, key, drawing.names[3:6], (-within, within))
        spec = panel.get_subplotspec()
        if spec is not None and spec.is_first_col():
            panel.set_ylabel(f"less {drawing.first}", fontsize="small")
    number = text_of(within)
    panels[0].set_ylim(-within, within)
    panels[0].set_yticks([-within, 0.0, within], [f"−{number}", "0", number])


def _draw_line(
    panel: Axes,
    drawing: Drawing,
    dispatcher: str,
    rows: pd.DataFrame,
    key: str,
    columns: Sequence[str],
    ends: tuple[float | None, float | None] | None = None,
) -> Line2D:
    """Draw a dispatcher's line, and what lies around it: `columns` are those of its value and the ends of that."""
    look, interval, label = drawing.looks[dispatcher], drawing.plot.interval, dispatcher
    if dispatcher in drawing.members:
        interval, label = "band", f"{dispatcher}: mean and range of {drawing.members[dispatcher]}"
    rows = rows[rows["dispatcher"] == dispatcher].sort_values(key)
    x, value, low, high = (rows[column].tolist() for column in (key, *columns))
    draw_interval(panel, x, value, low, high, look.colour, interval)
    mark_outside(panel, ends or drawing.plot.ends, x, value, look.colour)
    return draw_line(panel, x, value, label, look)


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
    mark_outside(panel, drawing.plot.ends, places, values, REFERENCE_COLOUR, transform=transform)
    (line,) = panel.plot(places, values, linewidth=1.2, label=drawing.reference_label, **style)
    return line
