"""Queues in which one clock runs by any law, all else being a Markov chain: M/G/1/K, GI/M/c/K and their relatives.

While the clock runs, states change at rates. When it rings, they jump. In some states, such as an empty server, it
stands still, and whatever leads out of them starts it anew. This is a Markov renewal process (E. Cinlar, 1969); its
equations are solved in the long run, and by Laplace transforms until a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from emulator.errors import InputError
from emulator.model.laws import (
    BoundedPareto,
    Deterministic,
    Empirical,
    Law,
    Mixture,
    Pareto,
    Uniform,
)
from emulator.verification.exact.arrivals import MarkovArrivals, poisson
from emulator.verification.exact.expected import Floats
from emulator.verification.exact.phase_type import Phases
from emulator.verification.exact.transforms import Complexes, inverted

NODES = 16
"""Points of a panel at which a law is looked at."""


@dataclass(frozen=True)
class Clock:
    """A law of some mean: points in time, their weights, and how likely it is that the clock has not rung by then."""

    times: Floats
    weights: Floats
    left: Floats
    rings_at: float | None = None
    """When it always rings, if it does."""
    has_jumps: bool = False
    """Whether it may ring at one of some times."""


def clock_of(law: Law, mean: float) -> Clock:
    """Return a law as points in panels between whose ends its distribution function is smooth.

    Panels are 1 wide at most until 200, which the transforms need, and then grow.
    """
    wide, long = np.geomspace(1e-9, 1.0, 50), np.geomspace(200.0, 1e12, 100)
    ends = np.unique(np.concatenate([[0.0], wide, np.arange(2.0, 200.0), long, kinks_of(law)]))
    ends = ends[np.append(True, np.diff(ends) > 1e-14 * ends[1:])]
    points, weights = np.polynomial.legendre.leggauss(NODES)
    half = np.diff(ends)[:, None] / 2.0
    times = ((ends[:-1] + ends[1:])[:, None] / 2.0 + half * points).ravel()
    left = 1.0 - law.cdf(times)
    kept = left > 1e-16
    jumps = [kink for kink in kinks_of(law) if np.diff(law.cdf(kink * np.array([1.0 - 1e-9, 1.0 + 1e-9])))[0] > 1e-7]
    rings_at = mean if isinstance(law, Deterministic) else None
    return Clock(mean * times[kept], mean * (half * weights).ravel()[kept], left[kept], rings_at, bool(jumps))


def kinks_of(law: Law) -> list[float]:
    """Return where the distribution function of a law is not smooth."""
    if isinstance(law, Deterministic):
        return [1.0]
    if isinstance(law, Uniform):
        return [1.0 - law.spread, 1.0 + law.spread]
    if isinstance(law, Pareto):
        return [1.0 - 1.0 / law.alpha]
    if isinstance(law, BoundedPareto):
        return [law.constants["least"], law.constants["least"] * law.ratio]
    if isinstance(law, Empirical):
        return np.unique(law.scaled()).tolist()
    if isinstance(law, Mixture):
        return [part.mean * kink for part in law.made for kink in kinks_of(part.law)]
    return []


@dataclass(frozen=True)
class RenewalQueue:
    """A queue with a clock. States are numbered; those in which the clock stands still come first.

    `flows` are by rate in each state: what is counted per ms, or is there; `ring_flows` is what is counted at a ring.
    """

    clock: Clock
    still: int
    """How many states have no clock."""
    generator: Floats
    """States x states; from a state with a clock to others with one, and from one without to any."""
    ring: Floats
    """Where a ring leads from each state with a clock: clocked states x states."""
    flows: dict[str, Floats]
    ring_flows: dict[str, Floats]
    first: int
    """The state at time 0, where the clock, if there is one, starts."""

    @cached_property
    def _paths(self) -> Floats:
        """How the states with a clock have changed by each point in time: points x clocked x clocked."""
        from scipy.linalg import expm

        running = self.generator[self.still :, self.still :]
        return np.asarray(expm(running[None] * self.clock.times[:, None, None]))

    def _transforms(self, s: complex) -> tuple[Complexes, Complexes]:
        """Return the transforms of the time spent in each state, and of being in it as the clock rings."""
        weights = self.clock.weights * self.clock.left * np.exp(-s * self.clock.times)
        spent = np.tensordot(weights, self._paths, axes=1)
        running = self.generator[self.still :, self.still :]
        size = len(running)
        return spent, np.eye(size) + (running - s * np.eye(size)) @ spent

    def until(self, horizon: float) -> dict[str, float]:
        """Return the flows, added up over time from 0 to the horizon (ms).

        Raises `InputError` where they jump in time, which no transform can be inverted for.
        """
        names = list(self.flows)
        if self.still == 0 and self.clock.rings_at is not None:
            return self._in_steps(self.clock.rings_at, horizon)
        if self.still == 0 and self.clock.has_jumps:
            raise InputError("gaps of some values alone are solved in the long run only")
        found = inverted(lambda s: self._transform_of_sums(s, names), horizon)
        return dict(zip(names, found.tolist(), strict=True))

    def _in_steps(self, gap: float, horizon: float) -> dict[str, float]:
        """Return the same where a clock that never stands still always rings after the same time."""
        from scipy.linalg import expm

        size, names = len(self.generator), list(self.flows)
        square = np.zeros((size + len(names),) * 2)
        square[:size, :size] = self.generator
        square[:size, size:] = np.array([self.flows[name] for name in names]).T
        counts = np.array([self.ring_flows.get(name, np.zeros(size)) for name in names]).T
        law, sums = np.eye(1, size, self.first)[0], np.zeros(len(names))
        rings = math.ceil(horizon / gap) - 1  # before the horizon
        step = expm(square * gap)[:size]
        for _ in range(rings):
            moved = law @ step
            sums += moved[size:] + moved[:size] @ counts
            law = moved[:size] @ self.ring
        sums += law @ expm(square * (horizon - rings * gap))[:size, size:]
        return dict(zip(names, sums.tolist(), strict=True))

    def _transform_of_sums(self, s: complex, names: Sequence[str]) -> Complexes:
        """Return the transforms of the flows, added up from 0 to a time."""
        size, still = len(self.generator), self.still
        spent, at_ring = self._transforms(s)
        rates = np.array([self.flows[name] for name in names]).T
        counts = np.array([self.ring_flows.get(name, np.zeros(size - still)) for name in names]).T
        equations = np.eye(size, dtype=np.complex128)
        sums = np.zeros((size, len(names)), dtype=np.complex128)
        equations[still:] -= at_ring @ self.ring
        sums[still:] = (spent @ rates[still:] + at_ring @ counts) / s
        leaving = -np.diag(self.generator)[:still]
        away = self.generator[:still] + np.hstack([np.diag(leaving), np.zeros((still, size - still))])
        equations[:still] -= away / (s + leaving)[:, None]
        sums[:still] = rates[:still] / s / (s + leaving)[:, None]
        return np.asarray(np.linalg.solve(equations, sums)[self.first])

    def long_run(self) -> dict[str, float]:
        """Return the flows per ms in the long run."""
        size, still = len(self.generator), self.still
        spent, at_ring = (np.real(part) for part in self._transforms(0.0))
        leaving = -np.diag(self.generator)[:still]
        away = self.generator[:still] + np.hstack([np.diag(leaving), np.zeros((still, size - still))])
        following = np.vstack([away / leaving[:, None], at_ring @ self.ring])
        equations = np.vstack([(following - np.eye(size)).T, np.ones(size)])
        visits = np.linalg.lstsq(equations, np.eye(1, size + 1, size)[0], rcond=None)[0]
        times = np.zeros((size, size))
        times[:still, :still] = np.diag(1.0 / leaving)
        times[still:, still:] = spent
        total = float(visits @ times.sum(axis=1))
        found = {}
        for name, rates in self.flows.items():
            counted = visits[still:] @ at_ring @ self.ring_flows.get(name, np.zeros(size - still))
            found[name] = float(visits @ times @ rates + counted) / total
        return found


def general_work(law: Law, arrivals: MarkovArrivals, buffer: int = 5, rate: float = 1.0) -> RenewalQueue:
    """Return a queue of one server with any law of work: M/G/1/K, or with any Markovian arrivals.

    States: the jobs there times the states of the arrivals. It begins empty, the arrivals in their first state.
    """
    phases = len(arrivals.d0)
    levels = buffer + 1
    generator = np.zeros((levels, phases, levels, phases))
    for level in range(levels):
        generator[level, :, level] += arrivals.d0
        generator[level, :, min(level + 1, buffer)] += arrivals.d1
    ring = np.zeros((buffer, phases, levels, phases))
    for level in range(1, levels):
        ring[level - 1, :, level - 1] = np.eye(phases)
    brings = np.tile(arrivals.d1.sum(axis=1), (levels, 1))
    is_full = (np.arange(levels) == buffer)[:, None]
    size = levels * phases
    return RenewalQueue(
        clock_of(law, 1.0 / rate),
        phases,
        generator.reshape(size, size),
        ring.reshape(buffer * phases, size),
        {
            "arrivals": brings.ravel(),
            "drops": (brings * is_full).ravel(),
            "presence": np.repeat(np.arange(levels, dtype=float), phases),
        },
        {},
        int(np.argmax(arrivals.first)),
    )


def general_gaps(
    law: Law, rate: float, work: Phases | None = None, buffer: int = 5, servers: int = 1, service_rate: float = 1.0
) -> RenewalQueue:
    """Return a queue with any law of gaps: GI/M/c/K, or GI/PH/1/K; the first gap starts at time 0, empty."""
    from emulator.verification.exact.phase_type import exponential

    work = exponential() if work is None else work
    if servers > 1 and len(work.start) > 1:
        raise ValueError("several servers must have exponential work")
    # States: empty, and jobs times the phase of the first one.
    phases = len(work.start)
    states = [(0, 0), *((level, phase) for level in range(1, buffer + 1) for phase in range(phases))]
    number = {state: place for place, state in enumerate(states)}
    size = len(states)
    generator, ring, drops = np.zeros((size, size)), np.zeros((size, size)), np.zeros(size)

    def begin(row: Floats, level: int, amount: float) -> None:
        for phase, probability in enumerate(work.start if level else [1.0]):
            row[number[level, phase]] += amount * probability

    for here, (level, phase) in enumerate(states):
        if level == buffer:
            ring[here, here], drops[here] = 1.0, 1.0
        elif level == 0:
            begin(ring[here], 1, 1.0)
        else:
            ring[here, number[level + 1, phase]] = 1.0
        if level > 0:
            speed = service_rate * min(level, servers)
            for other in range(phases):
                generator[here, number[level, other]] += speed * work.generator[phase, other]
            begin(generator[here], level - 1, speed * work.ending[phase])
    presence = np.array([float(level) for level, _ in states])
    return RenewalQueue(
        clock_of(law, 1.0 / rate),
        0,
        generator,
        ring,
        {"arrivals": np.zeros(size), "drops": np.zeros(size), "presence": presence},
        {"arrivals": np.ones(size), "drops": drops},
        0,
    )


def drops(law: Law, rate: float, horizon: float, buffer: int = 5) -> float:
    """Return the drops of M/G/1/K from empty until the horizon, scaled to 50 ms."""
    return general_work(law, poisson(rate), buffer).until(horizon)["drops"] * 50 / horizon
