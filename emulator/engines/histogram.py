"""Times as counts in bins: whole numbers, so engines, threads and replications add up to the same in any order.

The bin of a time is the upper 18 bits of its float: sign, exponent, 6 bits of the mantissa. So an octave has 64 bins,
the widest 1.6 % of its lower end. Kept are the 80 octaves from 2**-40 to 2**40 ms. A shorter time, 0 among them, counts
in bin 0, a longer one in the last bin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.machine.compiling import compiled

Counts = NDArray[np.int64]

SHIFT = 46
"""Bits of a float that do not tell its bin."""

LEAST, MOST = 2.0**-40, 2.0**40
"""Where the bins begin and end, ms."""

_BELOW = float(np.nextafter(LEAST, 0.0))
"""What stands for all shorter times: in the bin before those that are kept."""

_BEFORE = int(np.float64(_BELOW).view(np.int64) >> SHIFT)

PLACES = int(np.float64(MOST).view(np.int64) >> SHIFT) - _BEFORE + 1
"""Counts of a histogram: one for what is shorter than `LEAST`, those of the bins, and one for what is longer."""

NOWHERE = PLACES
"""The place behind the counts, where a compiled loop counts what is no time, as that is quicker than a branch."""


@compiled(inline="always")
def place_of(time):  # type: ignore[no-untyped-def]
    """Return at which place of the counts a time stands."""
    kept = min(max(time, _BELOW), MOST)
    return (np.float64(kept).view(np.int64) >> SHIFT) - _BEFORE


@compiled()
def counts_of(times):  # type: ignore[no-untyped-def]
    """Return the counts of some times, of which NaN is none."""
    counts = np.zeros(PLACES, dtype=np.int64)
    for time in times:
        if time >= 0.0:
            counts[place_of(time)] += 1
    return counts


def sparse(counts: Counts) -> tuple[NDArray[np.int32], Counts]:
    """Return the bins that hold a time, in order, and how many each holds."""
    places = np.flatnonzero(counts)
    return np.where(places > 0, places + _BEFORE, 0).astype(np.int32), counts[places]


def ends_of(bins: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where some bins begin and end, ms; bin 0 is the time 0."""
    numbers = np.asarray(bins, dtype=np.int64)
    low, high = ((numbers + more << SHIFT).view(np.float64) for more in (0, 1))
    return low, np.where(numbers > 0, high, 0.0)


class Histogram:
    """Counts of times in bins that stand in order, and what they say of their distribution.

    Within a bin times are taken to lie evenly: what a quantile is off by is a small part of the bin's 1.6 %.
    """

    def __init__(self, bins: Any, counts: Any):
        self.bins = np.asarray(bins, dtype=np.int64)
        self.counts = np.asarray(counts, dtype=np.int64)
        self.low, self.high = ends_of(self.bins)
        self.below: NDArray[np.int64] = np.append(0, np.cumsum(self.counts))
        """How many times stand in the bins before each, and in all."""

    @classmethod
    def merged(cls, bins: Any, counts: Any) -> Histogram:
        """Return the histogram of several together: their bins, one after another, and their counts."""
        together, places = np.unique(np.asarray(bins, dtype=np.int64), return_inverse=True)
        total = np.zeros(len(together), dtype=np.int64)
        np.add.at(total, places, np.asarray(counts, dtype=np.int64))
        return cls(together, total)

    @property
    def total(self) -> int:
        """How many times there are."""
        return int(self.below[-1])

    def quantile(self, share: float) -> float:
        """Return the time, ms, below which that share of them lies; NaN if there are none."""
        if self.total == 0:
            return np.nan
        wanted = share * self.total
        place = min(int(np.searchsorted(self.below, wanted, side="left")), len(self.bins)) - 1
        place = max(place, 0)
        inside = (wanted - self.below[place]) / self.counts[place]
        return float(self.low[place] + inside * (self.high[place] - self.low[place]))

    def share_below(self, time: float) -> NDArray[np.float64]:
        """Return what share of each bin lies below a time, or at it."""
        width = np.where(self.bins > 0, self.high - self.low, 1.0)
        return np.where(self.bins > 0, np.clip((time - self.low) / width, 0.0, 1.0), 1.0)
