"""Timetable: the epochs of an episode, the grid of its accounts. Times in ms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

SHORTEST_EPOCH = 1e-9
"""Of delta_t: a shorter rest before the horizon comes of rounding, as with 7 * 0.7 = 4.8999999999999995."""


@dataclass(frozen=True)
class Timetable:
    """The epochs of an episode: arrival rates hold for one, traces have a row for each, drops are discounted by it.

    On a synchronous network all servers broadcast, all messages arrive and all schedulers decide at their starts.
    """

    delta_t: float
    """Length of an epoch."""
    horizon: float
    """End of an episode."""

    @cached_property
    def times(self) -> NDArray[np.float64]:
        """The start of each epoch, `k * delta_t` as that product, and, last, the horizon; see `SHORTEST_EPOCH`."""
        count = max(1, math.ceil(self.horizon / self.delta_t))
        while count > 1 and not self._has_room(count - 1):
            count -= 1
        while self._has_room(count):
            count += 1
        return np.append(np.arange(count) * self.delta_t, self.horizon)

    @cached_property
    def starts(self) -> list[float]:
        """The start of each epoch."""
        return self.times[:-1].tolist()

    @property
    def epochs(self) -> int:
        """How many epochs an episode has."""
        return len(self.times) - 1

    def _has_room(self, epoch: int) -> bool:
        rest = self.horizon - epoch * self.delta_t
        return rest > 0.0 and rest >= SHORTEST_EPOCH * self.delta_t
