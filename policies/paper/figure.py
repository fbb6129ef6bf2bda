"""A figure as its run left it, with the comparisons that the paper's claims are about.

Drops are per queue and 50 ms, delta_t is in ms. Differences between dispatchers are paired by replication, as all of
them meet the same paths of arrival rates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import pandas as pd

from emulator.picture import Level
from emulator.statistics import mean_interval

TOPOLOGIES = {
    "cycle": "cycle",
    "cube_connected_cycle": "cube-connected cycle",
    "torus": "torus",
    "configuration_model": "configuration model",
    "bethe": "Bethe lattice",
}


class Interval(NamedTuple):
    """A mean and the ends of its 95 % interval: the mean itself if all values are alike, NaN without two values."""

    mean: float
    low: float
    high: float
    episodes: int | None = None
    """How many values there are, if that is known."""

    @classmethod
    def of(cls, values: Iterable[float]) -> Interval:
        """Return the mean of independent values with its Student t interval."""
        sample = list(values)
        mean, low, high = mean_interval(sample)
        if len(sample) > 1 and not low < high:
            low = high = mean
        return cls(mean, low, high, len(sample))

    @property
    def width(self) -> float:
        """Half of what is between the ends; 0 if there are none."""
        return 0.5 * (self.high - self.low) if self.low < self.high else 0.0

    def __str__(self) -> str:
        """Return the mean with its sign, and the interval."""
        return self.text("{:+.3f}")

    def text(self, form: str, unit: str = "") -> str:
        """Return mean and interval with numbers of some form; an interval of no width is none."""
        mean = form.format(self.mean) + unit
        if self.low < self.high:
            return f"{mean} [{form.format(self.low)}, {form.format(self.high)}]"
        if self.low == self.high:
            every = "all episodes" if self.episodes is None else f"all {self.episodes:,} episodes"
            return f"equal in {every}" if self.mean == 0.0 else f"{mean} in {every}"
        return "unknown" if math.isnan(self.mean) else mean


class Claim(NamedTuple):
    """What the paper says, where, what was measured, and whether it holds."""

    text: str
    figure: str
    measured: str
    holds: bool
    reason: str = ""
    """Which of `policies.paper.reasons.REASONS` may tell why, if it does not."""


@dataclass(frozen=True)
class Figure:
    """What the run of a figure left, as a table.

    An emulation has the rows of episodes.parquet, trainings those of training.parquet, Theorem 1 those of
    `policies.paper.limits`.
    """

    name: str
    rows: pd.DataFrame
    level: Level | None = None
    """The number that the picture compares with."""
    episodes: int = 0
    """Replications of an emulation."""

    def at(self, **values: float) -> Figure:
        """Return the figure of only those rows that have some values in their columns."""
        rows = self.rows
        for key, value in values.items():
            rows = rows[rows[key] == value]
        return replace(self, rows=rows)

    def by(self, key: str) -> Iterator[tuple[float, Figure]]:
        """Yield each value of a column, in ascending order, with the figure at it."""
        for value in sorted(self.rows[key].unique()):
            yield float(value), self.at(**{key: value})

    @property
    def place(self) -> str:
        """The topology in words."""
        return TOPOLOGIES[self.rows["topology"].iloc[0]]

    @property
    def dispatchers(self) -> list[str]:
        """The dispatchers, in the order of the rows."""
        return list(self.rows["dispatcher"].unique())

    def drops(self, dispatcher: str) -> pd.Series[float]:
        """Return a dispatcher's drops by replication, where nothing else is varied."""
        rows = self.rows[self.rows["dispatcher"] == dispatcher]
        return rows.set_index("replication")["drops_per_queue"]

    def mean(self, dispatcher: str) -> float:
        """Return a dispatcher's mean drops."""
        return float(self.drops(dispatcher).mean())

    def difference(self, one: str, other: str) -> Interval:
        """Return the paired difference in drops, of one dispatcher from another."""
        return Interval.of((self.drops(one) - self.drops(other)).dropna())

    def percent(self, one: str, other: str) -> float:
        """Return by how many percent one dispatcher has more drops than another."""
        return 100.0 * (quotient(self.mean(one), self.mean(other)) - 1.0)

    def is_best(self, dispatcher: str) -> bool:
        """Return whether a dispatcher is ahead of all others."""
        return self.is_ahead(dispatcher, [name for name in self.dispatchers if name != dispatcher])

    def is_ahead(self, dispatcher: str, others: Iterable[str]) -> bool:
        """Return whether a dispatcher has fewer drops than each of some others, by the paired intervals."""
        return all(self.difference(dispatcher, other).high < 0.0 for other in others)


def quotient(one: float, other: float) -> float:
    """Return one / other, 1 where both are 0: nothing is as much as nothing."""
    if other == 0.0:
        return 1.0 if one == 0.0 else math.copysign(math.inf, one)
    return one / other


def chance(count: int, share: float = 0.05) -> int:
    """Return how many of `count` independent intervals may miss the truth: more would have a probability below 1 %."""
    from scipy.special import bdtr

    return next(misses for misses in range(count + 1) if bdtr(misses, count, share) >= 0.99)


def listed(values: Iterable[float]) -> str:
    """Return numbers as a text such as 1, 2, 3; none if there are none."""
    return ", ".join(f"{value:,g}" for value in values) or "none"


def each(numbers: Mapping[float, object], form: str = "{:+.2f}") -> str:
    """Return what there is by delta_t or by size as a text such as +1.23 at 1, +8.94 at 5."""
    return ", ".join(f"{form.format(number)} at {key:,g}" for key, number in numbers.items())
