"""A rate in pieces, which all schedulers share; their arrivals come in operational time.

Scheduler s has the points S_n of a Poisson process of rate 1, and its n-th arrival comes when w_s times the integral of
the rate is S_n. So two rates meet the same points, and no gap is drawn with the rate at its beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.model.arrivals.process import Arrivals, Setting
from emulator.randomness import exponential

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class PiecesState(NamedTuple):
    """Where each scheduler stands."""

    point: Floats
    """S_n of its last arrival."""
    piece: Integers
    """The piece in which that came."""


class Pieces(NamedTuple):
    """A rate that is linear in each piece; the last one is constant, and without an end."""

    start: Floats
    """Of each piece, ms, and infinity."""
    rate: Floats
    """At the start of each piece, 1/ms."""
    slope: Floats
    integral: Floats
    """Of the rate up to the start of each piece, and infinity."""
    weight: Floats
    """Of each scheduler."""

    def state(self) -> PiecesState:
        """See `Stream.state`."""
        return PiecesState(np.zeros(len(self.weight)), np.zeros(len(self.weight), dtype=np.int64))

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
            weight, piece = stream.weight[scheduler], state.piece[scheduler]
            point = state.point[scheduler] + gap
            while weight * stream.integral[piece + 1] <= point:
                piece += 1
            state.point[scheduler], state.piece[scheduler] = point, piece
            rest = (point - weight * stream.integral[piece]) / weight
            rate, slope, found = stream.rate[piece], stream.slope[piece], stream.start[piece]
            if slope != 0.0:
                if rest > 0.0:
                    found += 2.0 * rest / (rate + np.sqrt(max(rate * rate + 2.0 * slope * rest, 0.0)))
            elif rest > 0.0:
                found += rest / rate
            return max(time, min(found, stream.start[piece + 1]))  # which rounding could miss by a bit

        return next_time


def pieces(start: Floats, rate: Floats, rate_at_end: Floats, weights: Floats) -> Pieces:
    """Return a rate, given that of each piece at its start (ms) and at its end; the last piece is constant."""
    length, slope = np.diff(start), np.zeros(len(start))
    np.divide(rate_at_end[:-1] - rate[:-1], length, out=slope[:-1], where=length > 0.0)
    integral = np.add.accumulate(np.append(0.0, length * ((rate[:-1] + rate_at_end[:-1]) / 2.0)))
    return Pieces(np.append(start, np.inf), rate, slope, np.append(integral, np.inf), weights)


def mean_rates(stream: Pieces, times: Floats) -> Floats:
    """Return the mean rate between each of some times, ms, and the next."""
    first = np.searchsorted(stream.start, times[:-1], side="right") - 1
    last = np.searchsorted(stream.start, times[1:], side="left") - 1
    middle = (times[:-1] + times[1:]) / 2.0 - stream.start[first]
    within_one = stream.rate[first] + stream.slope[first] * middle
    over_several = np.diff(_integral_at(stream, times)) / np.diff(times)
    return np.where(first == last, within_one, over_several)


def _integral_at(stream: Pieces, times: Floats) -> Floats:
    """Return the integral of the rate up to some times, ms."""
    piece = np.searchsorted(stream.start, times, side="right") - 1
    since = times - stream.start[piece]
    return stream.integral[piece] + (stream.rate[piece] + stream.slope[piece] * since / 2.0) * since


def arrivals_in_pieces(start: Floats, rate: Floats, rate_at_end: Floats, setting: Setting) -> Arrivals:
    """Return the arrivals of a rate, see `pieces`."""
    stream = pieces(start, rate, rate_at_end, setting.weights)
    return Arrivals(stream, mean_rates(stream, setting.times), setting.weights)
