"""Jobs on their way: those of a window are drawn scheduler by scheduler, and each is sent to a server.

Within an epoch the rules are fixed, so no scheduler needs to know what another one does, and no event list is needed. A
part of the schedulers is one thread's work. Times in ms, rates per ms.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from emulator.engines.compiled.rules import column_of, pick_from
from emulator.machine.compiling import compiled
from emulator.workload.jobs import JobSource, draw_job, job_work

Integers = NDArray[np.int64]
Indices = NDArray[np.int32]
Floats = NDArray[np.float64]

BLOCK = 256
"""Schedulers whose next jobs are drawn together: the compiler makes vector code of such loops."""

NO_ROOM, WRONG_COLUMN = -1, -2
"""What `draw` returns if it could not go on."""

kernel = compiled(nogil=True, error_model="numpy")

inner = njit(nogil=True, error_model="numpy")
"""For loops that are kept on disk as a part of `draw` alone: a user's law must not be kept."""


class Window(NamedTuple):
    """A part of an epoch whose jobs are drawn and served together."""

    source: JobSource
    start: float
    """Start of the epoch."""
    end: float
    """End of the window."""
    is_first: bool
    """Whether the window is the epoch's first one."""
    sampled: Floats
    """By how many servers a scheduler has beside its own: the sum of the times at which they were sampled."""


class Streams(NamedTuple):
    """How far each scheduler's arrivals have been drawn in this epoch; before its first window, of no meaning."""

    clock: Floats
    """Arrival time of its last job, or the epoch's start."""
    number: Indices
    """Jobs so far."""
    jobs: Integers
    """Jobs in the epochs before."""
    age: Floats
    """How old what is known of the others was when a job arrived, added up over the episode."""


class Entries(NamedTuple):
    """An access relation: scheduler i can access the servers `servers[offsets[i] : offsets[i + 1]]`."""

    offsets: Integers
    servers: Indices
    has_own: bool


class Records(NamedTuple):
    """The jobs of a window as they were drawn; those of thread t in row t."""

    arrival_time: Floats
    work: Floats
    server: Indices
    scheduler: Indices
    number: Indices
    """Empty unless jobs are traced."""


class Block(NamedTuple):
    """A thread's room for the next job of each of `BLOCK` schedulers."""

    scheduler: Integers
    clock: Floats
    """When the scheduler's last job arrived."""
    number: Integers
    """How many jobs it has met in this epoch."""
    arrival_time: Floats
    bits: NDArray[np.uint64]
    """What the job's work is made of."""
    coin: Floats


def block() -> Block:
    """Return room for a thread."""
    dtypes: list[Any] = [np.int64, np.float64, np.int64, np.float64, np.uint64, np.float64]
    return Block(*(np.empty(BLOCK, dtype) for dtype in dtypes))


@inner
def draw_next(source, block, count):
    """Draw the next job of each of the first `count` schedulers of a block."""
    for i in range(count):
        block.arrival_time[i], block.bits[i], block.coin[i] = draw_job(
            source, block.scheduler[i], block.number[i], block.clock[i]
        )


@kernel
def keep_arrived(end, block, count):
    """Move to the front of a block the jobs that arrive before `end`, and return how many they are."""
    kept = 0
    for i in range(count):  # without a branch, which nobody could predict
        block.scheduler[kept], block.number[kept] = block.scheduler[i], block.number[i]
        block.clock[kept] = block.arrival_time[i]
        block.bits[kept], block.coin[kept] = block.bits[i], block.coin[i]
        kept += block.arrival_time[i] < end
    return kept


@inner
def draw_work(source, block, count, work, place):
    """Fill in the works of the first `count` jobs of a block, from `place` on."""
    for i in range(count):
        work[place + i] = job_work(source, block.scheduler[i], block.number[i], block.bits[i])


def _draw(rule, window, access, streams, records, counts, block, part, first, last):
    """Draw and route the jobs that the schedulers `first` to `last` - 1 meet by the window's end.

    They go to row `part` of the records; `counts[part]` counts them by server. Returns how many they are, `NO_ROOM`
    if the records are too short, or `WRONG_COLUMN` if a per-job rule chose a server that is not there. Places are taken
    as unsigned numbers, which need no look at negative ones: 1.15 times as fast. Choosing first and noting then: 1.1.
    """
    times, works, servers = records.arrival_time[part], records.work[part], records.server[part]
    schedulers, counted = records.scheduler[part], counts[part]
    counted[:] = 0
    traced = len(records.number) > 0
    total = 0
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        for i in range(count):
            scheduler = block.scheduler[i] = start + i
            if window.is_first:
                streams.clock[scheduler], streams.number[scheduler] = window.start, 0
            block.clock[i], block.number[i] = streams.clock[scheduler], streams.number[scheduler]
        while count > 0:
            if total + count > len(works):
                return NO_ROOM
            draw_next(window.source, block, count)
            count = keep_arrived(window.end, block, count)
            draw_work(window.source, block, count, works, total)
            for i in range(count):
                scheduler, number, time = block.scheduler[i], block.number[i], block.clock[i]
                entry, stop = access.offsets[uint64(scheduler)], access.offsets[uint64(scheduler + 1)]
                others = stop - entry - access.has_own
                streams.age[uint64(scheduler)] += others * time - window.sampled[uint64(others)]
                column = column_of(rule, scheduler, entry, stop, number, block.coin[i], time - window.start)
                if not 0 <= column < stop - entry:
                    return WRONG_COLUMN
                servers[uint64(total + i)] = access.servers[uint64(entry + column)]
            for i in range(count):
                scheduler, number, time = block.scheduler[i], block.number[i], block.clock[i]
                place = uint64(total + i)
                server = servers[place]
                times[place], schedulers[place] = time, scheduler
                counted[uint64(server)] += 1
                if traced:
                    records.number[part, total + i] = number
                block.number[i] = number + 1
                streams.clock[uint64(scheduler)], streams.number[uint64(scheduler)] = time, number + 1
            total += count
    return total


draw = compiled(nogil=True, error_model="numpy", _nrt=False)(_draw)
"""`_draw` for rules that make no arrays: without counting references to arrays, which costs 40 ns a job."""

draw_counting = compiled(nogil=True, error_model="numpy")(_draw)
"""`_draw` for a user's rule, which may make arrays."""

draw_for_users = njit(nogil=True, error_model="numpy")(_draw)
"""`_draw` for a user's law, or a rule of which no hash tells all: their code must not be kept on disk."""


@kernel
def repeated_sums(time, most):
    """Return 0, `time`, `time + time` and so on, up to `most` of them."""
    sums = np.zeros(most + 1)
    for count in range(most):
        sums[count + 1] = sums[count] + time
    return sums


@kernel
def fixed_columns(cumulative, start, offsets, coins, column):
    """Draw each scheduler's column of the epoch with its decision coin; see `Drawn`."""
    for scheduler in range(len(start)):
        count = offsets[scheduler + 1] - offsets[scheduler]
        column[scheduler] = pick_from(cumulative, start[scheduler], count, coins[scheduler])
