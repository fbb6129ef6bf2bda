"""Slices of time: the jobs that all schedulers meet in one are drawn scheduler by scheduler, and then put in order.

A slice lies within an epoch. Times in ms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from emulator.engines.compiled.nodes import Nodes
from emulator.engines.compiled.sorting import in_order
from emulator.machine.compiling import compiled, is_ours
from emulator.model.system import System
from emulator.randomness import DISPATCH
from emulator.workload.messages import MessageDraws, drawn_parts
from emulator.workload.workload import Workload

Integers = NDArray[np.int64]
Indices = NDArray[np.int32]
Floats = NDArray[np.float64]

SLICE_JOBS = 4.0
"""Expected jobs of a scheduler in a slice."""

SMALLEST_SLICE = 8192
"""Expected jobs of all schedulers that are worth a slice of their own, whatever that is for each."""

NO_ROOM = -1


class Slice(NamedTuple):
    """A part of an epoch."""

    epoch: int
    start: float
    end: float
    is_first: bool
    """Whether it is the epoch's first one."""


class Jobs(NamedTuple):
    """The jobs of a slice in order of time."""

    times: Floats
    """When they arrive, and infinity after the last."""
    work: Floats
    coin: Floats
    scheduler: Indices
    number: Indices
    """Of its scheduler's jobs in the epoch."""
    ever: Integers
    """Of its scheduler's jobs in the episode; empty unless something is drawn by it."""
    base: Floats
    jitter: Floats
    """The parts of its way's time that do not depend on the server; empty unless jobs take time to their servers."""
    class_: Indices
    """Classes, priorities and patience; empty if none are drawn."""
    priority: Indices
    patience: Floats


class JobStreams:
    """Draws the jobs of an episode, slice by slice."""

    def __init__(self, system: System, workload: Workload, draws: MessageDraws):
        self.system = system
        self.workload = workload
        self.draws = draws
        self.cursor = workload.cursor()
        self.nodes: Nodes | None = None
        """What draws marks, where servers are more than FIFO queues."""
        self.schedulers = system.access.scheduler_count
        self.expected = workload.expected_jobs
        """Jobs of a scheduler in each epoch."""
        dispatch = system.network.dispatch
        self._ways = _ways if is_ours(dispatch.base.law, dispatch.jitter.law) else _ways_for_users

    def slices(self, epoch: int, message_rate: float) -> Iterator[Slice]:
        """Yield the slices of an epoch, short enough for its jobs and for so many messages per ms."""
        start, end = (float(time) for time in self.workload.times[epoch : epoch + 2])
        expected = max(self.expected[epoch] * self.schedulers, 0.25 * message_rate * (end - start))
        count = max(1, math.ceil(expected / max(SLICE_JOBS * self.schedulers, SMALLEST_SLICE)))
        for number in range(count):
            here = start + (end - start) * number / count
            stop = end if number + 1 == count else start + (end - start) * (number + 1) / count
            yield Slice(epoch, here, stop, number == 0)

    def jobs(self, slice_: Slice) -> Jobs:
        """Draw the jobs of the next slice."""
        if slice_.is_first:
            self.cursor.begin(slice_.epoch)
        share = (slice_.end - slice_.start) * float(self.workload.arrival_rates[slice_.epoch]) * self.schedulers
        times, work, coin, scheduler, numbers = self.cursor.draw(slice_.end, share)
        ordered, places = in_order(times, scheduler, slice_.start, slice_.end)
        work, coin, scheduler, numbers = _rearranged(places, work, coin, scheduler, numbers)
        has_ways, has_marks = not self.system.network.dispatch.is_none, self.system.station.has_marks
        ever, base, jitter = np.empty(0, dtype=np.int64), np.empty(0), np.empty(0)
        marks: Any = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32), np.empty(0)
        if has_ways or has_marks or self.system.has_feedback:
            ever = self.cursor.before[scheduler] + numbers
        if has_ways:
            base, jitter = np.empty((2, len(work)))
            self._ways(self.draws.dispatch, scheduler, ever, base, jitter)
        if has_marks:
            assert self.nodes is not None
            marks = self.nodes.marks(scheduler, ever, work)
        return Jobs(ordered, work, coin, scheduler, numbers, ever, base, jitter, *marks)


@compiled(nogil=True, error_model="numpy")
def _rearranged(places, work, coin, scheduler, numbers):  # type: ignore[no-untyped-def]
    """Return what is known of the jobs at these places: 2.1 times as fast as a column after the other."""
    works, coins = np.empty(len(places)), np.empty(len(places))
    schedulers, all_numbers = np.empty(len(places), dtype=np.int32), np.empty(len(places), dtype=np.int32)
    for i in range(len(places)):
        place = uint64(places[i])
        works[i], coins[i], schedulers[i], all_numbers[i] = work[place], coin[place], scheduler[place], numbers[place]
    return works, coins, schedulers, all_numbers


def _draw_ways(transit, scheduler, ever, base, jitter):  # type: ignore[no-untyped-def]
    """Fill in the parts of jobs' ways that are drawn: the numbers of `emulator.workload.messages.draw_dispatch`."""
    for job in range(len(scheduler)):
        base[job], jitter[job], _ = drawn_parts(transit, scheduler[job], ever[job], 0, DISPATCH)


_ways = compiled(nogil=True, error_model="numpy")(_draw_ways)
_ways_for_users = njit(nogil=True, error_model="numpy")(_draw_ways)
"""For laws of users, whose code must not be kept on disk."""
