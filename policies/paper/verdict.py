"""Whether a claim holds: yes, no, or not decided, by intervals on one scale, percent of what is compared with.

A "no" needs the power to see a "yes", and the other way round: where an interval leaves both open, nothing is decided.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policies.paper.interval import Interval

EQUAL = 1.0
"""Percent by which means may differ that are called equal, or that a lead must reach to be one."""

LIKE = 5.0
"""Percent by which means may differ that the paper calls close, similar, comparable, coinciding or negligible."""


class Verdict(Enum):
    """What was found of a claim."""

    YES = "yes"
    NO = "**no**"
    UNDECIDED = "not decided"

    @property
    def opposite(self) -> Verdict:
        """The verdict of the contrary."""
        return {Verdict.YES: Verdict.NO, Verdict.NO: Verdict.YES}.get(self, self)


def is_below(gap: Interval) -> Verdict:
    """Return whether a difference in percent is below 0: no if it is excluded that it reaches -1."""
    if gap.high < 0.0:
        return Verdict.YES
    return Verdict.NO if gap.low > -EQUAL else Verdict.UNDECIDED


def is_above(gap: Interval) -> Verdict:
    """Return whether a difference in percent is above 0: no if it is excluded that it reaches 1."""
    return is_below(gap._replace(low=-gap.high, high=-gap.low))


def is_within(gap: Interval, limit: float = LIKE) -> Verdict:
    """Return whether a difference in percent is less than a limit, either way."""
    if -limit < gap.low and gap.high < limit:
        return Verdict.YES
    return Verdict.NO if gap.low > limit or gap.high < -limit else Verdict.UNDECIDED


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Return yes if all are, no if one is no."""
    found = set(verdicts)
    if Verdict.NO in found:
        return Verdict.NO
    return Verdict.UNDECIDED if Verdict.UNDECIDED in found else Verdict.YES


def any_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Return yes if one is, no if none can be."""
    return all_of(verdict.opposite for verdict in verdicts).opposite
