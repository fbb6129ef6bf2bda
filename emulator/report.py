"""What a run says on the terminal: the summary as a table, and how far the work has come."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from emulator.tables import UNITS, text_of

if TYPE_CHECKING:
    import pandas as pd

Advance = Callable[[float], None]

SECONDS_BETWEEN_LINES = 10.0
"""How often progress is told at most where standard error is not a terminal."""

_HEADER = ["dispatcher", "drops", "95 % interval", "difference", "95 % interval", "sojourn", "n"]


def summary_table(summary: pd.DataFrame, swept: Sequence[str], first: str | None = None) -> str:
    """Return the summary as lines of plain text, a block of them for each combination of swept values.

    `first` is the dispatcher from which the differences are, by default that of the first row.
    """
    decimals = _decimals(summary["mean_drops"])
    if first is None:
        first = summary["dispatcher"].iloc[0]
    blocks = list(summary.groupby(list(swept), sort=False)) if swept else [((), summary)]
    cells = [_cells(row, first, decimals) for _, block in blocks for row in block.to_dict("records")]
    widths = [max(map(len, column)) for column in zip(_HEADER, *cells, strict=True)]
    lines = [_line(_HEADER, widths), "-" * len(_line(_HEADER, widths))]
    remaining = iter(cells)
    for values, block in blocks:
        if swept:
            lines += ["", ", ".join(map(_setting, swept, values))]
        lines += [_line(next(remaining), widths) for _ in range(len(block))]
    return "\n".join(
        [
            *lines,
            "",
            "drops: dropped jobs per queue and 50 ms, mean of n replications with its Student t interval",
            f"difference: from {first}, paired by replication",
            "sojourn: mean time from arrival to departure of completed jobs, ms",
        ]
    )


def _setting(key: str, value: Any) -> str:
    return f"{key} = {text_of(value)} {UNITS.get(key, '')}".rstrip().replace(" 1/", "/")


def _cells(row: dict[Any, Any], first: str | None, decimals: int) -> list[str]:
    is_first = row["dispatcher"] == first
    return [
        row["dispatcher"],
        _number(row["mean_drops"], decimals),
        _interval(row["ci_low"], row["ci_high"], decimals),
        "-" if is_first else _number(row["difference"], decimals),
        "-" if is_first else _interval(row["difference_low"], row["difference_high"], decimals),
        _number(row["mean_sojourn_time"], 3),
        str(row["replications"]),
    ]


def _line(cells: list[str], widths: list[int]) -> str:
    name, *numbers = (
        cell.rjust(width) if place else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([name, *numbers])


def _decimals(means: pd.Series) -> int:
    """Return how many decimals show three digits of the smallest mean that is not 0, from 3 to 6."""
    smallest = min((mean for mean in means if mean > 0.0), default=1.0)
    return min(max(3, 2 - math.floor(math.log10(smallest))), 6)


def _number(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}" if math.isfinite(value) else "-"


def _interval(low: float, high: float, decimals: int) -> str:
    return f"[{low:.{decimals}f}, {high:.{decimals}f}]" if math.isfinite(low) else "-"


@contextmanager
def progress_bar(total: float, *, quiet: bool = False, doing: str = "emulating") -> Iterator[Advance]:
    """Show on standard error how much of `total` is done, and the time left, beside the word `doing`.

    Yields the function to call with each step. Where standard error is not a terminal, there is a line of
    text now and then instead.
    """
    if quiet:
        yield lambda step: None
    elif sys.stderr.isatty():
        with _bar(total, doing) as advance:
            yield advance
    else:
        yield _Lines(total)


@contextmanager
def _bar(total: float, doing: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn(doing),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("elapsed,"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=Console(stderr=True),
        refresh_per_second=4,
        speed_estimate_period=600.0,
    ) as progress:
        task = progress.add_task("", total=total)
        yield lambda step: progress.advance(task, step)


class _Lines:
    """Tells progress in lines of text, for logs and pipes."""

    def __init__(self, total: float):
        self.total = total
        self.done = 0.0
        self.started = self.told = time.monotonic()

    def __call__(self, step: float) -> None:
        self.done += step
        now = time.monotonic()
        if now - self.told >= SECONDS_BETWEEN_LINES and self.done > 0.0:
            elapsed = now - self.started
            left = elapsed * max(0.0, self.total / self.done - 1.0)
            print(
                f"{self.done / self.total:.0%} done, {elapsed:.0f} s elapsed, about {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )
            self.told = now
