"""A figure as its run left it, with the comparisons that the paper's claims are about.

Drops are per queue and 50 ms, delta_t is in ms. Dispatchers are compared in percent, paired by replication, as all of
them meet the same paths of arrival rates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import pandas as pd

from policies.paper.interval import Interval, percent_beyond
from policies.paper.verdict import Verdict, all_of, is_above, is_below

TOPOLOGIES = {
    "cycle": "cycle",
    "cube_connected_cycle": "cube-connected cycle",
    "torus": "torus",
    "configuration_model": "configuration model",
    "bethe": "Bethe lattice",
}

Reading = Literal["", "job", "epoch"]
"""How often schedulers draw whether to offload; none where nobody does."""

READINGS: Mapping[Reading, str] = {"job": "per job", "epoch": "per epoch"}
"""The two readings of the paper, in words."""

PER_EPOCH = " per epoch"
"""What ends the labels of dispatchers that draw once per epoch, beside those that draw for each job."""


class Claim(NamedTuple):
    """What the paper says, where, what was measured, and whether it holds."""

    text: str
    figure: str
    measured: str
    verdict: Verdict
    reason: str = ""
    """Which of `policies.paper.reasons.REASONS` may tell why, if it does not hold."""
    seen: float | None = None
    """Of a claim of sameness: the smallest difference, in percent, that would have been seen."""
    reading: Reading = ""


@dataclass(frozen=True)
class Figure:
    """What a run left: rows of episodes.parquet, of training.parquet, or of `policies.paper.root`."""

    name: str
    rows: pd.DataFrame
    episodes: int = 0
    """Replications of an emulation."""
    table: pd.DataFrame | None = None
    """What `policies.paper.growth` made of the traces of an emulation for Theorem 1."""

    def at(self, **values: float | str) -> Figure:
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
    def has_readings(self) -> bool:
        """Whether there are dispatchers that draw once per epoch beside those that draw for each job."""
        return "dispatcher" in self.rows and bool(self.rows["dispatcher"].str.endswith(PER_EPOCH).any())

    def under(self, reading: Reading) -> Figure:
        """Return the figure of one reading, in which dispatchers have the names that they have without it."""
        if not reading or not self.has_readings:
            return self
        names = self.rows["dispatcher"]
        marked = names.str.endswith(PER_EPOCH)
        if reading == "job":
            return replace(self, rows=self.rows[~marked])
        plain = names.str.removesuffix(PER_EPOCH)
        rows = self.rows.assign(dispatcher=plain)
        return replace(self, rows=rows[marked | ~names.isin(set(plain[marked]))])

    @property
    def place(self) -> str:
        """The topology in words."""
        return TOPOLOGIES[str(self.rows["topology"].iloc[0]).partition("(")[0]]  # swept, it is told with its keys

    @property
    def dispatchers(self) -> list[str]:
        """The dispatchers, in the order of the rows."""
        return list(self.rows["dispatcher"].unique())

    def drops(self, dispatcher: str, measure: str = "drops_per_queue") -> pd.Series[float]:
        """Return a dispatcher's drops by replication, where nothing else is varied."""
        rows = self.rows[self.rows["dispatcher"] == dispatcher]
        return rows.set_index("replication")[measure]

    def mean(self, dispatcher: str) -> float:
        """Return a dispatcher's mean drops."""
        return float(self.drops(dispatcher).mean())

    def percent(self, one: str, other: str, measure: str = "drops_per_queue") -> Interval:
        """Return by how many percent one dispatcher has more drops than another."""
        return paired_percent(self.drops(one, measure), self.drops(other, measure))

    def gaps(self, one: str, other: str, key: str = "delta_t") -> dict[float, Interval]:
        """Return `percent` at each value of a column."""
        return {value: part.percent(one, other) for value, part in self.by(key)}

    def best(self, names: Iterable[str]) -> str:
        """Return the one of some dispatchers that has the least mean drops."""
        return min(names, key=self.mean)

    def is_best(self, dispatcher: str) -> Verdict:
        """Return whether a dispatcher is ahead of all others."""
        return self.is_ahead(dispatcher, self.others(dispatcher))

    def others(self, dispatcher: str) -> list[str]:
        """Return all dispatchers but one."""
        return [name for name in self.dispatchers if name != dispatcher]

    def is_ahead(self, dispatcher: str, others: Iterable[str]) -> Verdict:
        """Return whether a dispatcher has fewer drops than each of some others."""
        return all_of(is_below(self.percent(dispatcher, other)) for other in others)


def paired_percent(one: pd.Series[float], other: pd.Series[float]) -> Interval:
    """Return by how many percent one series is beyond another, over the replications that both have."""
    both = pd.concat([one, other], axis=1, join="inner").to_numpy()
    return percent_beyond(both[:, 0], both[:, 1])


def widest(gaps: Iterable[Interval]) -> float:
    """Return the smallest difference that would have been seen in each of some comparisons."""
    return max(gap.seen for gap in gaps)


def all_above(gaps: Mapping[float, Interval]) -> Verdict:
    """Return whether all percentages are above 0."""
    return all_of(map(is_above, gaps.values()))


def spoken(name: str) -> str:
    """Return the name of a figure as one would say it: 7a."""
    return name.lstrip("0").replace("_", " ")


def listed(values: Iterable[float]) -> str:
    """Return numbers as a text such as 1, 2, 3; none if there are none."""
    return ", ".join(f"{value:,g}" for value in values) or "none"


def each(numbers: Mapping[float, object], form: str = "{:+.2f}") -> str:
    """Return what there is by delta_t or by size as a text such as +1.23 at 1, +8.94 at 5."""
    return ", ".join(f"{form.format(number)} at {key:,g}" for key, number in numbers.items())


def shorts(gaps: Mapping[float, Interval]) -> str:
    """Return percentages as a text such as +46.1 ± 0.8 at 1, -20.2 ± 0.3 at 5."""
    return each({key: gap.short for key, gap in gaps.items()}, "{}")
