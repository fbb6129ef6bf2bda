"""Spans of time in whole ticks: sums of whole numbers are the same in any order, in every engine.

A tick is a power of two of a ms, so times lose at most half a tick, and nothing else. It is the shortest with which
the sums of an episode have room.
"""

from __future__ import annotations

import math

import numpy as np

from emulator.machine.compiling import compiled

ROOM = 58
"""Bits of a sum; 5 more are spare."""

LONGEST = 48
"""Bits of a horizon in ticks, at most."""

_SHIFT = 1.5 * 2.0**52
"""Beside it a float has no room for fractions: a sum with it is rounded, and its bits count by ones."""


def ticks_per_ms(horizon: float, spans: int) -> float:
    """Return how many ticks a ms has, where a sum holds so many spans as long as the horizon."""
    bits = min(LONGEST, ROOM - math.ceil(math.log2(max(spans, 1))))
    return 2.0 ** min(max(bits - math.ceil(math.log2(horizon)), -1000), 1000)


@compiled(inline="always")
def tick_at(time, per_ms):  # type: ignore[no-untyped-def]
    """Return a time in ticks, counted from one that is the same for all: only differences mean something."""
    return np.float64(time * per_ms + _SHIFT).view(np.int64)


@compiled()
def tick_sum(starts, ends, per_ms):  # type: ignore[no-untyped-def]
    """Return the ticks of some spans of time together, without those that have not started: NaN."""
    total = 0
    for place in range(len(starts)):
        if starts[place] >= 0.0:
            total += tick_at(ends[place], per_ms) - tick_at(starts[place], per_ms)
    return total
