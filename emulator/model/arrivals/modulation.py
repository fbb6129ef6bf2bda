"""Poisson arrivals modulated by chains, in compiled code: one chain for all schedulers, or one for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from emulator.machine.compiling import compiled
from emulator.model.arrivals.chain import ChainNumbers
from emulator.model.arrivals.pieces import arrivals_in_pieces
from emulator.model.arrivals.process import Arrivals, Setting
from emulator.randomness import MODULATION, exponential, philox

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@njit(inline="always")
def next_sojourn(numbers, chain, i, state, start):  # type: ignore[no-untyped-def]
    """Return (state, end) of sojourn i of a chain, given the state before, and when it starts, ms."""
    high, low, _, word = philox(chain, i, 0, MODULATION, numbers.seed, numbers.replication)
    coin = np.float64(np.int64(word)) * 2.0**-32
    row, following = (0 if i == 0 else state + 1), 0
    while coin >= numbers.cumulative[row, following]:
        following += 1
    if len(numbers.leaving) == 0:
        return following, numbers.times[min(i + 1, len(numbers.times) - 1)]
    leaving = numbers.leaving[following]
    length = exponential((high << uint64(16)) | (low >> uint64(16))) / leaving if leaving > 0.0 else np.inf
    return following, start + length


@compiled(error_model="numpy")
def _path(numbers):  # type: ignore[no-untyped-def]
    """Return the starts of the shared chain's sojourns before the horizon, and their states."""
    horizon, room = numbers.times[-1], 64
    starts, states = np.empty(room), np.empty(room, dtype=np.int64)
    start, state, i = 0.0, 0, 0
    while start < horizon:
        if i == room:
            room *= 2
            longer, more = np.empty(room), np.empty(room, dtype=np.int64)
            longer[:i], more[:i] = starts, states
            starts, states = longer, more
        state, end = next_sojourn(numbers, 0, i, state, start)
        starts[i], states[i] = start, state
        start = end
        i += 1
    return starts[:i], states[:i]


def arrivals_of_shared_chain(numbers: ChainNumbers, setting: Setting) -> Arrivals:
    """Return the arrivals of a chain that all schedulers share: its path is a rate in pieces."""
    starts, states = _path(numbers)
    rates = numbers.rate[states]
    return arrivals_in_pieces(starts, rates, rates, setting)


class OwnState(NamedTuple):
    """Where each scheduler and its chain stand."""

    point: Floats
    """S_n of its last arrival, see `emulator.model.arrivals.pieces`."""
    sojourn: Integers
    """Number of the chain's next sojourn."""
    state: Integers
    start: Floats
    """Of the present sojourn, ms."""
    end: Floats
    integral: Floats
    """Of the rate up to the start."""


class OwnChains(NamedTuple):
    """A chain for each scheduler."""

    numbers: ChainNumbers
    weight: Floats
    """Of each scheduler."""

    def state(self) -> OwnState:
        """See `Stream.state`."""
        return own_state(len(self.weight))

    @staticmethod
    def compiled_gap() -> Callable[[Any, Any, Any], Any]:
        """See `Stream.compiled_gap`."""

        def gap(stream: Any, bits: Any, more: Any) -> Any:
            return exponential(bits)

        return gap

    @staticmethod
    def compiled_time() -> Callable[[Any, Any, Any, Any, Any], Any]:
        """See `Stream.compiled_time`."""

        def next_time(stream: Any, state: Any, scheduler: Any, time: Any, gap: Any) -> Any:
            numbers, weight = stream.numbers, stream.weight[scheduler]
            point = state.point[scheduler] + gap
            state.point[scheduler] = point
            while True:
                start, end, integral = state.start[scheduler], state.end[scheduler], state.integral[scheduler]
                rate = numbers.rate[state.state[scheduler]]
                following = integral + (end - start) * rate if rate > 0.0 else integral
                if weight * following > point:
                    found = start + (point - weight * integral) / weight / rate
                    return max(time, min(found, end))  # which rounding could miss by a bit
                if end >= numbers.times[-1]:
                    return np.inf
                go_on(numbers, state, scheduler, following)

        return next_time


@njit(inline="always")
def go_on(numbers, state, scheduler, integral):  # type: ignore[no-untyped-def]
    """Let a scheduler's chain go on to its next sojourn, before which the integral of its rate is this."""
    i, start = state.sojourn[scheduler], state.end[scheduler]
    following, end = next_sojourn(numbers, scheduler + 1, i, state.state[scheduler], start)
    state.state[scheduler], state.start[scheduler], state.end[scheduler] = following, start, end
    state.integral[scheduler], state.sojourn[scheduler] = integral, i + 1


def own_state(schedulers: int) -> OwnState:
    """Return the state at time 0, before the first sojourns."""
    sojourn, state = np.zeros((2, schedulers), dtype=np.int64)
    point, start, end, integral = np.zeros((4, schedulers))
    return OwnState(point, sojourn, state, start, end, integral)


@compiled(error_model="numpy")
def _integrate(numbers, state, time, integrals):  # type: ignore[no-untyped-def]
    """Fill in the integral of each chain's rate up to a time, ms."""
    for scheduler in range(len(integrals)):
        while True:
            start, end, integral = state.start[scheduler], state.end[scheduler], state.integral[scheduler]
            rate = numbers.rate[state.state[scheduler]]
            if end >= time and state.sojourn[scheduler] > 0:
                integrals[scheduler] = integral + (time - start) * rate
                break
            go_on(numbers, state, scheduler, integral + (end - start) * rate if rate > 0.0 else integral)


def arrivals_of_own_chains(numbers: ChainNumbers, setting: Setting, rate: float) -> Arrivals:
    """Return the arrivals where each scheduler has a chain of its own, which all together have this rate on average."""
    weights, times = setting.weights, setting.times

    def own_rates() -> Iterator[Floats]:
        state, before = own_state(len(weights)), np.zeros(len(weights))
        for epoch in range(len(times) - 1):
            integrals = np.empty(len(weights))
            _integrate(numbers, state, times[epoch + 1], integrals)
            yield weights * (integrals - before) / (times[epoch + 1] - times[epoch])
            before = integrals

    return Arrivals(OwnChains(numbers, weights), np.full(len(times) - 1, rate), weights, own_rates)
