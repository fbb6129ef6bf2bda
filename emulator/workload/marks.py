"""What is drawn for stations: classes, works and patience of jobs, times up and down of servers, backoffs; times in ms.

Addresses: MARK (scheduler, 0, number), FAILURE (group of servers, cycle, 0), RETRY (scheduler, number, attempt). A
scheduler's jobs are numbered through the episode. Further numbers for the work of a class belong to MARK + SECOND.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numba import njit, uint64
from numba.extending import overload
from numpy.typing import NDArray

from emulator.machine.compiling import compiled, is_ours
from emulator.model.laws.drawing import work_of
from emulator.model.network import Duration
from emulator.model.system import System
from emulator.randomness import FAILURE, MARK, RETRY, SECOND, address, philox
from emulator.workload.jobs import told_apart

Floats = NDArray[np.float64]
Indices = NDArray[np.int32]
Integers = NDArray[np.int64]

_INLINED: Any = {"error_model": "numpy", "forceinline": True}


class Marks(NamedTuple):
    """Of which laws the marks of jobs are drawn."""

    seed: np.uint64
    replication: np.uint64
    limits: NDArray[np.uint64]
    """A class is the number of these that a word of 32 bits reaches."""
    means: Floats
    """Mean work of each class; empty if there is none."""
    works: Any
    """The numbers of each class's law of work: a tuple."""
    patience_mean: float
    """Infinite if patience never runs out."""
    patience: Any


class Cycles(NamedTuple):
    """Of which laws the times up and down are drawn."""

    seed: np.uint64
    replication: np.uint64
    up_mean: float
    up: Any
    down_mean: float
    down: Any


class Backoffs(NamedTuple):
    """Of which law the time until a job's next attempt is drawn."""

    seed: np.uint64
    replication: np.uint64
    mean: float
    law: Any


def class_work(works: Any, class_: Any, bits: Any, more: Any) -> Any:
    """Return the work, of mean 1, that 48 random bits stand for under the law of a class."""


@overload(class_work, jit_options=_INLINED)
def _class_work(works, class_, bits, more):  # type: ignore[no-untyped-def]
    if len(works) == 1:
        return lambda works, class_, bits, more: work_of(bits, works[0], more)

    def first_or_later(works, class_, bits, more):  # type: ignore[no-untyped-def]
        if class_ == 0:
            return work_of(bits, works[0], more)
        return class_work(works[1:], class_ - 1, bits, more)

    return first_or_later


@njit(inline="always")
def draw_marks(marks, scheduler, number, work):  # type: ignore[no-untyped-def]
    """Return (class, work, patience) of a job, whose `work` are bits where jobs are of classes."""
    seed, replication = marks.seed, marks.replication
    a, b, _, d = philox(scheduler, 0, number, MARK, seed, replication)
    class_ = 0
    if len(marks.means) > 0:
        for limit in marks.limits:
            class_ += d >= limit
        more = address(scheduler, 0, number, MARK + SECOND, seed, replication)
        work = marks.means[class_] * class_work(marks.works, class_, uint64(np.int64(work)), more)
    patience = np.inf
    if marks.patience_mean < np.inf:
        bits = (a << uint64(16)) | (b >> uint64(16))
        more = address(scheduler, 0, number, MARK, seed, replication)
        patience = marks.patience_mean * work_of(bits, marks.patience, more)
    return class_, work, patience


@njit(inline="always")
def draw_cycle(cycles, group, cycle):  # type: ignore[no-untyped-def]
    """Return how long a group of servers is up, and how long it is down after that."""
    seed, replication = cycles.seed, cycles.replication
    a, b, c, _ = philox(group, cycle, 0, FAILURE, seed, replication)
    bits = (a << uint64(16)) | (b >> uint64(16))
    up = cycles.up_mean * work_of(bits, cycles.up, address(group, cycle, 0, FAILURE, seed, replication))
    bits = ((b & uint64(0xFFFF)) << uint64(32)) | c
    down = cycles.down_mean * work_of(bits, cycles.down, address(group, cycle, 0, FAILURE + SECOND, seed, replication))
    return up, down


@njit(inline="always")
def draw_backoff(backoffs, scheduler, number, attempt):  # type: ignore[no-untyped-def]
    """Return how long a job waits before this attempt, the first one being 0, and the coin of the attempt."""
    seed, replication = backoffs.seed, backoffs.replication
    a, b, _, d = philox(scheduler, number, attempt, RETRY, seed, replication)
    bits = (a << uint64(16)) | (b >> uint64(16))
    time = backoffs.mean * work_of(bits, backoffs.law, address(scheduler, number, attempt, RETRY, seed, replication))
    return time, np.float64(np.int64(d)) * 2.0**-32


def _mark_all(marks, scheduler, number, work, class_, patience):  # type: ignore[no-untyped-def]
    """Fill in class, work and patience of some jobs; `work` holds bits at first where jobs are of classes."""
    for job in range(len(scheduler)):
        class_[job], work[job], patience[job] = draw_marks(marks, scheduler[job], number[job], work[job])


def _cycle(cycles, group, cycle):  # type: ignore[no-untyped-def]
    return draw_cycle(cycles, group, cycle)


def _toggles(cycles, end, time, count, first, times):  # type: ignore[no-untyped-def]
    """List for each group when it fails or is repaired, from its next time on to the first one after `end`.

    `count` says how many times there were before `time`, the next one, and `first` becomes the place in `times` of the
    very first one, were it listed. Returns how many there are, -1 if there is no room; then nothing has changed.
    """
    total = 0
    for group in range(len(time)):
        following, number = time[group], count[group]
        first[group] = total - number
        while True:
            if total == len(times):
                return -1
            times[total] = following
            total += 1
            if following > end:
                break
            number += 1
            up, down = draw_cycle(cycles, group, number >> 1)
            following += down if number & 1 else up
    for group in range(len(time)):
        last = (first[group + 1] + count[group + 1] if group + 1 < len(time) else total) - 1
        time[group], count[group] = times[last], last - first[group]
    return total


def _backoff(backoffs, scheduler, number, attempt):  # type: ignore[no-untyped-def]
    return draw_backoff(backoffs, scheduler, number, attempt)


class _Functions(NamedTuple):
    """The functions that meet laws, compiled."""

    mark_all: Any
    cycle: Any
    toggles: Any
    backoff: Any


_SOURCES = _mark_all, _cycle, _toggles, _backoff
_KEPT = _Functions(*(compiled(error_model="numpy", nogil=True)(function) for function in _SOURCES))
_FOR_USERS = _Functions(*(njit(error_model="numpy", nogil=True)(function) for function in _SOURCES))
"""For laws of users, whose code cannot be kept on disk."""


class StationDraws:
    """What is drawn for the stations in one replication of a system."""

    def __init__(self, system: System, replication: int):
        self.system = system
        self.station = system.station
        self.seeds = np.uint64(system.seed), np.uint64(replication)
        self.are_ours = is_ours(system.work, *self.station.laws())
        self._compiled = _KEPT if self.are_ours else _FOR_USERS

    @cached_property
    def marks(self) -> Marks:
        """How classes, works and patience are drawn, for compiled functions."""
        classes = self.station.classes
        shares = np.cumsum([one.share for one in classes])
        laws = [self.system.work if one.law is None else one.law for one in classes] or [self.system.work]
        patience = Duration(np.inf) if self.station.patience is None else self.station.patience.time
        return Marks(
            *self.seeds,
            np.round(shares[:-1] * 2.0**32).astype(np.uint64),
            np.array([one.mean for one in classes], dtype=float),
            tuple(told_apart(law.numbers()) for law in laws),
            float(patience.mean),
            told_apart(patience.law.numbers()),
        )

    @cached_property
    def cycles(self) -> Cycles:
        """How times up and down are drawn, for compiled functions."""
        failures = self.station.failures
        assert failures is not None
        up, down = failures.up, failures.down
        return Cycles(*self.seeds, up.mean, told_apart(up.law.numbers()), down.mean, told_apart(down.law.numbers()))

    @cached_property
    def backoffs(self) -> Backoffs:
        """How backoffs are drawn, for compiled functions."""
        assert self.station.retries is not None
        backoff = self.station.retries.backoff
        return Backoffs(*self.seeds, backoff.mean, told_apart(backoff.law.numbers()))

    def mark_all(self, scheduler: Indices, number: Integers, work: Floats) -> tuple[Indices, Floats]:
        """Return class and patience of some jobs, and make works of bits where jobs are of classes."""
        class_, patience = np.zeros(len(work), dtype=np.int32), np.full(len(work), np.inf)
        if self.station.has_marks:
            self._compiled.mark_all(self.marks, scheduler, number, work, class_, patience)
        return class_, patience

    def times_up_and_down(self, server: int) -> Iterator[tuple[float, float]]:
        """Yield how long a server is up, and then down, in turn; those of a group are up and down together."""
        failures = self.station.failures
        cycle = 0
        while failures is not None:
            yield self._compiled.cycle(self.cycles, server // failures.group, cycle)
            cycle += 1

    def toggles(self, end: float, time: Floats, count: Integers, first: Integers, times: Floats) -> int:
        """See `_toggles`."""
        listed: int = self._compiled.toggles(self.cycles, end, time, count, first, times)
        return listed

    def backoff(self, scheduler: int, number: int, attempt: int) -> tuple[float, float]:
        """Return how long a job waits before an attempt, and the coin of that."""
        time, coin = self._compiled.backoff(self.backoffs, scheduler, number, attempt)
        return time, coin
