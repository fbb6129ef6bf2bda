"""How long queues had each length, and how long servers served or were down: in ticks, and in parts of the episode.

A part is a batch, or all that follows the warm-up. Sums are whole numbers, so it does not matter who adds up which
spans of time, or in which order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emulator.engines.ticks import tick_at, ticks_per_ms
from emulator.machine.compiling import compiled
from emulator.model.system import System

Integers = NDArray[np.int64]


class Times(NamedTuple):
    """What is added up over nodes."""

    per_ms: float
    """Ticks of a ms."""
    bounds: Integers
    """Ticks at which the parts begin, and that of the horizon."""
    at_length: Integers
    """Parts x queue lengths."""
    busy: Integers
    """Of each part the time in which servers served, and that in which nodes were down."""
    down: Integers


class Service(NamedTuple):
    """What stations have done: over all, and each node's own times after the warm-up."""

    times: Times
    presence: Integers
    """The time at each length, times the length."""
    busy: Integers
    down: Integers


def new_times(system: System) -> Times:
    """Return the times of an episode at its start: none."""
    bounds = system.measuring.bounds(float(system.horizon))
    per_ms = scale_of(system)
    parts = len(bounds) - 1
    lengths = np.zeros((parts, system.buffer + 1), dtype=np.int64)
    return Times(per_ms, ticks_of(bounds, per_ms), lengths, *np.zeros((2, parts), dtype=np.int64))


def scale_of(system: System) -> float:
    """Return how many ticks a ms has in an episode of a system."""
    return ticks_per_ms(system.horizon, system.servers * (system.buffer + 1))


def emptied(times: Times) -> Times:
    """Return times that somebody else adds up meanwhile."""
    return times._replace(at_length=times.at_length * 0, busy=times.busy * 0, down=times.down * 0)


def added(several: Sequence[Times]) -> Times:
    """Return the sum of what several have added up."""
    at_length, busy, down = (sum(getattr(one, name) for one in several) for name in ("at_length", "busy", "down"))
    return several[0]._replace(at_length=at_length, busy=busy, down=down)


@compiled(nogil=True, error_model="numpy")
def ticks_of(times, per_ms):  # type: ignore[no-untyped-def]
    """Return some times in ticks."""
    ticks = np.empty(len(times), dtype=np.int64)
    for place in range(len(times)):
        ticks[place] = tick_at(times[place], per_ms)
    return ticks


@njit(nogil=True, error_model="numpy", _nrt=False)  # type: ignore[call-overload]
def spend(times, length, at_work, is_down, since, until):  # type: ignore[no-untyped-def]
    """Add up a span of ticks in which a node had a length, and so many of its servers were at work.

    Returns how many of them count: those after the warm-up.
    """
    bounds, parts = times.bounds, len(times.busy)
    start, until = max(since, bounds[0]), min(until, bounds[parts])
    if start >= until:
        return 0
    part = 0
    if parts > 1:
        part = min((start - bounds[0]) * parts // (bounds[parts] - bounds[0]), parts - 1)
        while part > 0 and start < bounds[part]:
            part -= 1
        while part + 1 < parts and start >= bounds[part + 1]:
            part += 1
    now = start
    while now < until:
        end = min(until, bounds[part + 1])
        times.at_length[part, length] += end - now
        times.busy[part] += at_work * (end - now)
        times.down[part] += is_down * (end - now)
        now = end
        part += 1
    return until - start
