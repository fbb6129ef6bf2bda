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
from emulator.engines.compiled.routing import BLOCK, Block, block, draw_next, draw_work, keep_arrived
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
        self.nodes: Nodes | None = None
        """What draws marks, where servers are more than FIFO queues."""
        self.schedulers = system.access.scheduler_count
        self.clock = np.zeros(self.schedulers)
        """When each scheduler's last job of the epoch arrived, or its start."""
        self.number = np.zeros(self.schedulers, dtype=np.int64)
        """Each scheduler's jobs of the epoch so far."""
        self.before = np.zeros(self.schedulers, dtype=np.int64)
        """Each scheduler's jobs of the epochs before."""
        self.expected = workload.arrival_rates * np.diff(workload.times)
        """Jobs of a scheduler in each epoch."""
        self._block: Block = block()
        self._draw = _draw if is_ours(system.arrivals, system.work) else _draw_for_users
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
        source = self.workload.source(slice_.epoch)
        start = float(self.workload.times[slice_.epoch])
        if slice_.is_first:
            self.before += self.number
            self.number[:] = 0
            self.clock[:] = start
        share = (slice_.end - slice_.start) * float(self.workload.arrival_rates[slice_.epoch]) * self.schedulers
        room = int(share + 12.0 * math.sqrt(share) + 2 * BLOCK)
        while True:
            drawn: Any = np.empty(room), np.empty(room), np.empty(room), *np.empty((2, room), dtype=np.int32)
            clock, number = self.clock.copy(), self.number.copy()
            count = self._draw(source, slice_.end, clock, number, self._block, *drawn)
            if count != NO_ROOM:
                break
            room *= 2
        self.clock, self.number = clock, number
        times, work, coin, scheduler, numbers = (column[:count] for column in drawn)
        ordered, places = in_order(times, scheduler, slice_.start, slice_.end)
        work, coin, scheduler, numbers = _rearranged(places, work, coin, scheduler, numbers)
        has_ways, has_marks = not self.system.network.dispatch.is_none, self.system.station.has_marks
        ever, base, jitter = np.empty(0, dtype=np.int64), np.empty(0), np.empty(0)
        marks: Any = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32), np.empty(0)
        if has_ways or has_marks or self.system.station.retries is not None:
            ever = self.before[scheduler] + numbers
        if has_ways:
            base, jitter = np.empty(count), np.empty(count)
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


def _draw_jobs(source, end, clock, number, block, times, work, coin, scheduler, numbers):  # type: ignore[no-untyped-def]
    """Draw the jobs of all schedulers before `end`; return how many they are, or `NO_ROOM`."""
    total = 0
    for start in range(0, len(clock), BLOCK):
        count = min(BLOCK, len(clock) - start)
        for i in range(count):
            block.scheduler[i], block.clock[i], block.number[i] = start + i, clock[start + i], number[start + i]
        while count > 0:
            if total + count > len(times):
                return NO_ROOM
            draw_next(source, block, count)
            count = keep_arrived(end, block, count)
            draw_work(source, block, count, work, total)
            for i in range(count):
                one = block.scheduler[i]
                times[total], coin[total] = block.clock[i], block.coin[i]
                scheduler[total], numbers[total] = one, block.number[i]
                block.number[i] += 1
                clock[one], number[one] = block.clock[i], block.number[i]
                total += 1
    return total


def _draw_ways(transit, scheduler, ever, base, jitter):  # type: ignore[no-untyped-def]
    """Fill in the parts of jobs' ways that are drawn: the numbers of `emulator.workload.messages.draw_dispatch`."""
    for job in range(len(scheduler)):
        base[job], jitter[job], _ = drawn_parts(transit, scheduler[job], ever[job], 0, DISPATCH)


_draw = compiled(nogil=True, error_model="numpy")(_draw_jobs)
_ways = compiled(nogil=True, error_model="numpy")(_draw_ways)
_draw_for_users = njit(nogil=True, error_model="numpy")(_draw_jobs)
_ways_for_users = njit(nogil=True, error_model="numpy")(_draw_ways)
"""For laws of users, whose code must not be kept on disk."""
