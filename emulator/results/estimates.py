"""What several replications, or batches, say of a measure: its value, and how far that may be off.

Every estimate has parts: one number for each replication, of which it is the mean. Of a mean these are the values; of a
ratio and of a quantile they come from the first order of its error (the delta method). Then one interval does for all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.engines.histogram import Histogram

Floats = NDArray[np.float64]

ROUNDING = 1e-12
"""Of a number: what differs by less is alike, and differs in the order of its sums alone."""

LEVEL = 0.95

RULE_OF_THREE = 3.0
"""Of what happened to none of n jobs the share is, with 95 %, at most 3 / n: (1 - 3 / n)**n is about 0.05."""


class Estimate(NamedTuple):
    """A number, and what each replication adds to it."""

    value: float
    parts: Floats
    """One for each replication, their mean is the value; NaN for one that says nothing."""
    ends: tuple[float, float] | None = None
    """Of its 95 % interval, where they follow from more than the parts."""

    def around(self, value: float) -> Estimate:
        """Return the same around another value, which is known from more than the parts."""
        shift = value - self.value
        ends = None if self.ends is None else (self.ends[0] + shift, self.ends[1] + shift)
        return Estimate(value, self.parts + shift, ends)


NOTHING = Estimate(math.nan, np.empty(0))


def mean_of(values: ArrayLike) -> Estimate:
    """Return the mean of the values that there are."""
    parts = np.asarray(values, dtype=np.float64)
    some = ~np.isnan(parts)
    return Estimate(float(parts[some].mean()) if some.any() else math.nan, parts)


def ratio_of(values: ArrayLike, weights: ArrayLike) -> Estimate:
    """Return the ratio of sums that the replications' ratios `values` are parts of; `weights` are its denominators."""
    ratios, counts = (np.asarray(numbers, dtype=np.float64) for numbers in (values, weights))
    counts = np.where(np.isnan(ratios), 0.0, counts)
    total = counts.sum()
    if not total > 0.0:
        return Estimate(math.nan, np.full(len(ratios), np.nan))
    above = counts * np.where(counts > 0.0, ratios, 0.0)
    value = float(above.sum() / total)
    return Estimate(value, value + (above - value * counts) / (total / len(ratios)))


def quantile_of(bins: Sequence[Any], counts: Sequence[Any], share: float) -> Estimate:
    """Return the time below which a share of all lies, by the replications' histograms.

    The interval's ends are the quantiles of the shares at the ends of the interval of the share below the value:
    R. S. Woodruff, Journal of the American Statistical Association 47, 1952. The interval of the share that is *not*
    below is that of `positive_interval`. There is none where its end is beyond all that was seen.
    """
    nothing = np.full(len(bins), np.nan)
    sizes = [0 if some is None else len(some) for some in bins]
    if sum(sizes) == 0:
        return Estimate(math.nan, nothing)
    all_bins, all_counts = (
        np.concatenate([np.asarray(some, dtype=np.int64) for some in column if some is not None])
        for column in (bins, counts)
    )
    pooled = Histogram.merged(all_bins, all_counts)
    value = pooled.quantile(share)
    if len(bins) < 2:
        return Estimate(value, np.full(len(bins), value))
    below = Histogram(all_bins, all_counts).share_below(value) * all_counts
    owner = np.repeat(np.arange(len(bins)), sizes)
    totals = np.bincount(owner, all_counts, minlength=len(bins))
    beyond = np.bincount(owner, below, minlength=len(bins)) - share * totals
    error = _quantile_of_t(len(bins)) * float(beyond.std(ddof=1)) * math.sqrt(len(bins)) / pooled.total
    least, most = _ends(1.0 - share, error)
    if are_alike(beyond) or not (least * pooled.total >= 1.0 and most < 1.0):
        return Estimate(value, nothing)
    low, high = pooled.quantile(1.0 - most), pooled.quantile(1.0 - least)
    if not low < high:
        return Estimate(value, nothing)
    slope = (high - low) / (most - least)  # ms for a share
    return Estimate(value, value - slope * (beyond - beyond.mean()) / (pooled.total / len(bins)), (low, high))


def mean_interval(values: Iterable[float], level: float = LEVEL) -> tuple[float, float, float]:
    """Return (mean, low, high): the mean and the ends of its Student t interval, NaN without two different values.

    The values are taken as independent and normal; the interval covers the mean of their law with probability
    `level`. Values that are all alike say nothing of how far their mean is off: an event may be rarer than seen so far.
    """
    sample = np.asarray(list(values), dtype=np.float64)
    if len(sample) == 0:
        return math.nan, math.nan, math.nan
    mean = float(sample.mean())
    if are_alike(sample):
        return mean, math.nan, math.nan
    half_width = _quantile_of_t(len(sample), level) * float(sample.std(ddof=1)) / math.sqrt(len(sample))
    return mean, mean - half_width, mean + half_width


def positive_interval(
    values: Iterable[float], level: float = LEVEL, most: float = math.inf
) -> tuple[float, float, float]:
    """Return (mean, low, high) of values that are never negative, such as counts: NaN without two different values.

    The interval holds all means m from which that of the sample is off by at most t * s / sqrt(n), where s**2, the
    variance, is taken to grow with m: the score interval of a quasi-Poisson law. It is Student's where it is short. Of
    few and skewed values it covers the mean more often, and its lower end is above 0; see docs/statistics.md. `most` is
    the largest value that a mean can have.
    """
    sample = np.asarray(list(values), dtype=np.float64)
    mean, low, high = mean_interval(sample, level)
    if math.isnan(low) or mean <= 0.0:
        return mean, math.nan, math.nan
    low, high = _ends(mean, (high - low) / 2.0)
    return mean, low, min(high, most)


def _ends(mean: float, half_width: float) -> tuple[float, float]:
    """Return the two numbers m with (mean - m)**2 = half_width**2 * m / mean."""
    shift = half_width * (half_width / mean) / 2.0
    upper = mean + shift + math.hypot(half_width, shift)
    return mean * (mean / upper), upper


def are_alike(sample: Floats) -> bool:
    """Return whether all values are alike, but for the order of their sums."""
    return bool(np.ptp(sample) <= ROUNDING * np.abs(sample).max())


def lag_one_correlation(values: ArrayLike) -> float:
    """Return the correlation of each value with the next one; NaN with less than three, or if all are alike."""
    sample = np.asarray(values, dtype=np.float64)
    if len(sample) < 3 or np.isnan(sample).any() or are_alike(sample):
        return math.nan
    off = sample - sample.mean()
    return float((off[1:] * off[:-1]).sum() / (off**2).sum())


def _quantile_of_t(count: int, level: float = LEVEL) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(count - 1, (1.0 + level) / 2.0))
