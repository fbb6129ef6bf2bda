"""The summary as a table on the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dispatchers.errors import shortened
from emulator.results.measures import Measure, measure_named, names_of
from emulator.scenario.options import OPTION
from emulator.text import setting_text, text_of

if TYPE_CHECKING:
    import pandas as pd

LARGE = 1e12
"""From here on, numbers are told as powers of ten: drops in a tiny horizon, scaled to 50 ms, can have 300 digits."""

_LEFT = ("dispatcher", "information")
"""What stands at the left of its column; numbers stand at the right."""

OF_ARRIVALS = ("delta_t", "seed", "arrivals", "weights", "batch")
"""Keys, with all below them, whose values have no arrivals in common."""


class _Shown(NamedTuple):
    """What a table shows."""

    measure: Measure
    is_usual: bool
    """Whether nobody has asked for measures: then it is of drops, with sojourn times beside them."""
    has_batches: bool
    tells_information: bool

    @property
    def header(self) -> list[str]:
        """The heads of the columns."""
        return [
            "dispatcher",
            self.measure.short or self.measure.name,
            "95 % interval",
            "difference",
            "95 % interval",
            *(["sojourn"] if self.is_usual else []),
            *(["lag 1"] if self.has_batches else []),
            "n",
            *(["information"] if self.tells_information else []),
        ]


def summary_table(
    summary: pd.DataFrame, swept: Sequence[str], first: str | None = None, measures: Sequence[Measure] = ()
) -> str:
    """Return the summary as lines of plain text, a block of them for each combination of swept values.

    `first` is the dispatcher from which the differences are, by default that of the first row. What the dispatchers may
    know is told where it is not the same for all. `measures` have a table each, by default there is one of drops.
    """
    if first is None:
        first = summary["dispatcher"].iloc[0]
    has_batches = "batches" in summary and bool(summary["batches"].notna().any())
    tells = summary["information"].nunique() > 1
    asked = measures or [measure_named("drops_per_queue")]
    tables = [_Shown(measure, not measures, has_batches, tells) for measure in asked]
    lines = [line for table in tables for line in [*_table(summary, swept, first, table), ""]]
    return "\n".join([*lines, *_notes(summary, swept, first, tables)])


def _table(summary: pd.DataFrame, swept: Sequence[str], first: str, shown: _Shown) -> Iterator[str]:
    """Yield the lines of a table."""
    decimals = _decimals(summary[names_of(shown.measure).value])
    header = shown.header
    blocks = list(summary.groupby(list(swept), sort=False)) if swept else [((), summary)]
    cells = [_cells(row, first, shown, decimals) for _, block in blocks for row in block.to_dict("records")]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    aligned = [str.ljust if name in _LEFT else str.rjust for name in header]

    def line(texts: list[str]) -> str:
        return "  ".join(align(text, width) for align, text, width in zip(aligned, texts, widths, strict=True)).rstrip()

    yield line(header)
    yield "-" * (sum(widths) + 2 * (len(widths) - 1))
    remaining = iter(cells)
    for values, block in blocks:
        if swept:
            yield ""
            yield shortened(", ".join(map(setting_text, swept, values)))
        for _ in range(len(block)):
            yield line(next(remaining))


def _notes(summary: pd.DataFrame, swept: Sequence[str], first: str, tables: Sequence[_Shown]) -> Iterator[str]:
    """Yield lines that say what the columns are, and what must not be read into them."""
    units = "batches of one run" if tables[0].has_batches else "replications"
    for shown in tables:
        name = shown.measure.short or shown.measure.name
        together = " together" if shown.measure.quantile is not None or shown.measure.weight else ""
        yield f"{name}: {_meaning(shown.measure)}, {'' if together else 'mean '}of n {units}{together}"
    differing = "drops" if tables[0].is_usual else "each measure" if len(tables) > 1 else tables[0].header[1]
    paired = "batch" if tables[0].has_batches else "replication"
    yield f"difference: of {differing} from {first}, paired by {paired}"
    if tables[0].is_usual:
        yield "sojourn: mean time from arrival to departure of completed jobs, ms"
    if tables[0].has_batches:
        yield "lag 1: correlation of a batch and the next; the interval is too short if it is far above 0"
    if tables[0].tells_information:
        yield "information: what a dispatcher may know when it decides"
    yield from _notes_on_intervals(summary, first, tables)
    yield from _notes_on_sweeps(summary, swept)


def _meaning(measure: Measure) -> str:
    if measure.name == "drops_per_queue":
        return "dropped jobs per queue and 50 ms"
    unit = "" if measure.column.unit in ("1", "none") else f", {measure.column.unit}"
    return measure.column.description.partition(";")[0] + unit


def _notes_on_intervals(summary: pd.DataFrame, first: str, tables: Sequence[_Shown]) -> Iterator[str]:
    several = summary if tables[0].has_batches else summary[summary["replications"] > 1]
    others = several[several["dispatcher"] != first]
    names = [names_of(shown.measure) for shown in tables]
    if any(
        ((several[some.value].notna() & several[some.low].isna()).any())
        or (others[some.difference].notna() & others[some.difference_low].isna()).any()
        for some in names
    ):
        if any(shown.measure.quantile is not None for shown in tables):
            yield "no interval: too few jobs lie beyond the quantile, or all n replications are alike"
        else:
            yield "no interval: all n replications are alike, so at most 3 in n episodes, about, are otherwise (95 %)"
    if any((several[some.value] == 0.0).any() and (several[some.low] == 0.0).any() for some in names):
        yield "an interval from 0: no job was lost; its upper end is 3 / jobs seen (95 %, if jobs are independent)"


def _notes_on_sweeps(summary: pd.DataFrame, swept: Sequence[str]) -> Iterator[str]:
    for key in swept:
        if key.partition(".")[0] in OF_ARRIVALS:
            have = "share no arrivals"
        elif key.startswith("topology") and summary.get("schedulers", summary[key]).nunique() > 1:
            have = "do not share all arrivals"
        else:
            continue
        yield f"{key}: its values {have}; compare dispatchers at one value, not one dispatcher at several"


def _cells(row: dict[Any, Any], first: str | None, shown: _Shown, decimals: int) -> list[str]:
    is_first = row["dispatcher"] == first
    names = names_of(shown.measure)
    units = row["batches"] if shown.has_batches else row["replications"]
    return [
        with_moved_options(row),
        _number(row[names.value], decimals),
        _interval(row[names.low], row[names.high], decimals),
        "-" if is_first else _number(row[names.difference], decimals),
        "-" if is_first else _interval(row[names.difference_low], row[names.difference_high], decimals),
        *([_number(row["mean_sojourn_time"], 3)] if shown.is_usual else []),
        *([_number(row[names.lag_one], 2)] if shown.has_batches else []),
        str(int(units)),
        *([row["information"]] if shown.tells_information else []),
    ]


def with_moved_options(row: Mapping[Any, Any]) -> str:
    """Return what a dispatcher is called in a table, with its options that move along with keys of the scenario."""
    name = str(row["dispatcher"])
    for column, value in row.items():
        told = f" {str(column).removeprefix(OPTION)}="
        if str(column).startswith(OPTION) and told not in name and value is not None and value == value:
            name += told + text_of(value)
    return name


def _decimals(means: pd.Series) -> int:
    """Return how many decimals show three digits of the smallest mean that is not 0, from 3 to 6."""
    smallest = min((mean for mean in means if mean > 0.0), default=1.0)
    return min(max(3, 2 - math.floor(math.log10(smallest))), 6)


def _number(value: float, decimals: int) -> str:
    return _decimal(value, decimals) if math.isfinite(value) else "-"


def _interval(low: float, high: float, decimals: int) -> str:
    """Return an interval with so many decimals, or with as many more as its ends need to be told apart."""
    if not math.isfinite(low):
        return "-"
    while decimals < 15 and _decimal(low, decimals) == _decimal(high, decimals):
        decimals += 1
    return f"[{_decimal(low, decimals)}, {_decimal(high, decimals)}]"


def _decimal(value: float, decimals: int) -> str:
    return f"{value:z.{decimals}f}" if abs(value) < LARGE else f"{value:.6g}"
