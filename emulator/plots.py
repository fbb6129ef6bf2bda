"""The picture of a summary: drops against a swept number with interval bands, otherwise bars."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from emulator.tables import UNITS, text_of, whole_file

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DROPS = "dropped jobs per queue and 50 ms\n(mean and 95 % interval)"
MOST_GROUPS = 12
"""Panels, or groups of bars, that one picture shows."""

# Okabe and Ito's palette, which the colour-blind can tell apart, without its yellow, too faint on white, and
# with grey for its black, which would hide error bars. Once it is used up, dashes and hatches tell apart.
_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#999999"]
_MARKERS = "osD^vP*X<>"
_DASHES = ["-", "--", ":"]
_HATCHES = ["", "//", ".."]


class Group(NamedTuple):
    """The rows of a summary that share a panel, or a group of bars."""

    name: str
    rows: pd.DataFrame


def summary_picture(summary: pd.DataFrame, swept: Sequence[str], path: Path, title: str) -> None:
    """Write `summary_figure` as a PNG file; the same summary gives the same bytes."""
    with whole_file(path) as file, _style():
        summary_figure(summary, swept, title).savefig(file, format="png", metadata={"Software": None})


def summary_figure(summary: pd.DataFrame, swept: Sequence[str], title: str) -> Figure:
    """Return a figure of `mean_drops` and its interval, with a colour for each dispatcher.

    A swept number (`delta_t` before others) is the horizontal axis, and each combination of the other swept
    values has a panel. Where no number is swept there are bars, in a group for each combination.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    varied = [key for key in swept if summary[key].nunique() > 1]
    axis_key = _axis_key(summary, varied)
    others = [key for key in varied if key != axis_key]
    groups = [Group("", summary)]
    if others:
        groups = [
            Group(
                "\n".join(f"{key} = {text_of(value)}" for key, value in zip(others, values, strict=True)),
                rows,
            )
            for values, rows in summary.groupby(others, sort=False)
        ]
    if len(groups) > MOST_GROUPS:
        title = f"{title} (first {MOST_GROUPS} of {len(groups)} combinations of {', '.join(others)})"
        groups = groups[:MOST_GROUPS]
    dispatchers = list(dict.fromkeys(summary["dispatcher"]))
    with _style():
        # Not pyplot: it would choose a backend for the whole process and keep the figure alive.
        figure = Figure(layout="constrained", dpi=150)
        FigureCanvasAgg(figure)
        if axis_key is None:
            _draw_bars(figure, groups, dispatchers)
        else:
            _draw_lines(figure, groups, dispatchers, axis_key)
        figure.suptitle(textwrap.fill(title, 80))
    return figure


def _style() -> AbstractContextManager[None]:
    """Return a context with matplotlib's own defaults, whatever the user's are."""
    import matplotlib.style

    # Names may hold dollar signs.
    return matplotlib.style.context(["default", {"text.parse_math": False}])


def _axis_key(summary: pd.DataFrame, varied: Sequence[str]) -> str | None:
    numeric = [key for key in varied if summary[key].dtype.kind in "iuf"]
    return "delta_t" if "delta_t" in numeric else next(iter(numeric), None)


def _draw_lines(figure: Figure, groups: list[Group], dispatchers: list[str], key: str) -> None:
    columns = math.ceil(math.sqrt(len(groups)))
    rows = math.ceil(len(groups) / columns)
    height = max(4.5, 2.6 * rows + 1.0, 0.24 * len(dispatchers) + 1.0)
    figure.set_size_inches(max(8.0, 2.8 * columns + 2.0), height)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat
    for place, panel in enumerate(panels):
        if place >= len(groups):
            panel.remove()
            continue
        panel.set_title(groups[place].name, fontsize="small")
        panel.grid(alpha=0.3)
        panel.tick_params(labelbottom=place + columns >= len(groups))
        for number, dispatcher in enumerate(dispatchers):
            shown = groups[place].rows["dispatcher"] == dispatcher
            _draw_line(panel, groups[place].rows[shown], key, number, dispatcher)
    axes = figure.axes[0]
    axes.set_ylim(bottom=0.0)
    values = groups[0].rows[key]
    if 0.0 < values.min() < values.max() / 50.0:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, place: text_of(value))
    unit = UNITS.get(key)
    figure.supxlabel(f"{key} ({unit})" if unit else key, fontsize="medium")
    figure.supylabel(DROPS, fontsize="medium")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center")


def _draw_line(panel: Axes, rows: pd.DataFrame, key: str, number: int, dispatcher: str) -> None:
    rows = rows.sort_values(key)
    colour = _COLOURS[number % len(_COLOURS)]
    panel.fill_between(rows[key], rows["ci_low"], rows["ci_high"], color=colour, alpha=0.2, linewidth=0)
    panel.plot(
        rows[key],
        rows["mean_drops"],
        color=colour,
        marker=_MARKERS[number % len(_MARKERS)],
        linestyle=_DASHES[number // len(_COLOURS) % len(_DASHES)],
        label=dispatcher,
    )


def _draw_bars(figure: Figure, groups: list[Group], dispatchers: list[str]) -> None:
    """Draw horizontal bars, so that names of any length stand beside each other."""
    import pandas as pd

    grouped = len(groups) > 1
    slots = len(dispatchers) + grouped
    figure.set_size_inches(8.0, max(2.5, (0.2 if grouped else 0.36) * slots * len(groups) + 1.2))
    axes = figure.subplots()
    table = pd.concat(group.rows.assign(place=place * slots) for place, group in enumerate(groups))
    for number, dispatcher in enumerate(dispatchers):
        rows = table[table["dispatcher"] == dispatcher]
        means = rows["mean_drops"]
        axes.barh(
            rows["place"] + number,
            means,
            xerr=[means - rows["ci_low"], rows["ci_high"] - means],
            color=_COLOURS[number % len(_COLOURS)],
            hatch=_HATCHES[number // len(_COLOURS) % len(_HATCHES)],
            edgecolor="white",
            capsize=3,
            label=dispatcher,
        )
    if grouped:
        middle = (len(dispatchers) - 1) / 2
        axes.set_yticks([place * slots + middle for place in range(len(groups))], [group.name for group in groups])
        figure.legend(loc="outside right center")
    else:
        axes.set_yticks(range(len(dispatchers)), dispatchers)
    axes.set_ylim(slots * len(groups) - grouped - 0.25, -0.75)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.set_xlim(left=0.0)
    axes.set_xlabel(DROPS)
