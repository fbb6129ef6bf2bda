"""The picture of a summary: a measure against a swept number, or bars, as the scenario's section `plot` asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from emulator.report.axes import moving_along, named_value, others_than, write_figure
from emulator.report.bars import draw_bars
from emulator.report.drawing import Drawing, Group
from emulator.report.figure import Level, axis_of, usual_axes
from emulator.report.lines import draw_lines
from emulator.report.options import over_option, several_options
from emulator.report.pooling import pooled
from emulator.report.style import looks_of, new_figure, style
from emulator.results.measures import Measure, measure_named, names_of
from emulator.scenario.options import OPTION
from emulator.scenario.plot import Plot
from emulator.text import text_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

DROPS = measure_named("drops_per_queue").title
MOST_GROUPS = 12
"""Panels, or groups of bars, that one picture shows."""

_USUAL = Plot()


def summary_picture(summary: pd.DataFrame, swept: Sequence[str], path: Path, *picture: Any) -> None:
    """Write `summary_figure`, of which `picture` are the other arguments, as a PNG file; it has the same bytes."""
    write_figure(summary_figure(summary, swept, *picture), path)


def summary_figure(
    summary: pd.DataFrame,
    swept: Sequence[str],
    title: str,
    plot: Plot = _USUAL,
    levels: Mapping[tuple[Any, ...], Level] | None = None,
    first: str | None = None,
    options: Mapping[str, str] = MappingProxyType({}),
    zipped: Sequence[Sequence[str]] = (),
) -> Figure:
    """Return a figure of a measure, by default the drops, and its interval, with a look for each dispatcher.

    A swept number is the horizontal axis, and each combination of the other swept values has a panel; where no number
    is swept there are bars, in a group for each combination. `levels` holds the numbers to compare with, by the values
    of `swept`. Differences are from the dispatcher `first`, by default that of the first row. Dispatchers whose options
    sweep have lines of their own, unless such an option is the axis: then there is one for each of their families,
    which `options` has by their names. Keys that are `zipped` are one axis.
    """
    measure = measure_named(plot.y or "drops_per_queue")
    names = names_of(measure)
    shown, members = pooled(summary, swept, plot.together, names) if plot.together else (summary, {})
    varied = [key for key in swept if summary[key].nunique() > 1]
    values = {key: summary[key].dropna().tolist() for key in [*varied, *several_options(summary)]}
    key = axis_of(usual_axes(values, zipped), plot)
    if key is not None and key.startswith(OPTION):
        shown = over_option(shown, swept, key, options)
    along = moving_along(shown, key, zipped)
    others = others_than(key, varied, along)
    parts = shown.groupby(others, sort=False) if others else [((), shown)]
    groups = [Group("\n".join(_group_name(others, values, rows, zipped)), rows) for values, rows in parts]
    if len(groups) > MOST_GROUPS:
        title = f"{title} (first {MOST_GROUPS} of {len(groups)} combinations of {', '.join(others)})"
        groups = groups[:MOST_GROUPS]
    looks = looks_of(list(dict.fromkeys(shown["dispatcher"])))
    label = _label(shown[~shown["dispatcher"].isin(list(members))], plot, measure, is_cut=key is None)
    compared = first or summary["dispatcher"].iloc[0]
    drawing = Drawing(groups, looks, plot, swept, levels or {}, names, label, compared, members, along)
    with style():
        figure = new_figure(title)
        if key is None:
            draw_bars(figure, drawing)
        else:
            draw_lines(figure, drawing, key)
    return figure


def _group_name(
    keys: Sequence[str], values: Sequence[Any], rows: pd.DataFrame, zipped: Sequence[Sequence[str]]
) -> list[str]:
    """Return the lines that say which rows a group has: its keys, and the options that move along with them."""
    moved = [key for group in zipped if set(group) & set(keys) for key in group if key.startswith(OPTION)]
    options = {key: rows[key].dropna().unique().tolist() for key in moved}
    told = [named_value(key, some[0]) for key, some in options.items() if len(some) == 1]
    return [*map(named_value, keys, values), *told]


def _label(summary: pd.DataFrame, plot: Plot, measure: Measure, *, is_cut: bool) -> str:
    """Return what stands along the axis of a measure; `is_cut` says whether bars lose their foot where it begins."""
    said = []
    if measure.quantile is None and not measure.weight and summary["replications"].max() > 1:
        said.append("mean")
    if summary[list(names_of(measure)[1:3])].notna().any(axis=None):
        said.append("95 % interval")
    notes = [" and ".join(said)] if said and plot.y_label is None else []
    if is_cut and plot.is_broken:
        notes.append(f"axis begins at {text_of(plot.y_min)}")
    return (plot.y_label or measure.title) + (f"\n({'; '.join(notes)})" if notes else "")
