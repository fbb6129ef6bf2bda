"""Means with their 95 % intervals: of one sample, of ratios of paired samples, and of trainings with several seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.results.estimates import mean_interval

POWER = 0.8
"""The probability with which a difference would have been seen that is called the smallest one."""


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

    @classmethod
    def around(cls, mean: float, width: float) -> Interval:
        """Return a mean with so much on either side."""
        return cls(mean, mean - width, mean + width)

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

    @property
    def short(self) -> str:
        """Mean and half of the interval, +46.1 ± 0.8; the mean alone if it has none."""
        digits = 1 if abs(self.mean) >= 0.95 or self.width >= 0.25 else 2
        mean = f"{self.mean:+.{digits}f}" if math.isfinite(self.mean) else "unknown"
        return f"{mean} ± {self.width:.{digits}f}" if self.low < self.high else mean

    @property
    def seen(self) -> float:
        """The smallest difference that would have been seen, at the level of 5 % and with a power of 80 %."""
        from scipy.special import ndtri

        return self.width * float(1.0 + ndtri(POWER) / ndtri(0.975))


def percent_beyond(one: ArrayLike, other: ArrayLike) -> Interval:
    """Return by how many percent the mean of one sample is beyond that of another, paired, by the delta method."""
    x, y = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    if len(x) == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    ratio = quotient(float(x.mean()), float(y.mean()))
    beyond = 100.0 * (ratio - 1.0)
    if not math.isfinite(ratio) or y.mean() == 0.0:
        return Interval(beyond, beyond, beyond, len(x))
    return Interval.around(beyond, 100.0 * Interval.of(x - ratio * y).width / float(y.mean()))._replace(episodes=len(x))


def unpaired(one: Interval, other: Interval) -> Interval:
    """Return a difference that is not paired; without an interval where neither has one."""
    gap, width = one.mean - other.mean, math.hypot(one.width, other.width)
    return Interval.around(gap, width) if width else Interval(gap, math.nan, math.nan)


def pooled(gaps: Sequence[Interval]) -> Interval:
    """Return the mean of independent estimates of one number, weighed by how precise they are."""
    if not all(gap.width for gap in gaps):  # exact ones have no weight
        return Interval.around(float(np.mean([gap.mean for gap in gaps])), max(gap.width for gap in gaps))
    weights = np.array([gap.width**-2.0 for gap in gaps])
    mean = float(np.average([gap.mean for gap in gaps], weights=weights))
    return Interval.around(mean, float(weights.sum() ** -0.5))


class Seeds:
    """Positive numbers of several seeds by what was trained, compared as ratios; all are taken to scatter alike."""

    def __init__(self, values: Mapping[Any, Sequence[float]]):
        self.logs: dict[Any, NDArray[np.float64]] = {
            key: np.log(np.asarray(some, dtype=float)) for key, some in values.items()
        }
        self.freedom = sum(len(some) - 1 for some in self.logs.values())

    def percent(self, one: Any, other: Any) -> Interval:
        """Return by how many percent the numbers of one are beyond those of another; no interval for single seeds."""
        from scipy.special import stdtrit

        x, y = self.logs[one], self.logs[other]
        gap = float(x.mean() - y.mean())
        if self.freedom == 0:
            return Interval(100.0 * math.expm1(gap), math.nan, math.nan)
        squares = sum(float(((some - some.mean()) ** 2).sum()) for some in self.logs.values())
        error = math.sqrt(squares / self.freedom * (1.0 / len(x) + 1.0 / len(y)))
        width = float(stdtrit(self.freedom, 0.975)) * error
        mean, low, high = (100.0 * math.expm1(end) for end in (gap, gap - width, gap + width))
        return Interval(mean, low, high)

    def mean(self, key: Any) -> float:
        """Return the mean of what was trained."""
        return float(np.exp(self.logs[key]).mean())


def quotient(one: float, other: float) -> float:
    """Return one / other, 1 where both are 0: nothing is as much as nothing."""
    if other == 0.0:
        return 1.0 if one == 0.0 else math.copysign(math.inf, one)
    return one / other


def chance(count: int, share: float = 0.05) -> int:
    """Return how many of `count` independent intervals may miss the truth: more would have a probability below 1 %."""
    from scipy.special import bdtr

    return next(misses for misses in range(count + 1) if bdtr(misses, count, share) >= 0.99)
