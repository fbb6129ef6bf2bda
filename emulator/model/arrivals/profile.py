"""Poisson arrivals whose rate follows a given profile."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from emulator.keys import ScenarioError
from emulator.model.arrivals.chain import PIECE_LIMIT
from emulator.model.arrivals.process import ArrivalProcess, Arrivals, Setting
from emulator.text import text_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NotNegative = Annotated[float, Field(ge=0)]


class Profile(ArrivalProcess):
    """Poisson arrivals whose rate is given at points of time: linear between them, or in steps."""

    kind: Literal["profile"] = "profile"
    points: Annotated[list[Annotated[list[NotNegative], Field(min_length=2, max_length=2)]], Field(min_length=1)]
    """Pairs of a time, ms, the first 0, and the mean scheduler's arrivals per ms from then on."""
    shape: Literal["linear", "steps"] = "linear"
    """linear: the rate goes straight from point to point, two at one time being a jump; steps: it stays until the next.
    """
    period: Annotated[float, Field(gt=0)] | None = None
    """After which the profile begins anew, ms, a linear one going from its last point to its first; if not given, the
    last rate lasts."""

    @model_validator(mode="after")
    def _check(self) -> Profile:
        times = [time for time, _ in self.points]
        if times[0] != 0.0:
            raise ScenarioError("points", f"must begin at time 0, got {text_of(times[0])}")
        for before, after in itertools.pairwise(times):
            if after < before or (after == before and self.shape == "steps"):
                raise ScenarioError("points", f"must rise in time, got {text_of(after)} after {text_of(before)}")
        if self.period is not None:
            limit = self.period if self.shape == "linear" else math.nextafter(self.period, 0.0)
            if times[-1] > limit:
                told = f"must lie within a period of {text_of(self.period)}, got {text_of(times[-1])}"
                raise ScenarioError("points", told)
        return self

    def _cycle(self) -> list[tuple[float, float, float, float]]:
        """Return each piece of the profile: its start, its end, and the rates at both; the last may have no end."""
        end = math.inf if self.period is None else self.period
        following = [*self.points[1:], [end, self.points[-1 if math.isinf(end) else 0][1]]]
        pieces = []
        for (start, rate), (stop, next_rate) in zip(self.points, following, strict=True):
            if stop > start:
                pieces.append((start, stop, rate, next_rate if self.shape == "linear" else rate))
        return pieces

    def expected_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.expected_rate`."""
        if self.period is None:
            return self.points[-1][1]
        return sum((stop - start) * (rate + last) / 2.0 for start, stop, rate, last in self._cycle()) / self.period

    def highest_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.highest_rate`."""
        return max(rate for _, rate in self.points)

    def check(self, schedulers: int, horizon: float) -> None:
        """See `ArrivalProcess.check`."""
        super().check(schedulers, horizon)
        pieces = 0.0 if self.period is None else horizon / self.period * len(self.points)
        if pieces > PIECE_LIMIT:
            told = f"must make at most {PIECE_LIMIT:,} pieces of the profile up to the horizon, got {pieces:.3g}"
            raise ScenarioError("period", told)

    def arrivals(self, setting: Setting) -> Arrivals:
        """See `ArrivalProcess.arrivals`."""
        import numpy as np

        from emulator.model.arrivals.pieces import arrivals_in_pieces

        start, _, rate, last = np.array(self._cycle()).T
        if self.period is None:
            return arrivals_in_pieces(start, rate, last, setting)
        cycles = math.floor(setting.horizon / self.period) + 1
        starts: NDArray[np.float64] = (np.arange(cycles)[:, None] * self.period + start).ravel()
        rates, lasts = np.tile(rate, cycles), np.tile(last, cycles)
        # What follows the last cycle is beyond the horizon. Rounding could put a cycle's end before its last piece.
        starts = np.maximum.accumulate(np.append(starts, cycles * self.period))
        return arrivals_in_pieces(starts, np.append(rates, rate[0]), np.append(lasts, rate[0]), setting)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Profile:
        """See `ArrivalProcess.sample`."""
        count = int(generator.integers(1, 5))
        times = [0.0, *sorted(generator.uniform(0.1, 10.0, count).tolist())]
        rates = generator.uniform(0.0, 2.0, count + 1)
        rates[generator.integers(count + 1)] = 0.0
        points = [[time, float(rate)] for time, rate in zip(times, rates, strict=True)]
        shape: Literal["linear", "steps"] = "linear" if generator.random() < 0.5 else "steps"
        return cls(points=points, shape=shape, period=None if generator.random() < 0.3 else times[-1] + 1.0)
