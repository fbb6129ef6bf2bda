"""Pictures of trainings, from the lines of their logs: returns as they learn, or how long they take."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from emulator.report.axes import (
    axis_label,
    draw_interval,
    mark_outside,
    named_value,
    others_than,
    set_axes,
    write_figure,
)
from emulator.report.figure import axis_of, quantities
from emulator.report.style import Look, draw_line, looks_of, new_figure, style
from emulator.text import text_of
from policies.log import COLUMNS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from emulator.scenario.plot import Plot

CONVERGED = "converged_seconds"
"""Seconds until a training had converged, in each of its rows; null, or no such column, where nothing tells."""

ALGORITHM = "training.algorithm"
"""The key that the column `algorithm` repeats."""

NO_CURVES = {"algorithm", "nodes", ALGORITHM, CONVERGED, *COLUMNS}
"""Columns that do not tell curves apart, or, as the algorithm, in a way of their own."""

SEED = "training.seed"
"""The swept key that tells trainings of one curve apart."""

RETURN = "return (minus drops per queue and 50 ms)"
WHOLE, CONVERGENCE = "training time (s)", "training time until convergence (s)"
AGENTS = "number of agents N"
X_LABELS = {"decisions": "decisions", "iteration": "iteration", "seconds": WHOLE} | {
    "nodes": AGENTS,
    "topology.nodes": AGENTS,
}

MARKERS = 12
"""About how many markers a learning curve has."""


class Curve(NamedTuple):
    """One line of a picture: what the legend calls it, and its points."""

    name: str
    look: Look
    x: list[float]
    y: list[float]
    low: list[float] | None = None
    high: list[float] | None = None
    """The least and the greatest return, or time, of several seeds, whose mean is y."""


def draw(path: Path, rows: pd.DataFrame, plot: Plot, title: str) -> None:
    """Write `training_figure` as a PNG file, whole or not at all. Raises `InputError`."""
    write_figure(training_figure(rows, plot, title), path)


def training_figure(rows: pd.DataFrame, plot: Plot, title: str) -> Figure:
    """Return a figure with a line for each combination of swept values, but for those along the horizontal axis.

    Seeds of one training are one line, with a band from the least to the greatest. `rows` are those of
    `policies.table.read_trainings`, at least one.
    """
    varied = [key for key in rows.columns if key not in NO_CURVES and rows[key].nunique() > 1]
    axis = axis_of(quantities({key: rows[key].unique().tolist() for key in varied}), plot)
    assert axis is not None
    parts = _parts(rows, [key for key in others_than(axis, varied) if key != SEED])
    if plot.kind == "learning_curve":
        curves, y_label = _returns(parts, axis), RETURN
    else:
        curves, y_label = _durations(parts, axis), CONVERGENCE if _tell_convergence(parts) else WHOLE
    with style():
        figure = new_figure(title)
        lines = _draw_curves(figure, curves, plot)
        values = sorted({value for curve in curves for value in curve.x})
        y_label = plot.y_label or y_label + _seeds_note(parts)
        set_axes(figure, plot, values, lines, X_LABELS.get(axis) or axis_label(axis), y_label)
    return figure


def _draw_curves(figure: Figure, curves: Sequence[Curve], plot: Plot) -> list[Line2D]:
    figure.set_size_inches(8.0, 4.5)
    axes = figure.subplots()
    axes.grid(alpha=0.3)
    axes.xaxis.set_major_formatter("{x:,.12g}")
    axes.locator_params("x", nbins=5)  # there is room for millions
    lines = []
    for curve in curves:
        if curve.low is not None and curve.high is not None:
            draw_interval(axes, curve.x, curve.y, curve.low, curve.high, curve.look.colour, "band")
        mark_outside(axes, plot.ends, curve.x, curve.y, curve.look.colour)
        marked = len(curve.x) // MARKERS + 1 if plot.kind == "learning_curve" else 1
        lines.append(draw_line(axes, curve.x, curve.y, curve.name, curve.look, marked))
    return lines


def _parts(rows: pd.DataFrame, others: list[str]) -> dict[str, pd.DataFrame]:
    """Return the rows of each curve by its name: what it is learned by, unless all are alike, and what is swept."""
    keys = ["algorithm", *others] if rows["algorithm"].nunique() > 1 or not others else others
    return {"; ".join(map(_text, keys, values)): part for values, part in rows.groupby(keys, sort=False)}


def _text(key: str, value: object) -> str:
    """Return what the legend says of a value: MF-RNN, hidden 128, 128, Δt = 5 ms."""
    if key == "algorithm":
        return str(value)
    if not key.startswith("training."):
        return named_value(key, value)
    numbers = re.sub(r",\s*", ", ", text_of(value).strip("[]"))
    return f"{key.removeprefix('training.')} {numbers}"


def _seed_count(part: pd.DataFrame) -> int:
    return part[SEED].nunique() if SEED in part else 1


def _seeds_note(parts: Mapping[str, pd.DataFrame]) -> str:
    """Return what stands below the label of the vertical axis if a curve is of several seeds."""
    counts = sorted({_seed_count(part) for part in parts.values()})
    if not counts or counts[-1] == 1:
        return ""
    fewest = "" if counts[0] == counts[-1] else f"{counts[0]} to "
    return f"\n(mean and range of {fewest}{counts[-1]} seeds)"


def _returns(parts: Mapping[str, pd.DataFrame], axis: str) -> list[Curve]:
    """Return minus the drops of each iteration, in the order of `axis`."""
    looks, curves = looks_of(list(parts)), []
    for name, part in parts.items():
        if _seed_count(part) > 1:
            # The iterations of several seeds take different times.
            step = "iteration" if axis == "seconds" else axis
            returns = _by_seed(part.assign(drops=-part["drops"]), step, "drops")
            curve = _curve_of_seeds(name, looks[name], returns)
            if axis == "seconds":
                curve = curve._replace(x=_by_seed(part, step, axis).loc[returns.index].mean(axis="columns").tolist())
        else:
            ordered = part.sort_values(axis)
            curve = Curve(name, looks[name], ordered[axis].tolist(), (-ordered["drops"]).tolist())
        curves.append(curve)
    return curves


def _by_seed(part: pd.DataFrame, axis: str, column: str) -> pd.DataFrame:
    """Return the greatest value of a column at each value of `axis` that all seeds have, a column for each of them."""
    return part.groupby([axis, SEED])[column].max().unstack(SEED).dropna()


def _curve_of_seeds(name: str, look: Look, values: pd.DataFrame) -> Curve:
    """Return the curve of values that have a column for each seed."""
    mean, low, high = (values.agg(what, axis="columns").tolist() for what in ("mean", "min", "max"))
    return Curve(name, look, values.index.tolist(), mean, low, high)


def _durations(parts: Mapping[str, pd.DataFrame], axis: str) -> list[Curve]:
    """Return the seconds of each training until it had converged; the whole training, said so, if none ever did."""
    looks, curves = looks_of(list(parts)), []
    for name, part in parts.items():
        is_told = _tell_convergence({name: part})
        column = CONVERGED if is_told else "seconds"
        legend = name if is_told or not _tell_convergence(parts) else f"{name} (whole training)"
        if _seed_count(part) > 1:
            curves.append(_curve_of_seeds(legend, looks[name], _by_seed(part, axis, column)))
        else:
            seconds = part.groupby(axis)[column].max().dropna()
            curves.append(Curve(legend, looks[name], seconds.index.tolist(), seconds.tolist()))
    return curves


def _tell_convergence(parts: Mapping[str, pd.DataFrame]) -> bool:
    return any(CONVERGED in part and part[CONVERGED].notna().any() for part in parts.values())
