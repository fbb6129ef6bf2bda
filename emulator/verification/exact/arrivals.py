"""Arrivals as Markov chains: Poisson, modulated, of phase-type gaps, or any Markovian arrival process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from emulator.verification.exact.expected import Floats
from emulator.verification.exact.phase_type import Phases


@dataclass(frozen=True)
class MarkovArrivals:
    """A chain whose moves by `d1` each bring a job (or a batch), those by `d0` none; M. F. Neuts, 1979."""

    d0: Floats
    """Rates of moves without a job, with what leaves each state on the diagonal: states x states."""
    d1: Floats
    """Rates of moves, or of none, with a job: states x states."""
    start: Floats | None = None
    """The law of the state at time 0; that of the long run if not given."""

    def stationary(self) -> Floats:
        """Return the law of the state in the long run."""
        return _fixed_law(self.d0 + self.d1, 0.0)

    @property
    def first(self) -> Floats:
        """The law of the state at time 0."""
        return self.stationary() if self.start is None else self.start

    def rate(self) -> float:
        """Return the jobs, or batches, per ms in the long run."""
        return float(self.stationary() @ self.d1.sum(axis=1))

    def scaled(self, rate: float) -> MarkovArrivals:
        """Return the same process, in a time in which it has another rate."""
        factor = rate / self.rate()
        return MarkovArrivals(factor * self.d0, factor * self.d1, self.start)

    def gap(self) -> tuple[float, float, float]:
        """Return the mean, the squared coefficient of variation and the lag-one correlation of the gaps."""
        inverse = np.linalg.inv(-self.d0)
        ones = np.ones(len(self.d0))
        after = _fixed_law(inverse @ self.d1, 1.0)
        mean = after @ inverse @ ones
        square = 2.0 * (after @ inverse @ inverse @ ones)
        product = after @ inverse @ (inverse @ self.d1) @ inverse @ ones
        variance = square - mean**2
        return float(mean), float(variance / mean**2), float((product - mean**2) / variance)

    def index_of_dispersion(self) -> float:
        """Return the variance over the mean of the jobs in a long time; 1 for Poisson arrivals."""
        law, ones = self.stationary(), np.ones(len(self.d0))
        generator = self.d0 + self.d1
        rate = self.rate()
        deviation = np.linalg.inv(np.outer(ones, law) - generator)
        flow = law @ self.d1
        return float(1.0 + 2.0 * (flow @ deviation @ self.d1 @ ones - rate**2) / rate)


def poisson(rate: float) -> MarkovArrivals:
    """Return Poisson arrivals."""
    return MarkovArrivals(np.array([[-rate]]), np.array([[rate]]))


def modulated(rates: Sequence[float], generator: ArrayLike, start: Floats | None = None) -> MarkovArrivals:
    """Return Poisson arrivals whose rate is that of the state of a chain."""
    d1 = np.diag(np.asarray(rates, dtype=float))
    return MarkovArrivals(np.asarray(generator, dtype=float) - d1, d1, start)


def renewal(gap: Phases) -> MarkovArrivals:
    """Return arrivals whose gaps are independent, of a phase type; the first gap starts at time 0."""
    return MarkovArrivals(gap.generator, np.outer(gap.ending, gap.start), gap.start)


def _fixed_law(matrix: Floats, total: float) -> Floats:
    """Return the law that a generator (`total` 0) or a transition matrix (1) leaves as it is."""
    size = len(matrix)
    equations = np.vstack([(matrix - total * np.eye(size)).T, np.ones(size)])
    return np.asarray(np.linalg.lstsq(equations, np.eye(1, size + 1, size)[0], rcond=None)[0])
