"""The summary as a table on the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dispatchers.errors import shortened
from emulator.scenario.options import OPTION
from emulator.text import setting_text, text_of

if TYPE_CHECKING:
    import pandas as pd

LARGE = 1e12
"""From here on, numbers are told as powers of ten: drops in a tiny horizon, scaled to 50 ms, can have 300 digits."""

_HEADER = ["dispatcher", "drops", "95 % interval", "difference", "95 % interval", "sojourn", "n"]
_LEFT = ("dispatcher", "information")
"""What stands at the left of its column; numbers stand at the right."""


def summary_table(summary: pd.DataFrame, swept: Sequence[str], first: str | None = None) -> str:
    """Return the summary as lines of plain text, a block of them for each combination of swept values.

    `first` is the dispatcher from which the differences are, by default that of the first row. What the dispatchers may
    know is told where it is not the same for all.
    """
    decimals = _decimals(summary["mean_drops"])
    header = [*_HEADER, *(["information"] if summary["information"].nunique() > 1 else [])]
    if first is None:
        first = summary["dispatcher"].iloc[0]
    blocks = list(summary.groupby(list(swept), sort=False)) if swept else [((), summary)]
    cells = [_cells(row, first, decimals)[: len(header)] for _, block in blocks for row in block.to_dict("records")]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    aligned = [str.ljust if name in _LEFT else str.rjust for name in header]

    def line(texts: list[str]) -> str:
        return "  ".join(align(text, width) for align, text, width in zip(aligned, texts, widths, strict=True)).rstrip()

    lines = [line(header), "-" * (sum(widths) + 2 * (len(widths) - 1))]
    remaining = iter(cells)
    for values, block in blocks:
        if swept:
            lines += ["", shortened(", ".join(map(setting_text, swept, values)))]
        lines += [line(next(remaining)) for _ in range(len(block))]
    return "\n".join([*lines, "", *_notes(summary, swept, first)])


def _notes(summary: pd.DataFrame, swept: Sequence[str], first: str) -> Iterator[str]:
    """Yield lines that say what the columns are, and what must not be read into them."""
    yield "drops: dropped jobs per queue and 50 ms, mean of n replications with its Student t interval"
    yield f"difference: of drops from {first}, paired by replication"
    yield "sojourn: mean time from arrival to departure of completed jobs, ms"
    if summary["information"].nunique() > 1:
        yield "information: what a dispatcher may know when it decides"
    several = summary[summary["replications"] > 1]
    others = several[several["dispatcher"] != first]
    if several["ci_low"].isna().any() or (others["difference"].notna() & others["difference_low"].isna()).any():
        yield "no interval: all n replications are alike, so at most 3 in n episodes, about, are otherwise (95 %)"
    if "delta_t" in swept:
        yield "delta_t: its values share no arrivals; compare dispatchers at one value, not one dispatcher at several"


def _cells(row: dict[Any, Any], first: str | None, decimals: int) -> list[str]:
    is_first = row["dispatcher"] == first
    return [
        with_moved_options(row),
        _number(row["mean_drops"], decimals),
        _interval(row["ci_low"], row["ci_high"], decimals),
        "-" if is_first else _number(row["difference"], decimals),
        "-" if is_first else _interval(row["difference_low"], row["difference_high"], decimals),
        _number(row["mean_sojourn_time"], 3),
        str(row["replications"]),
        row["information"],
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
    return f"[{_decimal(low, decimals)}, {_decimal(high, decimals)}]" if math.isfinite(low) else "-"


def _decimal(value: float, decimals: int) -> str:
    return f"{value:z.{decimals}f}" if abs(value) < LARGE else f"{value:.6g}"
